"""Loops and budgets: who is a machine, and who is only quick."""

from datetime import timedelta
from typing import Any

import pytest

from processor import decisions, guards
from processor.drafts import Draft
from schemas.documents import HistoryLine
from schemas.events import MessageReceived
from tests.unit.processor.states import NOW, POLICY, contact, conversation, message, run, state

AUTO = "Gracias por escribir a Ferretería Sol. En breve le atenderemos."


def lines(*said: str, every_s: float = 5) -> list[HistoryLine]:
    """Alternating, the client first; the last one just before now."""
    roles: Any = ("client", "bot")
    first = NOW - timedelta(seconds=every_s * len(said))
    return [
        HistoryLine(role=roles[n % 2], text=text, at=first + timedelta(seconds=every_s * n), id=f"l{n}")
        for n, text in enumerate(said)
    ]


def checked(before: list[HistoryLine], text: str, **person: Any) -> Draft:
    event: MessageReceived = message(text, received_at=NOW)
    given = state(contact(**person), conversation(lines=before))
    work = run(event)
    return decisions.received(work, given, work.events, POLICY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "text", "loop"),
    [
        pytest.param([AUTO, "¿En qué ayudo?"] * 3, AUTO, True, id="an auto-reply, ours alike"),
        pytest.param([AUTO, "a", AUTO, "b", AUTO, "c"], AUTO, True, id="an auto-reply, ours vary"),
        pytest.param(["Opción no válida", "Elija"] * 3, "opción no  válida", True, id="short, ours alike"),
        pytest.param([AUTO, "x", AUTO + "!", "y", AUTO, "z"], AUTO, True, id="two texts in turn"),
        pytest.param(
            ["sí", "¿hora?", "sí", "¿día?", "sí", "¿lugar?"], "sí", False, id="a person says yes to questions"
        ),
        pytest.param([AUTO, "a"] * 2, AUTO, False, id="only the third time"),
        pytest.param(["uno", "a", "dos", "a", "tres", "a"], "cuatro", False, id="quick writing"),
        pytest.param(["uno", "dos"] * 0, "hola", False, id="a first message"),
    ],
)
def test_loops(before: list[str], text: str, loop: bool) -> None:
    draft = checked(lines(*before), text)
    assert (draft.outcome == "throttled") is loop
    if loop:
        assert [one.type for one in draft.notices] == ["hilo.contact-throttled.v1"]
        assert draft.notices[0].data["reason"] == "loop"
        assert draft.outbound == ()
        assert draft.messages


def test_somebody_who_asks_the_same_every_day_is_no_loop() -> None:
    assert checked(lines(*[AUTO, "claro"] * 3, every_s=86_400), AUTO).must_answer


def test_a_loop_goes_on_being_one_and_is_told_once() -> None:
    before = [*lines(*[AUTO, "x"] * 3), HistoryLine(role="client", text=AUTO, at=NOW, id="l9")]
    draft = checked(before, AUTO, throttled=True)
    assert (draft.outcome, list(draft.notices)) == ("throttled", [])


def test_another_word_ends_it() -> None:
    before = [*lines(*[AUTO, "x"] * 3), HistoryLine(role="client", text=AUTO, at=NOW, id="l9")]
    draft = checked(before, "hola, soy una persona", throttled=True)
    assert draft.must_answer
    assert draft.contact.throttled is False


def test_a_budget_is_full_at_first_and_fills_in_an_hour() -> None:
    person = contact()
    assert guards.available(person, NOW, 60) == 60
    spent = contact(turns_left=0.5, turns_left_at=NOW)
    assert guards.available(spent, NOW, 60) == 0.5
    assert guards.available(spent, NOW + timedelta(minutes=1), 60) == 1.5
    assert guards.available(spent, NOW + timedelta(hours=5), 60) == 60
    assert guards.available(spent, NOW - timedelta(hours=5), 60) == 0.5  # a clock that went back gives nothing


def test_over_the_budget_the_client_hears_so_once_and_the_backend_too() -> None:
    draft = checked([], "hola", turns_left=0.5, turns_left_at=NOW)
    assert draft.outcome == "throttled"
    assert [one.data["reason"] for one in draft.notices] == ["budget"]
    assert len(draft.outbound) == 1
    assert draft.contact.throttled
    again = checked([], "¿hola?", turns_left=0.5, turns_left_at=NOW, throttled=True)
    assert (again.outcome, again.outbound) == ("throttled", ())
    assert draft.contact.turns_left == 0.5


def test_a_flood_does_not_keep_the_budget_from_filling() -> None:
    left, at = 0.0, NOW
    for _ in range(60):
        at += timedelta(seconds=2)
        person = contact(turns_left=left, turns_left_at=at - timedelta(seconds=2))
        left = guards.available(person, at, 60)
    assert left == pytest.approx(2)


def test_each_answered_turn_costs_one() -> None:
    assert checked([], "hola", turns_left=5.0, turns_left_at=NOW).contact.turns_left == 4
