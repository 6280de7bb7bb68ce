"""One turn with an agent, second by second, in virtual time and with the real waits: when is an answer whole?"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from itertools import permutations
from typing import Any

import pytest
from websockets.frames import Close

from processor.agent.client import Answer
from processor.agent.elevenlabs import ElevenLabsAgent
from processor.agent.errors import AgentError
from processor.agent.tools import Tool
from tests.unit.processor.scripted_agent import (
    COMPLETE,
    METADATA,
    Frame,
    Line,
    Script,
    event,
    part,
    question,
    queue,
    said,
    timed,
    tool,
)
from tests.virtual_loop import run_virtual

Told = tuple[list[str], float]
Play = Callable[[ElevenLabsAgent], Coroutine[Any, Any, Any]]


def play(script: Script, patch: pytest.MonkeyPatch, scene: Play, **about: Any) -> Any:
    async def main() -> Any:
        agent = script.agent(patch, **about)
        try:
            return await scene(agent)
        finally:
            await agent.stop()

    return run_virtual(main)


def ask_once(script: Script, patch: pytest.MonkeyPatch, **about: Any) -> tuple[Answer, float]:
    answered: tuple[Answer, float] = play(script, patch, timed, **about)
    return answered


# How it starts

PING = event("ping", event_id=1)
ODD: Frame = {"type": "vad_score_v9"}


@pytest.mark.parametrize("order", list(permutations([METADATA, PING, ODD, said("Hola, soy Eva.", 1)])))
def test_a_conversation_starts_with_its_frames_in_any_order(
    order: Sequence[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script([(1, said("A las diez.")), (0, COMPLETE)], opening=[(0.1, frame) for frame in order])
    answer, _ = ask_once(script, monkeypatch, greets=True)
    assert (answer.messages, answer.conversation_id) == (["A las diez."], "conv_x")
    assert script.sockets[0].types()[0] == "conversation_initiation_client_data"
    assert script.sockets[0].types().count("pong") == 1


@pytest.mark.parametrize("seen", [True, None])
def test_an_agent_that_greeted_once_is_waited_for_ever_after(
    seen: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A greeting that is late once must not make every later one an answer."""

    async def scene(agent: ElevenLabsAgent) -> bool | None:
        agent._habits["a"].greets = seen
        await agent.ask(question())
        return agent._habits["a"].greets

    script = Script([(1, said("A las diez.")), (0, COMPLETE)])
    assert play(script, monkeypatch, scene, greets=True) is bool(seen)


# How it ends

WHOLE = [part("start"), part("delta", "A las"), part("delta", " diez."), part("stop"), said("A las diez.")]
ENDS = [
    pytest.param([(1, said("A las diez.")), (0, COMPLETE)], (["A las diez."], 1.0), id="announced"),
    pytest.param([(1, COMPLETE), (0.5, said("A las diez."))], (["A las diez."], 1.5), id="announced too early"),
    pytest.param([(1, said("A las diez."))], (["A las diez."], 7.0), id="not announced, by one we do not know"),
    pytest.param([(1, frame) for frame in WHOLE] + [(0, COMPLETE)], (["A las diez."], 5.0), id="streamed"),
    pytest.param(
        [(1, frame) for frame in WHOLE[:-1]] + [(0, COMPLETE)], (["A las diez."], 5.2), id="streamed, never said"
    ),
    pytest.param(
        [(1, said("Miro.")), (1, part("start", event_id=3)), (10, part("stop", event_id=3)), (0, said("Ya.", 3))],
        (["Miro.", "Ya."], 18.0),
        id="an open stream is waited for",
    ),
    pytest.param([(24, said("Por fin.")), (0, COMPLETE)], (["Por fin."], 24.0), id="late"),
    pytest.param(
        [(1, said("Miro.")), (1, tool("agent_tool_request")), (15, tool("agent_tool_response")), (1, said("Ya."))],
        (["Miro.", "Ya."], 24.0),
        id="a tool of theirs is waited for",
    ),
    pytest.param([(1, tool("agent_tool_response", "skip_turn")), (0, COMPLETE)], ([], 1.0), id="chose silence"),
    pytest.param([(1, tool("agent_tool_response", "skip_turn"))], ([], 2.2), id="chose silence, not announced"),
    pytest.param([(1, COMPLETE)], ([], 2.2), id="nothing to say"),
    pytest.param([(1, said("...")), (0, COMPLETE)], ([], 1.0), id="dots are no words"),
    pytest.param([(1, said(" \n")), (0, COMPLETE)], ([], 1.0), id="blanks are no words"),
    pytest.param(
        [(1, said("Adiós.")), (0, tool("agent_tool_response", "end_call")), (0, Close(1000, ""))],
        (["Adiós."], 1.0),
        id="hung up",
    ),
    pytest.param([(1, said("Adiós.")), (1, Close(1000, ""))], (["Adiós."], 2.0), id="hung up without a word of it"),
    pytest.param([(1, said("Uno.")), (1, Close(1011, ""))], (["Uno."], 2.0), id="broken after a segment"),
    pytest.param(
        [(1, said("mal")), (0, event("interruption", event_id=2)), (1, said("bien", 3)), (0, COMPLETE)],
        (["bien"], 2.0),
        id="interrupted",
    ),
    pytest.param(
        [
            (1, said("a las 10")),
            (
                0,
                event(
                    "agent_response_correction",
                    original_agent_response="a las 10",
                    corrected_agent_response="a las 11",
                    event_id=2,
                ),
            ),
            (0, COMPLETE),
        ],
        (["a las 11"], 1.0),
        id="corrected",
    ),
    pytest.param([(1, said("sí")), (0, said("sí")), (0, COMPLETE)], (["sí"], 1.0), id="said again"),
    pytest.param(
        [(1, event("user_transcription", user_transcript="x")), (0, said("y")), (0, COMPLETE)], (["y"], 1.0), id="echo"
    ),
]


@pytest.mark.parametrize(("lines", "told"), ENDS)
def test_ends(lines: list[Line], told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, seconds = ask_once(Script(lines), monkeypatch)
    assert (answer.messages, seconds) == told
    assert answer.outcome == ("replied" if answer.messages else "no_reply")


@pytest.mark.parametrize(
    ("lines", "kind", "phase", "seconds"),
    [
        pytest.param([], "timeout", "sent", 25, id="nothing at all"),
        pytest.param([(1, tool("agent_tool_request"))], "timeout", "answering", 21, id="a tool that never ends"),
        pytest.param([(1, part("start")), (1, part("delta", "A"))], "timeout", "answering", 22, id="half a stream"),
        pytest.param([(1, {"type": "guardrail_triggered"})], "blocked", "answering", 26, id="guardrail, silence"),
        pytest.param(
            [(1, {"type": "guardrail_triggered"}), (1, Close(1002, ""))], "blocked", "answering", 2, id="guardrail"
        ),
    ],
)
def test_no_answer(lines: list[Line], kind: str, phase: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(agent: ElevenLabsAgent) -> float:
        with pytest.raises(AgentError) as refused:
            await agent.ask(question())
        assert (refused.value.kind, refused.value.phase) == (kind, phase)
        return asyncio.get_running_loop().time()

    assert play(Script(lines), monkeypatch, scene) == pytest.approx(seconds)


def test_an_agent_that_does_not_announce_its_end_is_learned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(agent: ElevenLabsAgent) -> list[float]:
        return [(await timed(agent))[1] for _ in range(3)]

    lines = [[(1.0, said(str(number), number))] for number in (2, 3, 4)]
    assert play(Script(*lines), monkeypatch, scene) == [7.0, 2.2, 2.2]


def test_the_rest_of_an_old_turn_is_no_answer_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(agent: ElevenLabsAgent) -> list[list[str]]:
        first = (await agent.ask(question())).messages
        await asyncio.sleep(1)
        return [first, (await agent.ask(question())).messages]

    late = [(0, said("tarde", 2)), (0.0, said("dos", 4)), (0, COMPLETE)]
    script = Script([(1, said("uno", 2)), (0, COMPLETE)], late)
    assert play(script, monkeypatch, scene) == [["uno"], ["dos"]]


@pytest.mark.parametrize("late", [said("y más", 3), tool("client_tool_call")], ids=["words", "a tool call"])
def test_who_goes_on_when_nobody_asks_is_asked_in_a_new_session(late: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    """It remembers what the client never saw."""

    async def scene(agent: ElevenLabsAgent) -> list[Any]:
        first = (await agent.ask(question())).messages
        await asyncio.sleep(1)
        return [first, (await agent.ask(question())).messages, agent.counts.unsolicited]

    script = Script([(1, said("uno", 2)), (0, COMPLETE), (0.5, late)], [(1, said("dos", 2)), (0, COMPLETE)])
    assert play(script, monkeypatch, scene) == [["uno"], ["dos"], late["type"] == "agent_response"]
    assert len(script.sockets) == 2


def test_what_comes_right_behind_the_end_is_unsolicited(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(agent: ElevenLabsAgent) -> list[Any]:
        told = [(await agent.ask(question())).messages for _ in range(2)]
        return [*told, agent.counts.unsolicited]

    script = Script([(1, said("uno", 2)), (0, COMPLETE), (0, said("y más", 3))], [(1, said("dos", 4)), (0, COMPLETE)])
    assert play(script, monkeypatch, scene) == [["uno"], ["dos"], 1]
    assert len(script.sockets) == 2


def test_who_only_repeats_itself_keeps_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(agent: ElevenLabsAgent) -> list[Any]:
        return [(await agent.ask(question())).messages for _ in range(2)]

    script = Script([(1, said("uno", 2)), (0, COMPLETE), (0, said("uno", 2))], [(1, said("dos", 3)), (0, COMPLETE)])
    assert play(script, monkeypatch, scene) == [["uno"], ["dos"]]
    assert len(script.sockets) == 1


# Their queue


def test_timers_stand_still_in_their_queue_and_everything_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = [(0.2, queue("waiting")), (35, queue("admitted"))]
    script = Script(waits, [(1, said("hola")), (0, COMPLETE)])

    async def scene(agent: ElevenLabsAgent) -> tuple[Answer, float]:
        return await timed(agent, question(prior_call="x", history="y"))

    answer, seconds = play(script, monkeypatch, scene)
    assert (answer.messages, seconds) == (["hola"], 36.2)
    assert script.sockets[0].types()[1:] == ["contextual_update", "contextual_update", "user_message"] * 2


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([queue("admitted")], id="let in without having waited"),
        pytest.param([queue("moving_up")], id="a status to come"),
        pytest.param([said("Miro."), queue("waiting"), queue("admitted")], id="an answer has begun"),
        pytest.param([queue("waiting"), queue("moving_up"), said("Eva", 1)], id="still waiting"),
    ],
)
def test_nothing_is_said_twice_without_need(frames: list[Frame], monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = frames[-1] == said("Eva", 1)
    lines: list[Line] = [(0.1, frame) for frame in frames] + [(1, said("hola", 3)), (0, COMPLETE)]
    script = Script(lines + ([(1, queue("timed_out"))] if waiting else []))

    async def scene(agent: ElevenLabsAgent) -> str:
        try:
            return (await agent.ask(question())).messages[-1]
        except AgentError as error:
            return error.kind

    assert play(script, monkeypatch, scene) == ("capacity" if waiting else "hola")
    assert script.sockets[0].types().count("user_message") == 1


@pytest.mark.parametrize("greets_in_line", [True, False])
def test_a_greeting_in_their_queue_is_no_answer(greets_in_line: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an agent whose greeting we may not switch off: said in line, or when let in."""
    greeting = said("Hola, soy Eva.", 1)
    admitted = [(1, greeting), (9, queue("admitted"))] if greets_in_line else [(9, queue("admitted")), (1, greeting)]
    script = Script(
        [(1, said("A las diez.")), (0, COMPLETE)], opening=[(0, METADATA), (0, queue("waiting")), *admitted]
    )

    async def scene(agent: ElevenLabsAgent) -> list[str]:
        return (await agent.ask(question())).messages

    assert play(script, monkeypatch, scene, greets=True) == ["A las diez."]
    assert script.sockets[0].types().count("user_message") == 1


# Tools


async def _hangs(_parameters: object) -> object:
    return await asyncio.Event().wait()


CALL = {"type": "client_tool_call", "client_tool_call": {"tool_name": "t", "tool_call_id": "c", "parameters": {}}}


def test_a_tool_is_not_waited_for_beyond_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script([(2, said("Miro.")), (1, CALL)])
    answer, seconds = ask_once(script, monkeypatch, tools={"t": Tool(_hangs, within_s=120)})
    assert (answer.messages, answer.truncated, seconds) == (["Miro."], True, 45.0)
    assert script.sockets[0].sent[-1]["is_error"] is True


def test_a_tool_that_nobody_knows_is_answered_as_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script([(1, CALL), (1, said("Perdón.")), (0, COMPLETE)])
    answer, seconds = ask_once(script, monkeypatch)
    assert (answer.messages, seconds) == (["Perdón."], 2.0)
    result = script.sockets[0].sent[-1]
    assert (result["tool_call_id"], result["result"], result["is_error"]) == ("c", '{"error": "no tool t"}', True)


def test_every_tool_has_its_own_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script([(1, CALL), (5, said("Listo.")), (0, COMPLETE)])
    answer, seconds = ask_once(script, monkeypatch, tools={"t": Tool(_hangs, within_s=3)})
    assert (answer.messages, seconds) == (["Listo."], 6.0)
    assert "within 3 s" in script.sockets[0].sent[-1]["result"]


def test_a_call_that_is_sent_again_is_answered_again_and_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []

    async def counts(parameters: object) -> int:
        done.append(parameters)
        return len(done)

    script = Script([(1, CALL), (1, CALL), (1, said("Listo.")), (0, COMPLETE)])
    answer, _ = ask_once(script, monkeypatch, tools={"t": Tool(counts)})
    assert [frame["result"] for frame in script.sockets[0].sent if frame["type"] == "client_tool_result"] == ["1", "1"]
    assert (len(done), len(answer.tools)) == (1, 1)


# A draft that is thrown away

MOMENTS = [0.0, 0.05, 0.1, 0.5, 1.0, 1.5, 2.0, 2.5]


@pytest.mark.parametrize("seconds", MOMENTS)
def test_a_superseded_draft_leaves_no_memory(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled while it asks, or dropped when it has its answer: the next question meets a new socket."""
    answer: list[Line] = [(1, said("uno")), (1, COMPLETE)]
    script = Script(answer, answer, answer, opening=[(0.1, METADATA)])

    async def scene(agent: ElevenLabsAgent) -> Answer:
        asked = asyncio.create_task(agent.ask(question()))
        await asyncio.sleep(seconds)
        if not asked.cancel():  # there was an answer already
            agent.drop("c1")
        await asyncio.wait({asked})
        return await agent.ask(question("otra", prior_call="x"))

    after = play(script, monkeypatch, scene)
    *old, new = script.sockets
    assert (after.messages, after.reused, len(old)) == (["uno"], False, min(1, len(old)))
    assert all(one.closed for one in script.sockets)
    assert new.types()[1:3] == ["contextual_update", "user_message"]
    assert [one["text"] for one in new.sent if one["type"] == "user_message"] == ["otra"]


def test_what_was_in_flight_when_partitions_were_revoked_is_answered_and_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer: list[Line] = [(1, said("uno")), (1, COMPLETE)]
    script = Script(answer, answer)

    async def scene(agent: ElevenLabsAgent) -> tuple[Answer, Answer]:
        asked = asyncio.create_task(agent.ask(question()))
        await asyncio.sleep(1.5)
        await agent.release()
        return await asked, await agent.ask(question())

    first, second = play(script, monkeypatch, scene)
    assert (first.messages, second.reused, len(script.sockets)) == (["uno"], False, 2)
