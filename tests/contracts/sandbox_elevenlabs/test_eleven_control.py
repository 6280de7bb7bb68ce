"""The control plane, the post-call webhook, and the simulator as a process."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from websockets.http11 import Request as HandshakeRequest

from sandbox.elevenlabs import ElevenLabsSimulator, sign
from sandbox.elevenlabs.server import Server
from sandbox.elevenlabs.socket import WireSocket
from tests.contracts.sandbox_elevenlabs.chat import Chat

SECRET = "wsec_test"


class Backend:
    """A webhook receiver; answers with the statuses given, then 200."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.statuses: list[int] = []
        app = Starlette()
        app.add_route("/hook", self._receive, methods=["POST"])
        self.server = Server(app, _no_door)

    async def _receive(self, request: Request) -> Response:
        self.got.put_nowait((request.headers["elevenlabs-signature"], (await request.body()).decode()))
        return Response(status_code=self.statuses.pop(0) if self.statuses else 200)

    async def next(self) -> tuple[str, dict[str, Any]]:
        signature, body = await asyncio.wait_for(self.got.get(), 5)
        return signature, json.loads(body)


def _no_door(socket: WireSocket, request: HandshakeRequest) -> None:
    socket.abort()


@pytest_asyncio.fixture(loop_scope="session")
async def backend(sim: ElevenLabsSimulator) -> AsyncIterator[Backend]:
    running = Backend()
    await running.server.start("127.0.0.1", 0)
    sim.world.webhook.url = f"http://127.0.0.1:{running.server.port}/hook"
    sim.world.webhook.secret = SECRET
    yield running
    await running.server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def control(sim: ElevenLabsSimulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{sim.url}/__sim") as client:
        yield client


async def test_a_seeded_call_fires_the_signed_webhook(backend: Backend, control: httpx.AsyncClient) -> None:
    call = {"phone": "+5215550001111", "customer_name": "Ana", "summary": "Pidió cita.", "live": True}
    seeded = (await control.post("/calls", json=call)).json()
    assert seeded["status"] == "in-progress"
    ended = await control.post(f"/calls/{seeded['conversation_id']}/end")
    assert ended.json()["status"] == "done"
    signature, body = await asyncio.wait_for(backend.got.get(), 5)
    stamp = int(signature.split(",")[0][2:])
    assert sign(SECRET, stamp, body) == signature
    data = json.loads(body)["data"]
    assert data["metadata"]["phone_call"]["external_number"] == "+5215550001111"
    assert data["analysis"]["transcript_summary"] == "Pidió cita."
    assert data["conversation_initiation_client_data"]["dynamic_variables"]["customer_name"] == "Ana"


async def test_the_webhook_is_retried_on_schedule(sim: ElevenLabsSimulator, backend: Backend) -> None:
    sim.clock.set_mode("virtual")
    backend.statuses = [503, 429, 500]
    start = sim.clock.unix()
    sim.call("+52")
    await backend.next()
    for wait in (30, 120, 480):
        await _answered(sim)
        await sim.clock.advance(wait)
        await backend.next()
    await _answered(sim, 4)
    assert [d["status"] for d in sim.world.webhook.deliveries] == [503, 429, 500, 200]
    assert [d["at"] - start for d in sim.world.webhook.deliveries] == [0, 30, 150, 630]


async def _answered(sim: ElevenLabsSimulator, count: int | None = None) -> None:
    """Until every attempt made so far is written down, and the next wait has begun."""
    expected = count or sim.stats()["webhooks"]
    async with asyncio.timeout(5):
        while len(sim.world.webhook.deliveries) < expected:  # noqa: ASYNC110  (a turn of the loop, no time)
            await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_webhook_faults(sim: ElevenLabsSimulator, backend: Backend) -> None:
    sim.fault("webhook", at="webhook", duplicate=1)
    sim.call("+52", conversation_id="c1")
    assert [(await backend.next())[1]["data"]["conversation_id"] for _ in range(2)] == ["c1", "c1"]
    sim.fault("webhook", at="webhook", bad_signature=True)
    sim.call("+52", conversation_id="c2")
    signature, body = await asyncio.wait_for(backend.got.get(), 5)
    assert sign(SECRET, int(signature.split(",")[0][2:]), body) != signature
    sim.fault("webhook", at="webhook", skip=True)
    sim.call("+52", conversation_id="c3")
    sim.fault("webhook", at="webhook", out_of_order=True)
    sim.call("+52", conversation_id="c4")
    sim.call("+52", conversation_id="c5")
    assert [(await backend.next())[1]["data"]["conversation_id"] for _ in range(2)] == ["c5", "c4"]


async def test_text_sessions_fire_the_webhook_too(sim: ElevenLabsSimulator, backend: Backend) -> None:
    async with Chat(sim, "echo") as chat:
        await chat.init()
        await chat.ask("hola")
    _, body = await backend.next()
    assert body["data"]["metadata"]["text_only"] is True


async def test_control_over_http(sim: ElevenLabsSimulator, control: httpx.AsyncClient) -> None:
    changed = await control.put("/agents/echo", json={"emission": "response_only", "ping": {"every_s": 9}})
    assert changed.json()["ping"] == {"every_s": 9, "max_missed": 5}
    assert (await control.put("/agents/echo", json={"brain": "none"})).status_code == 422
    fault = {"at": "before_reply", "do": {"kind": "unknown_type"}, "match": {"agent_id": "echo"}}
    assert (await control.post("/faults", json=fault)).json()["id"] == "f1"
    async with Chat(sim, "echo") as chat:
        await chat.init(user_id="u1")
        await chat.send("contextual_update", text="x", context_id="prior_call")
        await chat.turn("hola")
        known = (await control.get("/conversations", params={"user_id": "u1"})).json()
        assert known[0]["contexts"] == {"prior_call": "x"}
        log = (await control.get(f"/conversations/{chat.conversation_id}/wire")).json()["frames"]
        assert [e["text"] for e in log if e.get("note") == "fault"] == ["unknown_type"]
        good = {"counts": {"user_messages": 1, "open": {"min": 1}, "closes.1000": 0}}
        assert (await control.post("/assert", json=good)).json() == {"ok": True}
        bad = await control.post("/assert", json={"counts": {"replies": {"max": 0}}})
        assert (bad.status_code, bad.json()["detail"][0]["got"]) == (409, 1)
        assert (await control.get("/faults")).json()[0]["fired"] == 1
        await control.post("/clock/mode", json={"mode": "virtual"})
        before = (await control.get("/clock")).json()["now"]
        assert (await control.post("/clock/advance", json={"seconds": 5})).json()["now"] > before
        await control.post("/reset")
        assert (await chat.closed())[0] == 1006
    assert (await control.get("/stats")).json()["user_messages"] == 0
    assert sim.agent("echo").emission == "parts_then_response"


async def test_a_control_token_is_asked_for() -> None:
    async with (
        ElevenLabsSimulator(control_token="t") as sim,
        httpx.AsyncClient(base_url=f"{sim.url}/__sim") as client,
    ):
        assert (await client.get("/stats")).status_code == 401
        assert (await client.get("/stats", headers={"X-Sim-Token": "t"})).status_code == 200


async def test_the_process_starts_talks_and_leaves_in_time(tmp_path: Path) -> None:
    agents = tmp_path / "agents.json"
    agents.write_text(json.dumps([{"agent_id": "mine", "brain": "echo"}]))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox.elevenlabs", "--port", "0", "--agents", str(agents)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    url = (await process.stdout.readline()).decode().split()[-1]
    async with httpx.AsyncClient(base_url=url) as client:
        listed = (await client.get("/__sim/agents")).json()
    assert [agent["agent_id"] for agent in listed] == ["agent_sandbox", "mine"]
    async with Chat(_At(url), "mine") as chat:  # type: ignore[arg-type]
        await chat.init()
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert (await chat.closed())[0] == 1001
        assert await process.wait() == 0
    assert time.monotonic() - started < 2


class _At:
    def __init__(self, url: str) -> None:
        self.url = url
