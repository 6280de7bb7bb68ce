"""A person takes over, speaks, hands back; the agent escalates by itself."""

from typing import Any

import pytest

from processor import decisions, takeover
from processor.agent.client import AgentUnavailableError, Answer
from processor.drafts import Draft
from schemas.documents import HistoryLine
from schemas.events import FenceRaised, HandedBack, OperatorSaid, SendRequested, TakenOver
from tests.unit.processor.states import (
    ADDRESS,
    CONTACT,
    NOW,
    POLICY,
    contact,
    conversation,
    message,
    run,
    state,
)


def kinds(draft: Draft) -> list[str]:
    return [one.type.removeprefix("hilo.").removesuffix(".v1") for one in (*draft.outbound, *draft.notices)]


def line(role: Any, text: str, name: str = "") -> HistoryLine:
    return HistoryLine(role=role, text=text, at=NOW, id=name or text)


@pytest.mark.parametrize("open_one", [None, {}, {"status": "escalated"}])
def test_a_take_over_raises_the_fence_to_its_own_place(open_one: dict[str, Any] | None) -> None:
    event = TakenOver(by="luis")
    before = state(contact(), None if open_one is None else conversation(**open_one))
    draft = takeover.taken_over(run(event), before, event)
    assert (draft.outcome, kinds(draft)) == ("taken_over", ["fence-raised"])
    fence = FenceRaised.model_validate(draft.outbound[0].data)
    assert (fence.seq, fence.contact, fence.reason, fence.by) == (5, CONTACT, "takeover", "luis")
    assert (draft.contact.escalated, draft.contact.fence) == (True, 5)
    assert draft.conversation is None or draft.conversation.status == "escalated"


@pytest.mark.parametrize(
    ("lines", "unseen", "open_ones"),
    [
        ([], (), []),
        ([line("client", "a"), line("operator", "b")], (), []),
        ([line("client", "a"), line("operator", "b"), line("client", "c"), line("client", "d")], (), ["c", "d"]),
        ([line("client", "a"), line("bot", "b")], (), []),
        ([line("client", "a"), line("bot", "b", "part-1")], ("part-1",), ["a"]),
    ],
)
def test_a_hand_back_answers_what_nobody_has_answered(
    lines: list[HistoryLine], unseen: tuple[str, ...], open_ones: list[str]
) -> None:
    before = state(contact(escalated=True, apologies=3), conversation(status="escalated", lines=lines))
    draft = takeover.handed_back(before, HandedBack(by="luis"), unseen)
    assert draft.must_answer is bool(open_ones)
    assert (draft.contact.escalated, draft.contact.apologies) == (False, 0)
    assert draft.conversation
    assert draft.conversation.status == "active"


def test_a_hand_back_of_somebody_who_opted_out_says_nothing() -> None:
    before = state(contact(escalated=True, opted_out=True), conversation(lines=[line("client", "a")]))
    assert takeover.handed_back(before, HandedBack(by="luis")).outcome == "handed_back"


def said(before: Any, **fields: Any) -> Draft:
    event = OperatorSaid(by="luis", text="hola, soy Luis", **fields)
    return takeover.said(run(event), before, event, POLICY)


def test_an_operators_words_go_out_as_such() -> None:
    draft = said(state(contact(address=ADDRESS), conversation()))
    request = SendRequested.model_validate(draft.outbound[0].data)
    assert (request.purpose, request.to, [part.text for part in request.parts]) == (
        "operator",
        ADDRESS,
        ["hola, soy Luis"],
    )
    assert draft.conversation
    assert draft.conversation.lines[-1].role == "operator"
    assert draft.messages[-1].by == "luis"


def test_without_a_conversation_they_open_a_manual_one() -> None:
    draft = said(state(contact(seq=0, rev="")), channel="+14155230000")
    assert kinds(draft) == ["send-requested", "conversation-started"]
    assert draft.conversation
    assert (draft.conversation.source, draft.conversation.channel) == ("manual", "+14155230000")
    assert SendRequested.model_validate(draft.outbound[0].data).to == CONTACT


def test_an_operator_does_not_write_to_who_opted_out() -> None:
    draft = said(state(contact(opted_out=True), conversation()))
    assert (draft.outcome, kinds(draft)) == ("opted_out", [])


def received(**person: Any) -> tuple[Any, Any, Draft]:
    work, before = (
        run(message("¿hay alguien?")),
        state(contact(**person), conversation(lines=[line("client", "antes")])),
    )
    return work, before, decisions.received(work, before, work.events, POLICY)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [["Te paso con una persona."], []])
def test_the_agent_hands_over_with_its_reason_and_a_summary(words: list[str]) -> None:
    work, before, draft = received()
    tool = {"name": "escalate_to_human", "parameters": {"reason": "reembolso", "summary": "Quiere su dinero."}}
    draft = decisions.answered(work, before, draft, Answer(words, tools=[tool], outcome="escalated"), POLICY)
    assert (draft.outcome, draft.contact.escalated) == ("escalated", True)
    assert kinds(draft) == (["send-requested"] if words else []) + ["conversation-escalated"]
    assert (draft.notices[0].data["reason"], draft.notices[0].data["summary"]) == ("reembolso", "Quiere su dinero.")
    assert draft.conversation
    assert draft.conversation.status == "escalated"


def test_without_a_summary_the_last_lines_are_one() -> None:
    work, before, draft = received()
    tool = {"name": "escalate_to_human", "parameters": {}}
    draft = decisions.answered(work, before, draft, Answer([], tools=[tool], outcome="escalated"), POLICY)
    assert draft.notices[0].data["summary"] == "client: antes\nclient: ¿hay alguien?"


@pytest.mark.parametrize(("before", "escalates"), [(0, False), (1, False), (2, True), (7, True)])
def test_the_third_apology_in_a_row_calls_a_person(before: int, escalates: bool) -> None:
    work, given, draft = received(apologies=before)
    draft = decisions.apologised(work, given, draft, AgentUnavailableError(3, "down"), POLICY)
    assert draft.contact.escalated is escalates
    assert ("conversation-escalated" in kinds(draft)) is escalates
    assert draft.outcome == "apologised"


def test_after_a_closing_the_bot_stays_silent_and_somebody_is_told() -> None:
    work = run(message())
    draft = decisions.received(work, state(contact(escalated=True)), work.events, POLICY)  # type: ignore[arg-type]
    assert draft.outcome == "stored"
    assert kinds(draft) == ["conversation-started", "conversation-escalated"]
    assert draft.conversation
    assert draft.conversation.status == "escalated"
