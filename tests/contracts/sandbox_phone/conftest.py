"""The phone with both simulators behind it; the main backend and the machine are played here."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest

from sandbox.backend import Backend, app
from sandbox.elevenlabs.simulator import ElevenLabsSimulator
from sandbox.layout import Layout, Ports
from sandbox.lives import Lives
from sandbox.phone.app import Phone
from sandbox.phone.people import MADE_UP
from sandbox.twilio import Profile, TwilioSimulator
from sandbox.twilio.listener import Listener
from tests.contracts.sandbox_twilio.hooks import Hooks
from tests.running import eventually


class PlayedBackend:
    """What it was told, and what it says Hilo told it."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.notices: list[dict[str, Any]] = []

    async def publish(self, call: dict[str, Any]) -> dict[str, int]:
        self.calls.append(call)
        return {"partition": 0, "offset": len(self.calls)}

    async def wait(self, contact: str | None, after: int, seconds: float) -> list[dict[str, Any]]:
        assert contact is None
        assert seconds > 0
        await asyncio.sleep(0.02)  # shorter than asked for: nobody shall wait for it at the end
        return [one for one in self.notices if one["n"] > after]

    def running(self, _app: object) -> None:
        raise AssertionError("its lifespan is off")


class PlayedMachine:
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.lives = Lives()
        self.killed: list[str] = []
        self.restarted: list[str] = []
        for part in ("ingress", "processor", "kafka"):
            self.lives.rose(part)

    def kill(self, part: str) -> None:
        if part not in {"ingress", "processor"}:
            raise KeyError(part)
        self.killed.append(part)

    async def restart(self, part: str) -> None:
        self.restarted.append(part)
        self.lives.fell(part)
        self.lives.rose(part)


@dataclass
class Scene:
    twilio: TwilioSimulator
    agent: ElevenLabsSimulator
    hooks: Hooks
    backend: PlayedBackend
    machine: PlayedMachine
    phone: Phone
    http: httpx.AsyncClient
    """A page's: same Host, same Origin."""

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.http.post(f"/api/{path}", json=body)

    async def state(self) -> dict[str, Any]:
        told: dict[str, Any] = (await self.http.get("/api/state")).json()
        return told

    async def webhooks(self, count: int) -> list[dict[str, str]]:
        async def came() -> bool:
            return len(self.hooks.requests) >= count

        await eventually(came, f"{count} webhooks")
        return [hook.form for hook in self.hooks.requests]


@dataclass
class Events:
    """A page's stream: every event it was told."""

    told: list[tuple[str, Any]] = field(default_factory=list)

    def of(self, kind: str) -> list[Any]:
        return [data for name, data in self.told if name == kind]

    async def has(self, kind: str, wanted: Callable[[Any], bool] = lambda _: True) -> Any:
        async def seen() -> bool:
            return any(wanted(data) for data in self.of(kind))

        await eventually(seen, f"the event {kind} among {[name for name, _ in self.told]}")
        return next(data for data in self.of(kind) if wanted(data))


@asynccontextmanager
async def listening(scene: Scene) -> AsyncIterator[Events]:
    events = Events()

    async def read() -> None:
        kind = ""
        async with scene.http.stream("GET", "/api/events", timeout=None) as response:
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    events.told.append((kind, json.loads(value)))

    task = asyncio.create_task(read())
    try:
        await events.has("all")
        yield events
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    ports = Ports.free()
    layout = Layout(str(tmp_path_factory.mktemp("phone")), ports)
    hooks, backend, machine = Hooks(), PlayedBackend(), PlayedMachine()
    doors = [hooks.listener, Listener(app(cast("Backend", backend)), port=ports.backend)]
    for door in doors:
        await door.start()
    profile = Profile(speed=1000, inbound_url=f"{hooks.url}/in")
    twilio = TwilioSimulator(profile, control_port=ports.twilio_control, clock_file=layout.clock_file)
    phone = Phone(layout, machine)
    url = layout.url("phone")
    async with (
        twilio,
        ElevenLabsSimulator(port=ports.elevenlabs) as agent,
        httpx.AsyncClient(base_url=url, headers={"origin": url}, trust_env=False) as http,
    ):
        await phone.start()
        yield Scene(twilio, agent, hooks, backend, machine, phone, http)
        await phone.stop()
    for door in doors:
        await door.stop()


@pytest.fixture
async def scene(stage: Scene) -> Scene:
    """The made-up people on their phones, and nothing left of the test before."""
    await stage.phone.troubles.all_well()
    await stage.twilio.idle()
    await stage.twilio.reset()
    stage.phone.layout.clock_file.unlink(missing_ok=True)
    stage.hooks.forget()
    for told in (stage.backend.calls, stage.machine.killed, stage.machine.restarted):
        told.clear()

    async def new() -> bool:
        people = (await stage.state())["people"]
        known = [one.traits.profile_name for one in stage.twilio.account.people]
        return sorted(one["name"] for one in people) == sorted(known) == sorted(name for name, _, _ in MADE_UP)

    await eventually(new, "the made-up people, and nobody else")
    return stage
