"""The agent client against the simulator: one socket, one question, one end to every story."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from kit.clock import SystemClock
from kit.metrics import Metrics
from processor.agent.client import AgentUnavailableError, Answer, PersistentAgent, Progress, Question
from processor.agent.context import prior_call
from processor.agent.elevenlabs import ElevenLabsAgent
from processor.agent.errors import AgentError
from processor.agent.timing import Timing
from sandbox.elevenlabs import AgentFixture, ElevenLabsSimulator, sandbox_agent
from sandbox.elevenlabs.steps import Rule, Say, ServerTool
from schemas.documents import CallDocument
from tests.conftest import FakeClock
from tests.unit.processor.states import NOW

CALL = CallDocument(id="call_1", contact="+525512345678", client_name="Ana", summary="tu cita del martes", at=NOW)
BRIEFED = prior_call(CALL)


@pytest.fixture
async def sim() -> AsyncIterator[ElevenLabsSimulator]:
    brains = [AgentFixture(agent_id=name, brain=name) for name in ("echo", "recall")]
    async with ElevenLabsSimulator([sandbox_agent(), *brains], seed=7) as running:
        yield running


QUICK = Timing(connect=2, init=0.3, greeting=0.2, first=0.3, settle=0.05, unsure=1, tool=2, close=0.2)
"""Waiting for silence is what these are for; tests of silence take a part of a second."""


def question(text: str, agent_id: str = "agent_sandbox", **more: Any) -> Question:
    variables = {"channel": "whatsapp", "customer_name": "Ana", "has_prior_call": "false"}
    return Question("conv_1", agent_id, "+525512345678", text, variables=variables, **more)


def once(sim: ElevenLabsSimulator, key: str = "sk_sim") -> ElevenLabsAgent:
    return ElevenLabsAgent(sim.url, key, SystemClock(), size=0, timing=QUICK)


async def failure(agent: ElevenLabsAgent, asked: Question) -> AgentError:
    with pytest.raises(AgentError) as caught:
        await agent.ask(asked)
    return caught.value


def frames(sim: ElevenLabsSimulator, answer: Answer, way: str = "in") -> list[dict[str, Any]]:
    return [entry["frame"] for entry in sim.wire(answer.conversation_id) if entry["dir"] == way]


async def test_a_question_is_answered(sim: ElevenLabsSimulator) -> None:
    answer = await once(sim).ask(question("hola"))
    assert answer.messages == ["¡Hola, Ana! Soy Eva. ¿En qué te puedo ayudar?"]
    assert answer.conversation_id.startswith("conv_")
    assert (answer.tools, answer.attempts) == ([], 1)


async def test_the_agent_knows_what_the_call_was_about(sim: ElevenLabsSimulator) -> None:
    answer = await once(sim).ask(question("¿de qué hablamos?", prior_call=BRIEFED))
    assert "tu cita del martes" in answer.messages[0]


async def test_context_goes_before_the_question_and_the_session_is_text_only(sim: ElevenLabsSimulator) -> None:
    answer = await once(sim).ask(question("¿y antes?", "recall", prior_call=BRIEFED, history="client: «hola»"))
    assert answer.messages == ["client: «hola»"]
    sent = frames(sim, answer)
    assert [frame["type"] for frame in sent] == [
        "conversation_initiation_client_data",
        "contextual_update",
        "contextual_update",
        "user_message",
    ]
    assert [frame.get("context_id") for frame in sent[1:3]] == ["prior_call", "wa_history"]
    assert sent[0]["conversation_config_override"]["conversation"] == {"text_only": True}
    record = sim.world.records.get(answer.conversation_id)
    assert record
    assert record.text_only
    assert sim.stats()["warnings"] == {}


async def test_an_endless_question_is_cut(sim: ElevenLabsSimulator) -> None:
    answer = await once(sim).ask(question("x" * 10_000, "echo"))
    assert answer.messages == ["x" * 4000]


async def test_several_segments_are_several_messages(sim: ElevenLabsSimulator) -> None:
    answer = await once(sim).ask(question("¿cómo va mi pedido?"))
    assert answer.messages == ["Un momento, lo consulto.", "Tu solicitud está en marcha y llega mañana por la tarde."]


async def test_a_slow_tool_does_not_cut_the_answer(sim: ElevenLabsSimulator) -> None:
    steps = [Say(text="Un momento."), ServerTool(name="get_order", ms=500), Say(text="Llega mañana.")]
    sim.agent("agent_sandbox").rules = [Rule(match="", steps=steps)]
    answer = await once(sim).ask(question("¿cómo va mi pedido?"))
    assert answer.messages == ["Un momento.", "Llega mañana."]


@pytest.mark.parametrize("emission", ["parts_then_response", "response_before_stop", "response_only"])
async def test_every_order_of_frames_is_one_answer(sim: ElevenLabsSimulator, emission: str) -> None:
    sim.agent("echo").emission = emission  # type: ignore[assignment]
    assert (await once(sim).ask(question("uno dos tres", "echo"))).messages == ["uno dos tres"]


async def test_without_the_complete_event_a_pause_ends_the_answer(sim: ElevenLabsSimulator) -> None:
    sim.agent("echo").omit_complete = True
    assert (await once(sim).ask(question("hola", "echo"))).messages == ["hola"]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        pytest.param("prueba correccion", ["Tu cita es el martes a las diez."], id="corrected"),
        pytest.param("prueba repetida", ["Esto lo digo una sola vez."], id="sent again"),
        pytest.param("prueba vacia", [], id="empty"),
        pytest.param("prueba silencio", [], id="nothing said"),
        pytest.param("prueba colgar", ["Hasta luego."], id="hung up after its answer"),
    ],
)
async def test_awkward_answers(sim: ElevenLabsSimulator, text: str, messages: list[str]) -> None:
    assert (await once(sim).ask(question(text))).messages == messages


@pytest.mark.parametrize(("text", "ran"), [("hola", False), ("quiero hablar con una persona", True)])
async def test_a_tool_that_runs_is_told_at_once(sim: ElevenLabsSimulator, text: str, ran: bool) -> None:
    """Whoever would throw the draft away must know that it has had effects."""
    progress = Progress()
    await once(sim).ask(question(text, progress=progress))
    assert progress.tools is ran


async def test_a_tool_call_is_answered(sim: ElevenLabsSimulator) -> None:
    answer = await once(sim).ask(question("quiero hablar con una persona"))
    assert [tool["name"] for tool in answer.tools] == ["escalate_to_human"]
    assert answer.tools[0]["parameters"]["priority"] == "high"
    assert "te paso con una persona" in answer.messages[0]
    (result,) = (frame for frame in frames(sim, answer) if frame["type"] == "client_tool_result")
    assert (json.loads(result["result"]), result["is_error"]) == ({"ok": True}, False)


async def test_a_ping_is_answered(sim: ElevenLabsSimulator) -> None:
    sim.agent("echo").ping.every_s = 0.01
    sim.agent("echo").latency.first_event.p50 = 100
    answer = await once(sim).ask(question("hola", "echo"))
    assert any(frame["type"] == "pong" for frame in frames(sim, answer))


@pytest.mark.parametrize("kind", ["unknown_type", "huge_frame"])
async def test_frames_of_the_future_are_passed_over(sim: ElevenLabsSimulator, kind: str) -> None:
    sim.fault(kind, "before_reply", bytes=100_000)
    assert (await once(sim).ask(question("hola", "echo"))).messages == ["hola"]


@pytest.mark.parametrize(
    ("kind", "at", "more", "expected", "phase"),
    [
        pytest.param("close", "before_reply", {"code": 1008, "reason": "bad"}, "config", "sent", id="1008"),
        pytest.param(
            "close", "before_reply", {"code": 1002, "reason": "exceeds your quota"}, "quota", "sent", id="quota"
        ),
        pytest.param("close", "before_reply", {"code": 3008}, "capacity", "sent", id="3008"),
        pytest.param("close", "before_reply", {"code": 1000}, "expired", "sent", id="1000 without an answer"),
        pytest.param("close", "before_reply", {"code": 1011}, "transient", "sent", id="1011"),
        pytest.param("abort", "before_reply", {}, "transient", "sent", id="connection reset"),
        pytest.param("abort", "mid_stream", {}, "transient", "answering", id="reset before the text is whole"),
        pytest.param("blackhole", "before_reply", {}, "timeout", "sent", id="silent agent"),
        pytest.param("ignore_user_message", "before_reply", {}, "timeout", "sent", id="question ignored"),
        pytest.param("malformed_json", "before_reply", {}, "protocol", "sent", id="malformed frame"),
        pytest.param("huge_frame", "before_reply", {"bytes": 3_000_000}, "protocol", "sent", id="too large a frame"),
        pytest.param("no_metadata", "init", {}, "timeout", "init", id="no metadata"),
        pytest.param("malformed_json", "init", {}, "protocol", "init", id="malformed first frame"),
        pytest.param("close", "init", {"code": 1008, "reason": "x"}, "config", "init", id="closed at the start"),
        pytest.param("http", "handshake", {"status": 503, "body": {}}, "transient", "connect", id="HTTP 503"),
        pytest.param("http", "handshake", {"status": 401}, "config", "connect", id="HTTP 401"),
        pytest.param("http", "handshake", {"status": 404}, "config", "connect", id="HTTP 404"),
        pytest.param(
            "http",
            "handshake",
            {"status": 429, "body": {"detail": {"status": "too_many_concurrent_requests"}}},
            "capacity",
            "connect",
            id="HTTP 429",
        ),
        pytest.param(
            "http",
            "handshake",
            {"status": 401, "body": {"detail": {"status": "quota_exceeded"}}},
            "quota",
            "connect",
            id="HTTP 401 for quota",
        ),
        pytest.param(
            "http",
            "handshake",
            {"status": 422},
            "config",
            "connect",
            id="HTTP 422",
        ),
        pytest.param("accept_hang", "init", {}, "timeout", "init", id="accepted and silent"),
    ],
)
async def test_faults(
    sim: ElevenLabsSimulator, kind: str, at: Any, more: dict[str, Any], expected: str, phase: str
) -> None:
    sim.fault(kind, at, **more)
    error = await failure(once(sim), question("hola", "echo"))
    assert (error.kind, error.phase) == (expected, phase)
    assert "hola" not in str(error)


@pytest.mark.parametrize(("agent_id", "key"), [("nobody", "sk_sim"), ("echo", "sk_wrong")])
async def test_a_wrong_agent_or_key_is_our_configuration(sim: ElevenLabsSimulator, agent_id: str, key: str) -> None:
    error = await failure(once(sim, key), question("hola", agent_id))
    assert (error.kind, error.retryable) == ("config", False)


async def test_a_variable_the_agent_needs_and_we_do_not_have(sim: ElevenLabsSimulator) -> None:
    sim.agent("echo").required_variables = ["plan"]
    assert (await failure(once(sim), question("hola", "echo"))).kind == "config"


async def test_nobody_listens() -> None:
    agent = ElevenLabsAgent("http://127.0.0.1:9", "k", SystemClock(), size=0)
    error = await failure(agent, question("hola"))
    assert (error.kind, error.phase, error.retryable) == ("transient", "connect", True)


async def test_after_an_answer_began_what_arrived_is_the_answer(sim: ElevenLabsSimulator) -> None:
    sim.fault("malformed_json", "between_segments")
    answer = await once(sim).ask(question("¿cómo va mi pedido?"))
    assert (answer.messages, answer.truncated) == (["Un momento, lo consulto."], True)


async def test_what_was_said_before_the_end_is_the_answer(sim: ElevenLabsSimulator) -> None:
    sim.agent("echo").omit_complete = True
    sim.fault("close", "after_reply", code=1000)
    assert (await once(sim).ask(question("hola", "echo"))).messages == ["hola"]


# Attempts


def persistent(sim: ElevenLabsSimulator, clock: FakeClock) -> PersistentAgent:
    return PersistentAgent(once(sim), clock, Metrics())


@pytest.mark.parametrize("faults", [1, 2])
async def test_faults_are_followed_by_an_answer(sim: ElevenLabsSimulator, clock: FakeClock, faults: int) -> None:
    sim.fault("abort", "before_reply", times=faults)
    answer = await persistent(sim, clock).ask(question("hola", "echo"))
    assert (answer.messages, answer.attempts, len(clock.slept)) == (["hola"], faults + 1, faults)


async def test_after_three_faults_the_agent_is_unavailable(sim: ElevenLabsSimulator, clock: FakeClock) -> None:
    fault = sim.fault("abort", "before_reply", times=None)
    with pytest.raises(AgentUnavailableError) as spent:
        await persistent(sim, clock).ask(question("hola", "echo"))
    assert (spent.value.attempts, fault.fired) == (3, 3)
    assert spent.value.reason == "transient in sent: connection lost"


@pytest.mark.expects_errors
async def test_1008_is_not_asked_again(sim: ElevenLabsSimulator, clock: FakeClock) -> None:
    fault = sim.fault("close", "before_reply", code=1008, reason="bad", times=None)
    with pytest.raises(AgentUnavailableError) as spent:
        await persistent(sim, clock).ask(question("hola", "echo"))
    assert (spent.value.attempts, fault.fired, clock.slept) == (1, 1, [])


async def test_no_conversation_is_left_open(sim: ElevenLabsSimulator, clock: FakeClock) -> None:
    sim.fault("blackhole", "before_reply")
    await persistent(sim, clock).ask(question("hola", "echo"))
    async with asyncio.timeout(5):
        while sim.sessions:  # noqa: ASYNC110  # the simulator tells nobody
            await asyncio.sleep(0)


# Frames that the simulator does not send

METADATA = {
    "type": "conversation_initiation_metadata",
    "conversation_initiation_metadata_event": {"conversation_id": "conv_x"},
}
Play = Callable[[ServerConnection], Any]


async def against(opening: object, *answers: object) -> AgentError | Answer:
    """What the client makes of a server that answers the first frame and the question with these."""

    async def play(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(json.dumps(opening))
        await socket.recv()
        for answer in answers:
            await socket.send(answer if isinstance(answer, str | bytes) else json.dumps(answer))
        await socket.wait_closed()

    async with serve(play, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        try:
            return await ElevenLabsAgent(url, "k", SystemClock(), size=0, timing=QUICK).ask(question("hola"))
        except AgentError as error:
            return error


COMPLETE = {"type": "agent_response_complete"}


def said(**event: object) -> dict[str, object]:
    return {"type": "agent_response", "agent_response_event": event}


async def test_an_old_server_without_response_ids() -> None:
    first, second = (said(agent_response=text, event_id=1) for text in ("uno", "dos"))
    answer = await against(METADATA, first, first, second, COMPLETE)
    assert isinstance(answer, Answer)
    assert answer.messages == ["uno", "dos"]


async def test_a_response_is_told_apart_by_its_id() -> None:
    """The same words under another id are said twice; other words under a known id replace what was said."""
    spoken = [("sí", "a"), ("sí", "b"), ("dime", "c"), ("claro", "a")]
    frames = [said(agent_response=text, event_id=1, response_id=name) for text, name in spoken]
    answer = await against(METADATA, *frames, COMPLETE)
    assert isinstance(answer, Answer)
    assert answer.messages == ["claro", "sí", "dime"]


async def test_a_flat_error_frame_names_the_fault() -> None:
    error = await against(METADATA, {"type": "error", "message": "This request exceeds your quota limit."})
    assert isinstance(error, AgentError)
    assert error.kind == "quota"


@pytest.mark.parametrize(
    "frame", [b"\xff\xfe", "[]", '{"no": "type"}', "x" * 10], ids=["bytes", "list", "no type", "text"]
)
async def test_what_is_no_frame_is_a_fault_of_the_protocol(frame: str | bytes) -> None:
    error = await against(METADATA, frame)
    assert isinstance(error, AgentError)
    assert error.kind == "protocol"


@pytest.mark.parametrize(
    ("opening", "answer"),
    [
        pytest.param({"type": "conversation_initiation_metadata"}, COMPLETE, id="metadata"),
        pytest.param(METADATA, {"type": "agent_response"}, id="answer"),
        pytest.param(METADATA, said(event_id=1), id="answer without text"),
        pytest.param(METADATA, {"type": "agent_response", "agent_response_event": None}, id="answer of nothing"),
        pytest.param(METADATA, said(agent_response=None, event_id=1), id="answer that is null"),
        pytest.param(METADATA, {"type": "client_tool_call", "client_tool_call": {}}, id="tool call"),
        pytest.param(METADATA, {"type": "agent_response_correction"}, id="correction"),
    ],
)
async def test_a_frame_without_its_fields_is_a_fault_of_the_protocol(opening: object, answer: object) -> None:
    error = await against(opening, answer, COMPLETE)
    assert isinstance(error, AgentError)
    assert error.kind == "protocol"


async def test_half_an_emoji_in_an_answer_is_mended() -> None:
    answer = await against(METADATA, said(agent_response="hola \ud83d", event_id=1), COMPLETE)
    assert isinstance(answer, Answer)
    assert answer.messages[0].encode()
