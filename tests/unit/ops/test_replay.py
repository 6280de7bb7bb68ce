"""Stories told again to today's code, in this process: what is the same, and what is not."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from kit.errors import HiloError
from kit.service import Tools
from ops.replaying.chosen import wanted
from ops.replaying.sealed import lines
from ops.replaying.settings import ReplaySettings
from ops.replaying.telling import lines_of
from processor import decisions, optout, texts
from processor.agent.client import Answer
from processor.sealed.comparing import differences, facts
from processor.sealed.recorded import UNKNOWN, Lane, RecordedCalls, RecordedVoice
from processor.sealed.work import told
from processor.settings import ProcessorSettings
from processor.texts import es
from schemas.attributes import WireRecord
from schemas.documents import EventDocument, TurnDocument
from schemas.events import (
    AddressRefused,
    CloseRequested,
    EraseRequested,
    HandedBack,
    OperatorSaid,
    SendRequested,
    TakenOver,
)
from schemas.replay import Facts, Person, Step
from tests.unit.ops.past import SETUP, Past, outcomes
from tests.unit.processor.states import CONTACT, call, completed, message

OTHER = "+34600111222"


@pytest.fixture
def past(tools: Tools) -> Past:
    return Past(tools)


def msg(past: Past, text: str, number: int = 1, **more: Any) -> tuple[str, Any]:
    return f"SM{number}", message(text, message_sid=f"SM{number}", received_at=past.clock.now(), **more)


async def a_life(past: Past) -> None:
    """A bit of everything that can be decided."""
    await past.wrote(("call_1", completed(conversation_id="c1")))
    await past.wrote(msg(past, "hola,", 1), msg(past, "¿cuándo es mi cita?", 2), says=["El **martes**.", "A las 10."])
    await past.wrote(msg(past, "¿y el médico?", 3), says=None)
    await past.wrote(msg(past, "nada", 4), says=[])
    tools = [{"name": "escalate_to_human", "parameters": {"reason": "pide humano"}}]
    await past.wrote(msg(past, "quiero una persona", 5), says=["Te paso."], outcome="escalated", tools=tools)
    await past.wrote(msg(past, "¿sigues?", 6))
    await past.wrote(("op1", OperatorSaid(by="ana", text="Soy Ana.")))
    await past.wrote(msg(past, "gracias, ¿y el precio?", 7))
    await past.wrote(("hb1", HandedBack(by="ana")), says=["Son 20 €."])
    await past.wrote(("to1", TakenOver(by="ana")))
    await past.wrote(("hb2", HandedBack(by="ana")))
    await past.wrote(msg(past, "", 8, kind="audio"))
    await past.wrote(msg(past, "baja", 9))
    await past.wrote(msg(past, "alta", 10))
    await past.wrote(("r1", AddressRefused(address=OTHER, code=63024)))
    conversation = next(iter(past.store.rows["conversations"].values()))
    close = CloseRequested(conversation_id=conversation["_id"], last_message_at=past.clock.now())
    await past.wrote(("close1", close))
    await past.wrote(msg(past, "hola otra vez", 11))


async def test_the_same_code_says_the_same(past: Past) -> None:
    await a_life(past)
    results = await past.told()
    assert [one for one in results if one.state != "same"] == []
    turns = [TurnDocument.from_mongo(one) for one in past.store.rows["turns"].values()]
    assert [one.now.outcome for one in results if one.now] == [one.outcome for one in turns]
    assert {"greeted", "replied", "apologised", "no_reply", "escalated", "operator_said", "taken_over", "closed"} < {
        one.outcome for one in turns
    }


async def test_a_time_in_the_middle_starts_from_how_it_stood_before(past: Past) -> None:
    await a_life(past)
    turns = [TurnDocument.from_mongo(one) for one in past.store.rows["turns"].values()]
    for turn in turns[1:]:
        results = await past.told(begin=turn.decided_at - timedelta(seconds=2.5))
        assert results[0].seq == turn.seq or len(turn.events) > 1
        assert [one for one in results if one.state != "same"] == []


async def test_a_conversation_that_was_closed_is_closed_again(past: Past) -> None:
    """Its last message has microseconds in the log, and milliseconds in the close request: the store's."""
    past.clock.advance(0.123456)
    await past.wrote(msg(past, "hola", 1))
    (row,) = past.store.rows["conversations"].values()
    past.clock.advance(90_000)
    close = CloseRequested(conversation_id=row["_id"], last_message_at=row["last_message_at"])
    await past.wrote(("close1", close))
    assert outcomes(await past.told()) == [("same", "replied"), ("same", "closed")]


async def test_a_run_that_a_time_cuts_is_read_whole(past: Past) -> None:
    await past.wrote(msg(past, "hola,", 1), msg(past, "¿qué tal?", 2))
    (result,) = await past.told(None, begin=past.clock.now() - timedelta(seconds=2.5))
    assert (result.state, len(result.positions)) == ("same", 2)


async def test_what_today_s_code_says_otherwise_is_shown_with_a_diff(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    await past.wrote(("call_1", completed(conversation_id="c1")))
    await past.wrote(msg(past, "hola", 1), says=["Hola.", "¿Qué tal?"])
    monkeypatch.setitem(texts.LANGUAGES, "es", replace(es.TEXTS, offer="¿Algo más?"))
    monkeypatch.setattr(decisions, "formatted", lambda text: text.replace("tal", "hay"))
    greeted, replied = await past.told()
    assert [(one.state, [each.field for each in one.differs]) for one in (greeted, replied)] == [
        ("changed", ["parts"]),
        ("changed", ["parts"]),
    ]
    assert [line.strip() for line in lines_of(replied)] == [
        "turn 2    2026-11-23 12:00:06  changed   replied",
        "parts",
        "Hola.",
        "- ¿Qué tal?",
        "+ ¿Qué hay?",
    ]


async def test_a_rule_of_today_goes_on_through_the_story(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was a STOP is none any more: then the next message would be answered, too; nobody knows what with."""
    await past.wrote(msg(past, "cancel", 1))
    await past.wrote(msg(past, "¿hola?", 2))
    monkeypatch.setattr(optout, "STOP", frozenset({"stop"}))
    stopped, silent = await past.told()
    assert (stopped.state, silent.state) == ("changed", "changed")
    assert stopped.was
    assert stopped.now
    assert (stopped.was.outcome, stopped.now.outcome) == ("opted_out", "replied")
    assert (stopped.asked, stopped.now.parts, silent.asked) == ("cancel", [UNKNOWN], "¿hola?")
    assert any("? cancel" in line for line in lines_of(stopped))


async def test_a_run_that_today_would_be_cut_is_decided_in_pieces(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    await past.wrote(msg(past, "hola", 1), msg(past, "adelante", 2))
    monkeypatch.setattr(optout, "START", frozenset({"adelante"}))
    (result,) = await past.told()
    assert result.state == "changed"
    assert result.now
    assert (result.now.outcome, result.now.events) == ("replied, stored", ["SM1", "SM2"])


async def test_who_was_silenced_while_the_agent_thought_is_silent_again(past: Past) -> None:
    hello, stop = await past.logged(*msg(past, "hola", 1)), await past.logged("to1", TakenOver(by="ana"))
    past.answer = Answer(["Hola."])
    await past.handler.handle(cast("Any", Lane([hello], [stop])))
    await past.handler.handle(cast("Any", Lane([stop], [])))
    await past.wrote(msg(past, "gracias", 2))
    assert outcomes(await past.told()) == [("same", "discarded"), ("same", "taken_over"), ("same", "stored")]


async def test_a_record_that_nobody_decided_is_new_or_unusable(past: Past) -> None:
    await past.wrote(msg(past, "hola", 1))
    await past.logged("to1", TakenOver(by="ana"))
    await past.shelf.publish_record("contact.log", WireRecord(CONTACT.encode(), b"{", [("ce_id", b"broken")]))
    await past.wrote(msg(past, "¿sigues?", 2))
    results = await past.told()
    assert [one.state for one in results] == ["same", "new", "unusable", "changed"]
    assert "cannot read it" in results[2].why
    assert results[3].now
    assert results[3].now.outcome == "stored"


async def test_turns_without_their_records_are_missing_and_the_story_goes_on(past: Past) -> None:
    await past.wrote(("call_1", completed(conversation_id="c1")))
    for number in range(1, 5):
        await past.wrote(msg(past, f"hola {number}", number))
    shelf = past.shelf.records["contact.log", 1]
    kept = [
        one
        for one in shelf
        if b"hola 2" not in (one.record.value or b"") and b"client_name" not in (one.record.value or b"")
    ]
    past.shelf.records["contact.log", 1] = kept
    tale = await past.tale()
    assert (tale.aged, [step.turn and step.turn.seq for step in tale.stories[0].steps]) == (1, [2, 3, 4, 5])
    assert [one.state for one in await past.told()] == ["same", "missing", "same", "same"]


async def test_a_missing_turn_leaves_what_it_decided(past: Past) -> None:
    await past.wrote(msg(past, "baja", 1))
    await past.wrote(msg(past, "hola", 2))
    shelf = past.shelf.records["contact.log", 1]
    first, second = shelf
    past.shelf.records["contact.log", 1] = [replace(second, position=first.position)]
    (turn,) = [one for one in past.store.rows["turns"].values() if one["seq"] == 1]
    tale = await past.tale()
    assert tale.aged == 1
    gone = Step(contact=CONTACT, at=turn["decided_at"], turn=TurnDocument.from_mongo(turn))
    story = replace(tale.stories[0], person=Person(contact=CONTACT), steps=[gone, *tale.stories[0].steps])
    results = [one async for one in told(SETUP, lines([story]))]
    assert outcomes(results) == [("missing", "opted_out"), ("same", "stored")]


async def test_copies_are_counted_and_not_told(past: Past) -> None:
    await past.wrote(msg(past, "hola", 1))
    again = past.shelf.of("contact.log")[0].record
    await past.kept(again)
    assert (await past.tale()).copies == 1
    (result,) = await past.told()
    assert (result.state, result.positions) == ("same", ["contact.log-1-0"])


async def test_a_replay_of_who_was_erased_answers_nothing(past: Past) -> None:
    await a_life(past)
    await past.wrote(("er1", EraseRequested(by="luis")))
    results = await past.told()
    assert {one.state for one in results} == {"erased"}
    assert [one.now for one in results if one.now] == []
    await past.wrote(msg(past, "hola, soy nueva", 90))
    results = await past.told()
    assert [one.state for one in results] == ["erased"] * (len(results) - 1) + ["same"]
    later = past.clock.now() - timedelta(seconds=3)
    assert outcomes(await past.told(begin=later)) == [("same", "replied")]
    (stone,) = (await past.tale(begin=later)).stories[0].person.documents["contacts"]
    assert stone["seq"] == len(results) - 1


async def test_a_message_that_broke_the_code_then_is_answered_now(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    hello = await past.logged(*msg(past, "hola", 1))
    await past.handler.buried(hello.position, ValueError("x"), hello)
    (result,) = await past.told()
    assert result.was
    assert (result.state, result.was.outcome, result.asked) == ("changed", "buried", "hola")
    monkeypatch.setattr(decisions, "received", lambda *_, **__: 1 / 0)
    (result,) = await past.told()
    assert (result.state, result.why) == ("same", "today's code buries it: ZeroDivisionError")


async def test_what_was_heard_and_what_elevenlabs_told_are_known_again(past: Past) -> None:
    turn = {"call": {"_id": "call_1", "contact": CONTACT, "summary": "su cita", "at": past.clock.now()}}
    calls = RecordedCalls()
    calls.turn = cast("Any", type("Turn", (), turn))
    blank = call(summary=None, agent_id=None)
    assert (await calls.completed(blank)).summary == "su cita"
    assert await calls.completed(call(id="call_2", summary=None)) == call(id="call_2", summary=None)
    voice = RecordedVoice()
    assert await voice.words(message("", kind="audio")) is None
    rows = [{"whatsapp_message_id": "SM1", "transcript": "hola"}]
    voice.turn = cast("Any", type("Turn", (), {"messages": rows}))
    assert await voice.words(message("", kind="audio", message_sid="SM1")) == "hola"


A, B = Facts(outcome="replied", parts=["a", "b"]), {"outcome": "replied", "parts": ["a", "b"]}


@pytest.mark.parametrize(
    ("now", "fields"),
    [
        ({}, []),
        ({"parts": ["b", "a"]}, ["parts"]),
        ({"parts": ["a"]}, ["parts"]),
        ({"outcome": "no_reply", "parts": []}, ["outcome", "parts"]),
        ({"notices": [{"type": "x"}]}, ["notices"]),
        ({"markers": [{"type": "fence"}]}, ["markers"]),
        ({"conversation": {"id": "c", "status": "closed"}}, ["conversation"]),
        ({"contact": {"opted_out": True}}, ["contact"]),
        ({"turns": ["turn_1"]}, ["turns"]),
        ({"shown": [{"purpose": "apology"}]}, ["shown"]),
    ],
)
def test_each_fact_that_differs_is_named(now: dict[str, Any], fields: list[str]) -> None:
    assert [one.field for one in differences(A, Facts(**{**B, **now}))] == fields


def test_times_and_places_in_the_story_are_no_facts() -> None:
    def turn(seq: int, at: str, text: str = "hola") -> TurnDocument:
        sent = {"seq": seq, "not_after": at, "purpose": "reply", "parts": [{"send_id": f"t-{seq}", "text": text}]}
        return TurnDocument(
            id="t", contact=CONTACT, seq=seq, slot=f"x#{seq}", events=["e"], kind="k", outcome="replied",
            conversation_after={"_id": "conv_1", "status": "active", "seq": seq},
            contact_after={"escalated": False}, decided_at=at,
            outbound=[EventDocument(id="s", type=SendRequested.type_name(), data=sent)],
            notices=[EventDocument(id="n", type="n", data={"at": at, "reason": "r"})],
        )  # fmt: skip

    then, now = facts([turn(3, "2026-11-23T12:00:00Z")]), facts([turn(9, "2026-11-24T12:00:00Z")])
    assert then == now
    assert then.notices == [{"type": "n", "reason": "r"}]
    assert then.conversation == {"id": "conv_1", "status": "active"}
    assert facts([turn(3, "2026-11-23T12:00:00Z", "otra")]) != now


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, "say which records"),
        ({"offsets": "3:1-2", "contact": OTHER}, "say which records"),
        ({"offsets": "3:9-2"}, "no offsets"),
        ({"offsets": "three"}, "no offsets"),
        ({"topic": "contact.logs", "begin": "2h"}, "say one of"),
        ({"topic": "dead.letters", "begin": "2h"}, "deadletters redrive"),
        ({"topic": "call.completed", "contact": OTHER}, "not kept by contact"),
        ({"begin": "yesterday"}, "is no time"),
        ({"begin": "1h", "until": "2h"}, "before --to"),
        ({"begin": "2030-01-01"}, "in the past"),
    ],
)
def test_a_choice_that_means_nothing_is_one_sentence(past: Past, asked: dict[str, str], sentence: str) -> None:
    given: dict[str, Any] = {"contact": None, "topic": None, "begin": None, "until": None, "offsets": None, **asked}
    with pytest.raises(HiloError, match=sentence):
        wanted(**given, now=past.clock.now())


async def test_what_comes_after_the_time_that_was_asked_for_is_not_missing(past: Past) -> None:
    for number in range(1, 5):
        await past.wrote(msg(past, f"hola {number}", number))
    until = past.clock.now() - timedelta(seconds=4)  # a turn takes three
    assert [(one.state, one.seq) for one in await past.told(until=until)] == [("same", 1), ("same", 2), ("same", 3)]


async def test_a_story_that_learned_of_a_take_over_under_another_name_is_the_same_again(past: Past) -> None:
    user = "MX.9f3c2ab41d"
    await past.wrote(
        ("u1", message("hola", address=user, message_sid="u1", received_at=past.clock.now())), contact=user
    )
    await past.wrote(("t1", TakenOver(by="Marta")), contact=user)
    await past.wrote(msg(past, "mi número", 1, user_id=user), says=None)
    await past.wrote(msg(past, "¿sigues?", 2, user_id=user), says=None)
    assert outcomes(await past.told()) == [("same", "stored"), ("same", "stored")]


async def test_a_person_who_is_known_by_an_id_only_is_told_again(past: Past) -> None:
    user = "MX.9f3c2ab41d"
    for number in (1, 2):
        about = {"address": user, "user_id": user, "message_sid": f"u{number}", "received_at": past.clock.now()}
        await past.wrote((f"u{number}", message(f"hola {number}", **about)), contact=user)
        past.clock.advance(60)
    second = past.clock.now() - timedelta(seconds=90)
    assert [one.state for one in await past.told(contact=user)] == ["same", "same"]
    assert [one.state for one in await past.told(contact=user, begin=second)] == ["same"]


async def test_offsets_choose_their_records(past: Past) -> None:
    for number in range(1, 5):
        await past.wrote(msg(past, f"hola {number}", number))
    results = await past.told(None, offsets=(1, 1, 2))
    assert [(one.state, one.seq) for one in results] == [("same", 2), ("same", 3)]


def test_a_replay_knows_the_processor_s_defaults() -> None:
    ours, theirs = ReplaySettings.model_fields, ProcessorSettings.model_fields
    mine = set(ReplaySettings.__annotations__)
    assert {name: ours[name].default for name in mine} == {name: theirs[name].default for name in mine}
