"""The plain course of a conversation: handshake, start, turns, end."""

import json
from itertools import pairwise

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from sandbox.elevenlabs import AgentFixture, ElevenLabsSimulator
from tests.contracts.sandbox_elevenlabs.chat import TEXT, Chat, said, types, ws_url


async def test_a_turn_is_parts_then_response_then_complete(sim: ElevenLabsSimulator) -> None:
    async with Chat(sim, "echo") as chat:
        await chat.init()
        frames = await chat.turn("uno dos tres cuatro cinco seis siete ocho nueve diez")
    parts = [f["text_response_part"] for f in frames if f["type"] == "agent_chat_response_part"]
    assert [p["type"] for p in parts] == ["start", *["delta"] * 5, "stop"]
    assert "".join(p["text"] for p in parts) == said(frames)[0]
    assert types(frames)[-2:] == ["agent_response", "agent_response_complete"]
    assert {f.get("agent_response_complete_event", {}).get("event_id", 2) for f in frames} == {2}
    assert len({p["response_id"] for p in parts}) == 1


@pytest.mark.parametrize(
    ("emission", "tail"),
    [
        ("response_before_stop", ["agent_chat_response_part", "agent_response", "agent_chat_response_part"]),
        ("response_only", ["agent_response"]),
    ],
)
async def test_emission_orders(sim: ElevenLabsSimulator, emission: str, tail: list[str]) -> None:
    sim.agent("echo").emission = emission  # type: ignore[assignment]
    async with Chat(sim, "echo") as chat:
        await chat.init()
        frames = types(await chat.turn("hola"))
    assert frames[-1 - len(tail) :] == [*tail, "agent_response_complete"]


async def test_what_is_not_in_client_events_is_not_sent(sim: ElevenLabsSimulator) -> None:
    sim.agent("echo").client_events = ["conversation_initiation_metadata", "agent_response_complete"]
    async with Chat(sim, "echo") as chat:
        await chat.init()
        assert types(await chat.turn("hola")) == ["agent_response_complete"]


async def test_the_first_message_is_event_1_unless_overridden(sim: ElevenLabsSimulator) -> None:
    async with Chat(sim) as chat:
        await chat.init({"conversation": {"text_only": True}})
        first = await chat.until("agent_response")
        await chat.until("agent_response_complete")
        assert (await chat.turn("hola"))[-1]["agent_response_complete_event"]["event_id"] == 2
    assert first["agent_response_event"]["event_id"] == 1
    assert first["agent_response_event"]["agent_response"].startswith("Hola, soy Eva")
    async with Chat(sim) as chat:
        await chat.init()
        assert "Eva" not in (await chat.ask("gracias"))


@pytest.mark.parametrize("race", ["interrupt", "swallow", "skip"])
async def test_first_message_race(sim: ElevenLabsSimulator, race: str) -> None:
    agent = sim.agent("echo")
    agent.first_message, agent.first_message_delay_ms = "Hola, soy Eva.", 30_000
    agent.first_message_race = race  # type: ignore[assignment]
    async with Chat(sim, "echo") as chat:
        await chat.init({"conversation": {"text_only": True}})
        await chat.send("user_message", text="ya")
        await chat.settle()
        await sim.clock.advance(30)
        await chat.send("user_message", text="fin")
        while "fin" not in said(chat.frames):
            await chat.recv()
    expected = {
        "interrupt": ["Hola, soy Eva.", "ya", "fin"],
        "swallow": ["Hola, soy Eva.", "fin"],
        "skip": ["ya", "fin"],
    }
    assert said(chat.frames) == expected[race]
    assert sim.stats()["swallowed"] == (race == "swallow")


async def test_a_second_message_interrupts_the_first(sim: ElevenLabsSimulator) -> None:
    sim.agent("echo").latency.chunk.p50 = 1_000
    async with Chat(sim, "echo") as chat:
        await chat.init()
        await chat.send("user_message", text="uno dos tres cuatro cinco seis siete ocho")
        while "delta" not in json.dumps(chat.frames):
            await chat.recv()
        sim.agent("echo").latency.chunk.p50 = 0
        frames = await chat.turn("basta")
    correction = next(f for f in frames if f["type"] == "agent_response_correction")
    event = correction["agent_response_correction_event"]
    assert event["original_agent_response"].startswith(event["corrected_agent_response"])
    assert event["corrected_agent_response"] == "uno dos"
    assert said(frames) == ["basta"]
    assert sim.stats()["interruptions"] == 1


async def test_empty_messages_get_no_answer(sim: ElevenLabsSimulator) -> None:
    async with Chat(sim, "counter") as chat:
        await chat.init()
        await chat.send("user_message", text="")
        await chat.send("user_message", text=None)
        assert (await chat.ask("x")).startswith("n=1 ")


async def test_a_voice_session_shows_itself_by_audio(sim: ElevenLabsSimulator) -> None:
    async with Chat(sim, "echo") as chat:
        await chat.init({})
        assert "audio" in types(await chat.turn("hola"))
        assert chat.conversation_id
    record = sim.world.records.get(chat.conversation_id)
    assert record is not None
    assert record.text_only is False


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (" ", "not a JSON object"),
        ('{"text":"x"}', "not a JSON object"),
        ('{"type":"message","role":"user"}', "Unknown message type"),
        (b"\x00", "Binary"),
    ],
)
async def test_nonsense_closes_1008(sim: ElevenLabsSimulator, frame: str | bytes, reason: str) -> None:
    async with Chat(sim, "echo") as chat:
        await chat.init()
        await chat.ws.send(frame)
        code, text = await chat.closed()
    assert (code, reason in text) == (1008, True)


async def test_the_first_frame_must_be_the_initiation(sim: ElevenLabsSimulator) -> None:
    async with Chat(sim, "echo") as chat:
        await chat.send("user_message", text="hola")
        assert (await chat.closed())[0] == 1008
    async with Chat(sim, "echo") as chat:
        await chat.settle()
        await sim.clock.advance(10)
        assert (await chat.closed())[0] == 1008
        assert chat.frames[-1]["error_event"]["error_type"] == "missing_fields"


@pytest.mark.parametrize(
    ("fields", "error_type", "reason"),
    [
        (
            {"override": {"agent": {"language": "en"}}},
            "override_error",
            "Override for field language is not allowed by config.",
        ),
        ({}, "missing_dynamic_variable", "Missing required dynamic variables in prompt: {'plan'}"),
        ({"dynamic_variables": {"system__x": "1"}}, None, "reserved"),
        ({"dynamic_variables": {"plan": {"a": 1}}}, "value_error", "string, number or boolean"),
        ({"dynamic_variables": {"plan": "a"}, "procedure_ids": ["p"]}, "value_error", "procedure_ids"),
    ],
)
async def test_bad_initiations(
    sim: ElevenLabsSimulator, fields: dict[str, object], error_type: str | None, reason: str
) -> None:
    sim.agent("echo").required_variables = ["plan"]
    async with Chat(sim, "echo") as chat:
        await chat.send_init(**fields)  # type: ignore[arg-type]
        code, text = await chat.closed()
    assert code == 1008
    assert reason in text
    assert [f["error_event"]["error_type"] for f in chat.frames] == ([error_type] if error_type else [])


async def test_unknown_overrides_are_a_warning_or_strictly_an_error(sim: ElevenLabsSimulator) -> None:
    async with Chat(sim, "echo") as chat:
        await chat.init({"text_only": True})
    assert sim.stats()["warnings"] == {"unknown override text_only": 1}
    assert any(e.get("note") == "warning" for e in sim.wire(chat.conversation_id))
    sim.agent("echo").strict = True
    async with Chat(sim, "echo") as chat:
        await chat.send_init({"text_only": True})
        assert (await chat.closed())[0] == 1008


async def test_authorization(sim: ElevenLabsSimulator) -> None:
    for agent_id, key, reason in (
        ("echo", None, "Could not authorize the conversation."),
        ("echo", "sk_wrong", "Could not authorize the conversation."),
        ("nobody", "sk_sim", "The AI agent you are trying to reach does not exist."),
    ):
        async with Chat(sim, agent_id, key=key) as chat:
            assert await chat.closed() == (3000, reason)
    sim.agent("echo").public = True
    async with Chat(sim, "echo", key=None) as chat:
        await chat.init()


async def test_signed_urls_expire_and_may_be_single_use(sim: ElevenLabsSimulator) -> None:
    async with httpx.AsyncClient(base_url=sim.url, headers={"xi-api-key": "sk_sim"}) as rest:

        async def signed(*, bound: bool = False) -> str:
            path = "/v1/convai/conversation/get-signed-url"
            answer = await rest.get(path, params={"agent_id": "echo", "include_conversation_id": bound})
            return str(answer.json()["signed_url"])

        many, once, old = await signed(), await signed(bound=True), await signed()
        assert (await rest.get("/v1/convai/conversation/get-signed-url", params={"agent_id": "x"})).status_code == 404
    assert [await _code(url) for url in (many, many)] == [None, None]
    assert "conversation_id=conv_" in once
    assert [await _code(url) for url in (once, once)] == [None, 3000]
    await sim.clock.advance(901)
    assert await _code(old) == 3000


async def _code(url: str) -> int | None:
    """The close code with which the server refuses, None if it starts a conversation."""
    async with connect(url, close_timeout=1) as ws:
        try:
            await ws.send(json.dumps({"type": "conversation_initiation_client_data"}))
            await ws.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006
    return None


async def test_subprotocol_and_unknown_paths(sim: ElevenLabsSimulator) -> None:
    asked = [Subprotocol("convai"), Subprotocol("bearer.x")]
    headers = {"xi-api-key": "sk_sim"}
    async with connect(ws_url(sim, "echo"), subprotocols=asked, additional_headers=headers) as ws:
        assert ws.subprotocol == "convai"
    with pytest.raises(InvalidStatus) as refused:
        await connect(ws_url(sim).replace("/conversation?", "/elsewhere?"))
    assert refused.value.response.status_code == 404


async def test_the_record_follows_the_conversation(sim: ElevenLabsSimulator) -> None:
    sim.agent("echo").analysis_delay_s = 5
    async with Chat(sim, "echo") as chat:
        await chat.init(user_id="+52", dynamic_variables={"channel": "whatsapp"})
        await chat.ask("hola")
        record = sim.world.records.get(chat.conversation_id)
        assert record
        assert record.as_json()["status"] == "in-progress"
    await _gone(sim)
    assert record.as_json()["status"] == "processing"
    await sim.clock.advance(5)
    shown = record.as_json()
    assert (shown["status"], shown["metadata"]["text_only"], shown["user_id"]) == ("done", True, "+52")
    assert [turn["role"] for turn in shown["transcript"]] == ["user", "agent"]
    assert "hola" in shown["analysis"]["transcript_summary"]


async def test_an_aborted_client_leaves_a_failed_record(sim: ElevenLabsSimulator) -> None:
    async with Chat(sim, "echo") as chat:
        await chat.init()
        chat.ws.transport.abort()
        await _gone(sim)
    record = sim.world.records.get(chat.conversation_id)
    assert record
    assert record.status == "failed"
    assert record.error
    assert record.error["error_type"] == "websocket_disconnect"


async def _gone(sim: ElevenLabsSimulator) -> None:
    """Until the server has seen every client leave."""
    async with httpx.AsyncClient(base_url=sim.url) as rest:
        while (await rest.get("/__sim/stats")).json()["open"]:
            pass


async def test_every_frame_is_in_the_wire_log(sim: ElevenLabsSimulator) -> None:
    async with Chat(sim, "echo") as chat:
        await chat.init()
        await chat.ask("hola")
    await _gone(sim)
    log = sim.wire(chat.conversation_id)
    assert [e["frame"]["type"] for e in log if e["dir"] == "in"] == [
        "conversation_initiation_client_data",
        "user_message",
    ]
    assert [e["frame"] for e in log if e["dir"] == "out"] == chat.frames
    assert log[0]["phase"] == "await_init"
    assert (log[-1]["dir"], log[-1]["code"], log[-1]["by"]) == ("close", 1000, "client")
    assert all(a["ms"] <= b["ms"] for a, b in pairwise(log))


async def test_public_overrides_reach_the_session(sim: ElevenLabsSimulator) -> None:
    agent: AgentFixture = sim.agent("echo")
    agent.allow_overrides = [*agent.allow_overrides, "conversation.max_duration_seconds"]
    async with Chat(sim, "echo") as chat:
        await chat.init({**TEXT, "conversation": {"text_only": True, "max_duration_seconds": 61}})
        await sim.clock.advance(30)
        await chat.send("user_activity")
        await chat.settle()
        await sim.clock.advance(31)
        assert (await chat.closed())[0] == 1000
        assert chat.frames[-1]["error_event"]["error_type"] == "max_duration_exceeded"
