"""Twilio's codes → what to do (Twilio's error dictionary)."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from sender.outcomes import CODES, TABLE, UNKNOWN, Action, Outcome, once_more, outcome_for
from tests.unit.sender.test_statuses import send

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TEXT, TEMPLATE = {"Body": "hola"}, {"ContentSid": "HX1"}
EXPECTED: dict[tuple[Action, tuple[int, ...], bool], str] = {
    ("halt", (300, 900), True): "20003 20005 20006 20404 21701 21703 21705 30002 63001 63002 63007 63008 63020 63022 "
    "63051",
    ("hold", (), False): "20429",
    ("hold", (60, 300), True): "21611",
    ("hold", (30, 300), False): "63017",
    ("later", (30, 300), False): "63009 63010 63012 63023",
    ("later", (60, 300), False): "30001",
    ("later", (30, 60), False): "63018",
    ("later", (30,), False): "30008 63019 63029",
    ("ask", (60,), False): "20500 20503 30410",
    ("suppress", (), False): "63003 63014 63024",
    ("suppress", (), True): "21211",
    ("opt_out", (), False): "21610",
    ("template", (), False): "63016",
    ("fix", (), True): "21212 21606 21603 21604 21602 21609 21619 21624 21623 21620 21408 21601 21612 21614 21608 "
    "572006 63015 21617 21654 21655 21656 21910 30007 63005 63006 63011 63013 63021 63026 63027 63028 63030 63031 "
    "63038 63040 63041 63042 63062",
    ("undeliverable", (), True): "14107",
    ("undeliverable", (), False): "11751 30003 30004 30005 30006 63025 63032 63033 63034 63037 63049",
}
ROWS = [(int(code), Outcome(*row)) for row, codes in EXPECTED.items() for code in codes.split()]
NAMES = [str(code) for code, _ in ROWS]


@pytest.mark.parametrize(("code", "outcome"), ROWS, ids=NAMES)
def test_every_row(code: int, outcome: Outcome) -> None:
    assert outcome_for(code) == outcome


def test_no_row_is_left_out_and_none_stands_twice() -> None:
    assert {code for code, _ in ROWS} == set(TABLE)
    times = Counter(code for codes in CODES.values() for code in codes)
    assert [code for code, number in times.items() if number > 1] == []
    assert {outcome.action for outcome in CODES} == set(get_args(Action))


@pytest.mark.parametrize("code", [99999, 63999, 31000])
def test_an_unknown_code_is_told_and_looked_at(code: int) -> None:
    assert outcome_for(code) == UNKNOWN == Outcome("undeliverable", alarm=True)


@pytest.mark.parametrize("code", [0, None])
def test_no_code_is_told(code: int | None) -> None:
    assert outcome_for(code) == Outcome("undeliverable")


def test_every_row_is_a_code_of_twilio() -> None:
    assert all(10_000 <= code < 1_000_000 for code in TABLE)


@pytest.mark.parametrize(("code", "outcome"), ROWS, ids=NAMES)
def test_every_row_is_tried_as_often_as_it_says(code: int, outcome: Outcome) -> None:
    row, waited = send(content=TEXT, fallback=TEMPLATE), []
    while again := once_more(row, code, NOW):
        assert (again["state"], again["owed"], again["lease_until"]) == ("again", True, None)
        waited.append((again["again_at"] - NOW).total_seconds())
        row = row.model_copy(update={**again, "template": "ContentSid" in again.get("content", TEXT)})
    assert waited == ([0] if outcome.action == "template" else list(outcome.delays))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"fallback": None}, id="no template"),
        pytest.param({"template": True}, id="a template already"),
        pytest.param({"repeats": 1}, id="its first message may be on the handset"),
    ],
)
def test_no_template_where_there_is_none_or_was_one(fields: dict[str, Any]) -> None:
    assert once_more(send(**{"content": TEXT, "fallback": TEMPLATE, **fields}), 63016, NOW) is None


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"content": None}, id="its end was known"),
        pytest.param({"retries": 2}, id="often enough"),
        pytest.param({"repeats": 1}, id="its first message may be on the handset"),
    ],
)
def test_not_for_ever(fields: dict[str, Any]) -> None:
    assert once_more(send(**{"content": TEXT, **fields}), 63012, NOW) is None


def test_a_template_that_fails_for_a_while_is_tried_again_as_a_template() -> None:
    row = send(content=TEXT, fallback=TEMPLATE)
    row = row.model_copy(update={**(once_more(row, 63016, NOW) or {}), "template": True})
    again = once_more(row, 63012, NOW)
    assert again
    assert row.content == TEMPLATE
    assert again["again_at"] == NOW + timedelta(seconds=30)
