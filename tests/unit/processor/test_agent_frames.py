"""Whatever an agent sends, a question ends in an answer or in an AgentError, and nothing of it is told anywhere."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.agent import protocol
from processor.agent.client import Answer
from processor.agent.elevenlabs import ElevenLabsAgent
from processor.agent.errors import AgentError
from processor.agent.protocol import FIELDS
from tests.unit.processor.scripted_agent import COMPLETE, METADATA, Script, question, said
from tests.virtual_loop import run_virtual

SECRET = "palabra-secreta"
KINDS = [
    "conversation_initiation_metadata",
    "ping",
    "agent_response",
    "agent_chat_response_part",
    "agent_response_correction",
    "agent_response_complete",
    "client_tool_call",
    "agent_tool_request",
    "agent_tool_response",
    "interruption",
    "guardrail_triggered",
    "queue_status",
    "error",
    "vad_score",
    "",
]
NAMES = [
    "agent_response",
    "event_id",
    "response_id",
    "text",
    "type",
    "corrected_agent_response",
    "original_agent_response",
    "tool_name",
    "tool_call_id",
    "parameters",
    "expects_response",
    "status",
    "code",
    "reason",
    "error_type",
    "message",
    "conversation_id",
]
WORDS = [SECRET, "start", "delta", "stop", "waiting", "admitted", "escalate_to_human", "skip_turn", "end_call", "quota"]
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 5), st.floats(), st.sampled_from(WORDS), st.just("\ud83d")),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=5,
)
EVENTS = st.one_of(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6), VALUES)


@st.composite
def frames(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(KINDS))
    if kind == "agent_response" and draw(st.booleans()):
        return json.dumps(said(SECRET, draw(st.integers(0, 4))))
    frame = {"type": kind, FIELDS.get(kind, f"{kind}_event"): draw(EVENTS)}
    return json.dumps(frame | ({"message": SECRET} if draw(st.booleans()) else {}))


LINES = st.lists(st.tuples(st.sampled_from([0.0, 0.3, 2.0]), frames()), max_size=6)


@settings(deadline=None, max_examples=400)
@given(opening=LINES, first=LINES, between=LINES, second=LINES)
def test_no_frame_does_harm(opening: Any, first: Any, between: Any, second: Any) -> None:
    async def main() -> list[object]:
        with pytest.MonkeyPatch.context() as patch:
            lines = [[*first, (0, json.dumps(COMPLETE)), *between], second, second]
            agent = Script(*lines, opening=[*opening, (0, METADATA)]).agent(patch)
            ends = [await _end(agent) for _ in range(3)]
            assert agent.sockets <= 1
            await agent.stop()
            assert agent.sockets == 0
            return ends

    for end in run_virtual(main):
        assert isinstance(end, Answer | AgentError)
        assert SECRET not in str(end) or isinstance(end, Answer)


async def _end(agent: ElevenLabsAgent) -> object:
    try:
        return await agent.ask(question())
    except AgentError as error:
        return error


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("[" * 100_000, id="brackets without end"),
        pytest.param('{"type":"agent_response","x":' + "[" * 2000 + "]" * 2000 + "}", id="deep"),
        pytest.param('{"type":"x","n":' + "9" * 5000 + "}", id="an endless number"),
        pytest.param('{"type":7}', id="a type that is no text"),
        pytest.param("", id="nothing"),
        pytest.param(f'{{"type":"agent_response","agent_response_event":{{"agent_response":"{SECRET}', id="cut"),
    ],
)
def test_what_is_no_frame_ends_the_socket_and_is_told_nowhere(raw: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> object:
        with pytest.MonkeyPatch.context() as patch:
            script = Script([(1, raw)])
            agent = script.agent(patch)
            end = await _end(agent)
            await agent.stop()
            assert script.sockets[0].closed
            return end

    end = run_virtual(main)
    assert isinstance(end, AgentError)
    assert end.kind == "protocol"
    assert (end.__cause__, end.__context__) == (None, None)
    assert SECRET not in caplog.text + str(end)


def test_a_correction_by_nothing_leaves_what_was_said() -> None:
    correction = {"original_agent_response": "a las 10", "corrected_agent_response": None}
    frame = {"type": "agent_response_correction", "agent_response_correction_event": correction}

    async def main() -> object:
        with pytest.MonkeyPatch.context() as patch:
            agent = Script([(1, said("a las 10")), (0, frame), (0, COMPLETE)]).agent(patch)
            end = await _end(agent)
            await agent.stop()
            return end

    end = run_virtual(main)
    assert isinstance(end, Answer)
    assert (end.messages, end.truncated) == (["a las 10"], True)


def test_a_frame_is_read_as_it_is() -> None:
    assert protocol.parse('{"type":"x","a":[1,{"b":"ñ"}]}') == {"type": "x", "a": [1, {"b": "ñ"}]}
