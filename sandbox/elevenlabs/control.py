"""The control plane under `/__sim`: faults, calls, clock, wire logs, counts. Never part of the real service."""

from typing import Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from sandbox.elevenlabs.agents import AgentFixture
from sandbox.elevenlabs.calls import PhoneCall, end_call, place_call
from sandbox.elevenlabs.expectations import Expectation, check
from sandbox.elevenlabs.faults import Fault
from sandbox.elevenlabs.transcription import Heard
from sandbox.elevenlabs.world import World

__all__ = ["build_control"]

Json = dict[str, Any]


class Advance(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seconds: float


class Mode(BaseModel):
    model_config = ConfigDict(extra="forbid")

    mode: Literal["real", "virtual"]


class WebhookTarget(BaseModel):
    """`url` null switches it off."""

    model_config = ConfigDict(extra="forbid")

    url: str | None
    secret: str = ""
    retries: bool = True
    text_sessions: bool = True


class Recording(BaseModel):
    """What a file says, known by the SHA-256 of its bytes in hexadecimal digits."""

    model_config = ConfigDict(extra="forbid")

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    text: str
    language: str = "spa"


def build_control(world: World, token: str | None) -> APIRouter:
    """The router; with a token every call needs it as `X-Sim-Token` or bearer."""

    async def guard(request: Request) -> None:
        given = request.headers.get("x-sim-token") or request.headers.get("authorization", "")[7:]
        if token and given != token:
            raise HTTPException(401, "control token missing or wrong")

    router = APIRouter(prefix="/__sim", dependencies=[Depends(guard)], tags=["simulator"])
    _add_agents(router, world)
    _add_faults(router, world)
    _add_calls(router, world)
    _add_clock(router, world)
    _add_views(router, world)
    return router


def _add_agents(router: APIRouter, world: World) -> None:
    @router.get("/agents")
    async def list_agents() -> list[AgentFixture]:
        return list(world.agents.values())

    @router.put("/agents/{agent_id}")
    async def put_agent(agent_id: str, changes: Json) -> AgentFixture:
        """Create the agent, or change the fields given; open conversations see most changes at once."""
        known = world.agents.get(agent_id)
        merged = (known.model_dump() if known else {}) | changes | {"agent_id": agent_id}
        try:
            fixture = AgentFixture.model_validate(merged)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        world.agents[agent_id] = fixture
        return fixture


def _add_faults(router: APIRouter, world: World) -> None:
    @router.get("/faults")
    async def list_faults() -> list[Fault]:
        return world.faults.faults

    @router.post("/faults")
    async def add_fault(fault: Fault) -> Fault:
        return world.faults.add(fault)

    @router.delete("/faults")
    @router.delete("/faults/{fault_id}")
    async def clear_faults(fault_id: str | None = None) -> Json:
        world.faults.clear(fault_id)
        return {"faults": len(world.faults.faults)}


def _add_calls(router: APIRouter, world: World) -> None:
    @router.post("/calls")
    async def seed_call(call: PhoneCall) -> Json:
        record = place_call(world, call)
        return {"conversation_id": record.conversation_id, "status": record.status}

    @router.post("/calls/{conversation_id}/end")
    async def hang_up(conversation_id: str, analysis_delay_s: float = 0.0) -> Json:
        record = world.records.get(conversation_id)
        if record is None or record.status != "in-progress":
            raise HTTPException(404, "no such live call")
        end_call(world, record, analysis_delay_s)
        return {"conversation_id": conversation_id, "status": record.status}

    @router.post("/recordings")
    async def tell_recording(recording: Recording) -> Recording:
        world.recordings.tell(recording.sha256, Heard(recording.text, recording.language))
        return recording

    @router.put("/webhook")
    async def put_webhook(target: WebhookTarget) -> Json:
        for name, value in target.model_dump().items():
            setattr(world.webhook, name, value)
        return {"url": target.url}

    @router.get("/webhooks")
    async def list_deliveries() -> list[Json]:
        return list(world.webhook.deliveries)


def _add_clock(router: APIRouter, world: World) -> None:
    @router.get("/clock")
    async def read_clock() -> Json:
        return {"mode": world.clock.mode, "now": world.clock.now().isoformat()}

    @router.post("/clock/advance")
    async def advance(by: Advance) -> Json:
        await world.clock.advance(by.seconds)
        return {"mode": world.clock.mode, "now": world.clock.now().isoformat()}

    @router.post("/clock/mode")
    async def set_mode(mode: Mode) -> Json:
        world.clock.set_mode(mode.mode)
        return {"mode": world.clock.mode, "now": world.clock.now().isoformat()}


def _add_views(router: APIRouter, world: World) -> None:
    @router.get("/stats")
    async def stats() -> Json:
        return world.stats.as_json()

    @router.get("/conversations")
    async def open_conversations(user_id: str | None = None) -> list[Json]:
        """What is open now, with what the agent knows."""
        return [session.as_json() for session in world.sessions.values() if user_id in (None, session.user_id)]

    @router.get("/conversations/{conversation_id}/wire")
    async def wire(conversation_id: str) -> Json:
        log = world.logs.get(conversation_id)
        if log is None:
            raise HTTPException(404, "no such conversation, or its log was forgotten")
        return {"conversation_id": conversation_id, "keepalives": log.keepalives, "frames": log.as_json()}

    @router.post("/assert")
    async def expect(expectation: Expectation) -> Json:
        mismatches = check(world, expectation)
        if mismatches:
            raise HTTPException(409, mismatches)
        return {"ok": True}

    @router.post("/reset")
    async def reset() -> Json:
        world.reset()
        return {"ok": True}
