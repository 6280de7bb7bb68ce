"""Every row of the fault table, seen from the client's end of the wire."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import httpx
import pytest
from pydantic import ValidationError
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sandbox.elevenlabs import ElevenLabsSimulator
from sandbox.elevenlabs.errors import CLOSE_CODES
from sandbox.elevenlabs.socket import WireSocket
from tests.contracts.sandbox_elevenlabs.chat import Chat, said, types

QUOTA = "This request exceeds your quota limit."


async def test_a_rejected_handshake_has_status_and_body(sim: ElevenLabsSimulator) -> None:
    sim.fault("http", at="handshake", status=429, retry_after=3)
    with pytest.raises(InvalidStatus) as refused:
        await Chat(sim, "echo").__aenter__()
    response = refused.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (429, "3")
    assert json.loads(response.body or b"")["detail"]["code"] == "too_many_concurrent_requests"
    async with Chat(sim, "echo") as chat:
        await chat.init()  # once only


@pytest.mark.parametrize("at", ["init", "before_reply", "mid_stream", "between_segments", "after_reply", "idle"])
async def test_a_reset_at_every_point_is_1006(sim: ElevenLabsSimulator, at: Any) -> None:
    sim.fault("abort", at=at)
    async with Chat(sim) as chat:
        await chat.send_init()
        await chat.send("user_message", text="¿cómo va mi pedido?")  # two segments and a tool
        assert (await chat.closed())[0] == 1006
    said_before = {"between_segments": 1, "after_reply": 2}.get(at, 0)
    assert len(said(chat.frames)) == said_before
    assert ("agent_chat_response_part" in types(chat.frames)) is (
        at in ("mid_stream", "between_segments", "after_reply")
    )


@pytest.mark.parametrize(("error_type", "code"), sorted(CLOSE_CODES.items()))
async def test_every_error_type_has_its_frame_and_code(sim: ElevenLabsSimulator, error_type: str, code: int) -> None:
    sim.fault("close", code=code, reason=error_type, error_type=error_type, error_frame="nested")
    async with Chat(sim, "echo") as chat:
        await chat.init()
        await chat.send("user_message", text="hola")
        assert await chat.closed() == (code, error_type)
    assert chat.frames[-1]["error_event"]["error_type"] == error_type


@pytest.mark.parametrize("code", [1000, 1002, 1008, 1011, 3000, 3008])
@pytest.mark.parametrize("frame", ["none", "flat"])
async def test_close_codes_with_and_without_error_frame(sim: ElevenLabsSimulator, code: int, frame: str) -> None:
    sim.fault("close", code=code, reason=QUOTA, error_frame=frame)
    async with Chat(sim, "echo") as chat:
        await chat.init()
        await chat.send("user_message", text="hola")
        assert await chat.closed() == (code, QUOTA)
    assert chat.frames[1:] == ([{"type": "error", "message": QUOTA}] if frame == "flat" else [])


@pytest.mark.parametrize(("kind", "at"), [("accept_hang", "handshake"), ("no_metadata", "init"), ("blackhole", "init")])
async def test_a_handshake_after_which_nothing_comes(sim: ElevenLabsSimulator, kind: str, at: Any) -> None:
    sim.fault(kind, at=at)
    async with Chat(sim, "echo") as chat:
        await chat.send_init()
        if kind != "blackhole":
            await chat.settle()  # alive below, mute above
        await sim.clock.advance(120)
        assert chat.frames == []
        chat.ws.transport.abort()


async def test_wrong_first_frame(sim: ElevenLabsSimulator) -> None:
    sim.fault("wrong_first_frame", at="init")
    async with Chat(sim, "echo") as chat:
        await chat.init()
    assert types(chat.frames) == ["ping", "conversation_initiation_metadata"]


async def test_malformed_unknown_and_huge_frames(sim: ElevenLabsSimulator) -> None:
    sim.fault("unknown_type")
    sim.fault("huge_frame", bytes=20_000_000)
    async with Chat(sim, "echo") as chat:
        await chat.init()
        frames = await chat.turn("hola")
        assert types(frames)[:2] == ["vad_score_v9", "internal_debug"]
        assert len(frames[1]["padding"]) == 20_000_000
        assert said(frames) == ["hola"]
        sim.fault("malformed_json")
        await chat.send("user_message", text="otra")
        with pytest.raises(json.JSONDecodeError):
            await chat.recv()
    huge = next(e for e in sim.wire(chat.conversation_id) if e.get("size", 0) > 1_000)
    assert len(huge["raw"]) < 5_000  # the log keeps the head only


async def test_dropped_duplicated_and_reordered_events(sim: ElevenLabsSimulator) -> None:
    sim.agent("echo").emission = "response_only"
    async with Chat(sim, "echo") as chat:
        await chat.init()
        sim.fault("drop_event", type="agent_response")
        assert types(await chat.turn("a")) == ["agent_response_complete"]
        sim.fault("duplicate_event", type="agent_response")
        first, second, _ = await chat.turn("b")
        assert first == second
        sim.fault("reorder")
        assert types(await chat.turn("c", end="agent_response")) == ["agent_response_complete", "agent_response"]
        sim.fault("drop_event", type="agent_response_complete")
        await chat.turn("d", end="agent_response")
        assert types(await chat.turn("e")) == ["agent_response", "agent_response_complete"]


async def test_an_ignored_message_leaves_no_trace(sim: ElevenLabsSimulator) -> None:
    sim.fault("ignore_user_message", match={"nth_message": 2, "text_regex": "dos"})
    async with Chat(sim, "echo") as chat:
        await chat.init()
        assert await chat.ask("uno") == "uno"
        await chat.send("user_message", text="dos")
        assert await chat.ask("tres") == "tres"
    assert sim.stats()["ignored"] == 1


def parts(chat: Chat, since: int) -> list[str]:
    """Pings come in real time, and so in between."""
    return [f["text_response_part"]["type"] for f in chat.frames[since:] if "text_response_part" in f]


async def test_a_stall_and_slowness_last_as_long_as_said(sim: ElevenLabsSimulator) -> None:
    sim.clock.set_mode("virtual")
    sim.agent("echo").latency.first_event.p50 = 1_000
    sim.fault("slow", factor=3)
    sim.fault("stall_mid_stream", at="mid_stream", ms=4_000)
    async with Chat(sim, "echo") as chat:
        await chat.init()
        await chat.send("user_message", text="uno dos tres cuatro")
        for seconds, last in ((2.9, []), (0.2, ["start", "delta"]), (3.7, []), (0.3, ["delta", "stop"])):
            before = len(chat.frames)
            await chat.settle()
            await sim.clock.advance(seconds)
            while len(parts(chat, before)) < len(last):
                await chat.recv()
            await chat.settle()
            assert parts(chat, before) == last
        await chat.until("agent_response_complete")


async def test_a_queue_after_the_message_was_sent(sim: ElevenLabsSimulator) -> None:
    sim.fault("queue", wait_ms=5_000)
    async with Chat(sim, "echo") as chat:
        await chat.init()
        await chat.send("user_message", text="perdido")
        assert (await chat.recv())["queue_status_event"]["status"] == "waiting"
        await chat.send("contextual_update", text="también perdido")
        await chat.settle()
        await sim.clock.advance(5)
        assert (await chat.recv())["queue_status_event"]["status"] == "admitted"
        assert await chat.ask("de nuevo") == "de nuevo"
    assert sim.stats()["discarded_in_queue"] == 2


async def test_who_a_fault_is_for(sim: ElevenLabsSimulator) -> None:
    fault = sim.fault("close", at="init", match={"user_id": "u2", "nth_session": 2}, code=1011)
    for user, code in (("u1", None), ("u2", None), ("u2", 1011), ("u2", None)):
        async with Chat(sim, "echo") as chat:
            await chat.send_init(user_id=user)
            if code:
                assert (await chat.closed())[0] == code
            else:
                await chat.recv()
    assert fault.fired == 1
    sim.fault("close", code=1011, times=None, probability=0.5)
    outcomes = []
    for _ in range(20):
        async with Chat(sim, "echo") as chat:
            await chat.init()
            try:
                outcomes.append(await chat.ask("x"))
            except ConnectionClosed:
                outcomes.append("closed")
    assert 3 < outcomes.count("closed") < 17


def test_a_fault_that_cannot_happen_is_refused(sim: ElevenLabsSimulator) -> None:
    for kind, at in (("http", "idle"), ("queue", "rest.get"), ("reorder", "handshake"), ("close", "webhook")):
        with pytest.raises(ValidationError):
            sim.fault(kind, at=at)  # type: ignore[arg-type]


async def test_rest_faults(sim: ElevenLabsSimulator) -> None:
    sim.call("+52", conversation_id="conv_1")
    async with httpx.AsyncClient(base_url=sim.url, headers={"xi-api-key": "sk_sim"}) as rest:
        sim.fault("http", at="rest.get", status=429, retry_after=2)
        sim.fault("malformed_json", at="rest.summary")
        busy = await rest.get("/v1/convai/conversations/conv_1")
        assert (busy.status_code, busy.headers["retry-after"]) == (429, "2")
        broken = await rest.get("/v1/convai/conversations/conv_1/summary")
        with pytest.raises(json.JSONDecodeError):
            broken.json()
        assert (await rest.get("/v1/convai/conversations/conv_1")).status_code == 200
        for method, path, status in (
            ("POST", "/v1/convai/conversations/start", 405),
            ("POST", "/v1/convai/conversations/conv_1/message", 404),
            ("POST", "/v1/convai/conversation/text", 404),
            ("POST", "/v1/convai/conversations/conv_1/files", 404),
        ):
            assert (await rest.request(method, path)).status_code == status


def test_a_client_that_left_a_moment_ago_is_not_let_in() -> None:
    """Its end was read, and the transport has not said yet that it is gone."""
    connections: set[Any] = set()
    state = SimpleNamespace(connections=connections)
    socket = WireSocket(lambda *_: None, config=None, server_state=state, app_state=None)
    socket.connection_made(MagicMock(**{"is_closing.return_value": True}))
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    socket.data_received("\r\n".join(("GET / HTTP/1.1", "Host: sim", *upgrade, key, "", "")).encode())
    socket.eof_received()
    assert not socket.accept(MagicMock())
    socket.reject(503, "{}")


async def test_a_timer_that_raises_stops_no_other(sim: ElevenLabsSimulator) -> None:
    raised: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, about: raised.append(about))
    try:
        sim.clock.call_later(0.01, lambda: 1 / 0)
        async with asyncio.timeout(2):
            await sim.clock.sleep(0.02)
    finally:
        loop.set_exception_handler(None)
    assert len(raised) == 1
