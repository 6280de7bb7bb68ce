"""Admission, queues, time limits and pings."""

from typing import Any

import pytest

from sandbox.elevenlabs import ElevenLabsSimulator, Limits, Queueing
from tests.contracts.sandbox_elevenlabs.chat import Chat, said, types

TOO_MANY = (3008, "too many concurrent connections")


@pytest.mark.parametrize("limits", [Limits(workspace_chat=1), Limits(agent=1), Limits(daily=1)])
async def test_one_too_many_is_3008(sim: ElevenLabsSimulator, limits: Limits) -> None:
    sim.agent("echo").limits = limits
    async with Chat(sim, "echo") as first, Chat(sim, "echo") as second:
        await first.init()
        await second.send_init()
        assert await second.closed() == TOO_MANY
        assert await first.ask("hola") == "hola"


async def test_handshakes_count_against_the_voice_total_first(sim: ElevenLabsSimulator) -> None:
    sim.clock.set_mode("virtual")
    sim.agent("echo").limits = Limits(workspace_voice=1)
    async with Chat(sim, "echo") as first, Chat(sim, "echo") as second:
        await first.init()
        assert await second.closed() == TOO_MANY  # although both are chats
        assert sim.stats()["handshakes_in_flight"] == 1
        await sim.clock.advance(0.2)
        async with Chat(sim, "echo") as third:
            await third.init()
    assert sim.stats()["peak_handshakes"] == 1


async def test_the_queue_admits_when_somebody_leaves(sim: ElevenLabsSimulator) -> None:
    sim.agent("echo").limits = Limits(workspace_chat=1)
    sim.agent("echo").queueing = Queueing(enabled=True)
    sim.agent("echo").first_message = "Hola."
    async with Chat(sim, "echo") as second:
        async with Chat(sim, "echo") as first:
            await first.init()
            await second.init({"conversation": {"text_only": True}})
            await second.until("queue_status")
            assert types(second.frames)[1:] == ["agent_response", "agent_response_complete", "queue_status"]
            await second.send("user_message", text="perdido")
            await second.settle()
        assert (await second.until("queue_status"))["queue_status_event"]["status"] == "admitted"
        assert await second.ask("hola") == "hola"
    assert sim.stats()["discarded_in_queue"] == 1
    assert said(second.frames) == ["Hola.", "hola"]


async def test_the_queue_times_out_with_3008(sim: ElevenLabsSimulator) -> None:
    sim.agent("echo").limits = Limits(workspace_chat=0)
    sim.agent("echo").queueing = Queueing(enabled=True, wait_timeout_s=10)
    async with Chat(sim, "echo") as chat:
        await chat.init()
        await chat.until("queue_status")
        await sim.clock.advance(10)
        assert (await chat.until("queue_status"))["queue_status_event"]["status"] == "timed_out"
        await sim.clock.advance(0.4)
        assert await chat.closed() == TOO_MANY


@pytest.mark.parametrize(
    ("mode", "frame", "survives"),
    [
        ("any_frame", "pong", True),
        ("any_frame", "user_activity", True),
        ("user_input_or_activity", "pong", False),
        ("user_input_or_activity", "user_activity", True),
        ("user_input", "user_activity", False),
        ("user_input", "user_message", True),
    ],
)
async def test_idle_modes(sim: ElevenLabsSimulator, mode: Any, frame: str, survives: bool) -> None:
    sim.clock.set_mode("virtual")
    sim.agent("echo").idle_reset_on = mode
    async with Chat(sim, "echo") as chat:
        await chat.init()
        for _ in range(3):
            await sim.clock.advance(25)
            if chat.ws.close_code is None and frame != "silence":
                await _poke(chat, frame)
        if survives:
            assert await chat.ask("sigo") == "sigo"
        else:
            code, reason = await chat.closed()
            assert (code, "No user input" in reason) == (1002, True)
            assert chat.frames[-1]["error_event"]["error_type"] == "transport_receive_timeout"


async def _poke(chat: Chat, frame: str) -> None:
    from websockets.exceptions import ConnectionClosed

    try:
        if frame == "user_message":
            await chat.ask("hola")
        else:
            await chat.send(frame, event_id=1)
            await chat.settle()
    except ConnectionClosed:
        pass


async def test_max_duration_says_goodbye_and_closes_1000(sim: ElevenLabsSimulator) -> None:
    agent = sim.agent("echo")
    agent.max_duration_message, agent.idle_receive_timeout_s = "Se acabó el tiempo.", None
    async with Chat(sim, "echo") as chat:
        await chat.init()
        await sim.clock.advance(601)
        assert (await chat.closed())[0] == 1000
    assert said(chat.frames) == ["Se acabó el tiempo."]
    assert chat.frames[-1]["error_event"]["error_type"] == "max_duration_exceeded"


async def test_a_silent_user_is_asked_once(sim: ElevenLabsSimulator) -> None:
    sim.agent("echo").turn_timeout = 7
    async with Chat(sim, "echo") as chat:
        await chat.init()
        await chat.ask("hola")
        await chat.settle()
        await sim.clock.advance(30)
        assert (await chat.until("agent_response"))["agent_response_event"] == {
            "agent_response": "¿Sigues ahí?",
            "event_id": 3,
            "response_id": chat.frames[-1]["agent_response_event"]["response_id"],
        }
        assert said(await chat.turn("sí", end="agent_response"))[-1:] != ["¿Sigues ahí?"]


async def test_a_slow_brain_is_an_llm_timeout(sim: ElevenLabsSimulator) -> None:
    sim.agent("echo").latency.first_event.p50 = 25_000
    async with Chat(sim, "echo") as chat:
        await chat.init()
        await chat.send("user_message", text="hola")
        await chat.settle()
        await sim.clock.advance(20)
        assert (await chat.closed())[0] == 1002
    assert chat.frames[-1]["error_event"]["error_type"] == "llm_timeout"


async def test_missed_pongs_are_a_reset(sim: ElevenLabsSimulator) -> None:
    sim.agent("echo").ping.every_s = 0.01
    async with Chat(sim, "echo") as chat:
        await chat.init()
        for _ in range(8):
            await chat.until("ping")
        assert sim.stats()["pongs"] >= 7
        chat.pong = False
        assert (await chat.closed())[0] == 1006
    assert sim.stats()["missed_pongs"] >= 5
