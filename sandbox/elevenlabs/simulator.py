"""The simulator as an object: `async with ElevenLabsSimulator() as sim: …`."""

import asyncio
import random
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from fastapi import FastAPI

from kit.clock import FileClock
from sandbox.elevenlabs.admission import Admission
from sandbox.elevenlabs.agents import AgentFixture, sandbox_agent
from sandbox.elevenlabs.calls import PhoneCall, place_call
from sandbox.elevenlabs.clock import SimClock
from sandbox.elevenlabs.control import build_control
from sandbox.elevenlabs.faults import Action, Fault, FaultBook, Match, Point
from sandbox.elevenlabs.handshake import Reception
from sandbox.elevenlabs.records import Record, Records
from sandbox.elevenlabs.rest import build_rest
from sandbox.elevenlabs.rest_speech import build_speech
from sandbox.elevenlabs.server import Server
from sandbox.elevenlabs.session import Session
from sandbox.elevenlabs.signed_urls import SignedUrls
from sandbox.elevenlabs.stats import Stats
from sandbox.elevenlabs.transcription import Heard
from sandbox.elevenlabs.webhook import WebhookCourier
from sandbox.elevenlabs.wire_log import WireLogs
from sandbox.elevenlabs.world import World

__all__ = ["ElevenLabsSimulator"]


class ElevenLabsSimulator:
    """ElevenLabs Agents on one port, for everything in §3–5 of the reference, well or badly behaved.

    With no agents it has `agent_sandbox` (no latency). Use as an async context manager, or `start` and
    `stop`. The same seed and the same order of events give the same ids, delays and chances.
    """

    def __init__(
        self,
        agents: Iterable[AgentFixture] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        clock_file: Path | None = None,
        webhook_url: str | None = None,
        webhook_secret: str = "",
        control_token: str | None = None,
    ) -> None:
        self._host, self._port = host, port
        self._fixtures = [sandbox_agent()] if agents is None else list(agents)
        self.world = _build_world(seed, clock_file)
        self.world.webhook.url, self.world.webhook.secret = webhook_url, webhook_secret
        self.world.set_agents(self._fixtures)
        app = FastAPI(title="ElevenLabs simulator", docs_url="/__sim/docs", openapi_url="/__sim/openapi.json")
        app.include_router(build_rest(self.world))
        app.include_router(build_speech(self.world))
        app.include_router(build_control(self.world, control_token))
        self._server = Server(app, Reception(self.world))

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::") else self._host
        return f"http://{host}:{self._server.port}"

    @property
    def clock(self) -> SimClock:
        return self.world.clock

    @property
    def sessions(self) -> dict[str, Session]:
        """Open conversations by id."""
        return {name: one for name, one in self.world.sessions.items() if isinstance(one, Session)}

    async def start(self) -> None:
        await self._server.start(self._host, self._port)

    async def stop(self) -> None:
        await self._server.stop()
        self.world.clock.stop()
        await self.world.webhook.stop()
        await asyncio.sleep(0)  # cancelled generations end

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def agent(self, agent_id: str = "agent_sandbox") -> AgentFixture:
        """The live fixture: assigning to its fields takes effect at once."""
        return self.world.agents[agent_id]

    def fault(
        self,
        kind: str,
        at: Point = "before_reply",
        *,
        match: dict[str, Any] | None = None,
        times: int | None = 1,
        probability: float = 1.0,
        **do: Any,
    ) -> Fault:
        """Add a fault; `do` are the fields of `Action` that its kind knows. Its `fired` counts."""
        action = Action.model_validate({"kind": kind, **do})
        narrowed = Match.model_validate(match or {})
        return self.world.faults.add(Fault(at=at, do=action, match=narrowed, times=times, probability=probability))

    def wire(self, conversation_id: str) -> list[dict[str, Any]]:
        """Frames both ways with `ms`, `dir` (in, out, close, note), `phase`, and `frame` or `raw`."""
        log = self.world.logs.get(conversation_id)
        return log.as_json() if log else []

    def stats(self) -> dict[str, Any]:
        return self.world.stats.as_json()

    def call(self, phone: str, **fields: Any) -> Record:
        """Seed a phone call (fields of `PhoneCall`); fires the webhook when it is `done`."""
        return place_call(self.world, PhoneCall(phone=phone, **fields))

    def recording(self, data: bytes, text: str, language: str = "spa") -> None:
        """Decide what a file says when it is transcribed; an empty text is silence."""
        self.world.recordings.tell(sha256(data).hexdigest(), Heard(text, language))

    def reset(self) -> None:
        """Forget faults, records, logs and counts; open conversations are reset (1006)."""
        self.world.reset()


def _build_world(seed: int, clock_file: Path | None) -> World:
    clock = SimClock(FileClock(clock_file) if clock_file else None)
    rng, stats = random.Random(seed), Stats()
    faults = FaultBook(rng)
    return World(
        clock=clock,
        rng=rng,
        stats=stats,
        faults=faults,
        admission=Admission(clock, stats),
        records=Records(),
        logs=WireLogs(clock.monotonic),
        webhook=WebhookCourier(clock, faults, stats),
        signed_urls=SignedUrls(clock),
    )
