"""Marks, sections and lines of the list: tables."""

from datetime import timedelta
from typing import Any

import pytest

from ops.console.shapes import Bubble, entry_of, mark_of, section_of, with_last
from schemas.documents import HistoryLine, SendDocument
from tests.unit.processor.states import ADDRESS, CHANNEL, CONTACT, NOW, conversation


def send(**fields: Any) -> SendDocument:
    known: dict[str, Any] = {
        "id": "turn_1-1", "contact": CONTACT, "turn": "turn_1", "seq": 1, "conversation_id": "conv_1",
        "purpose": "reply", "to": ADDRESS, "channel": CHANNEL, "body_hash": "", "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    return SendDocument(**{**known, **fields})


@pytest.mark.parametrize(
    ("row", "told", "mark", "why", "code"),
    [
        (None, None, "waiting", "", None),
        ({"state": "intent"}, None, "waiting", "", None),
        ({"state": "accepted"}, None, "waiting", "", None),
        ({"state": "accepted", "status": "queued"}, None, "waiting", "", None),
        ({"state": "accepted", "status": "sent"}, None, "sent", "", None),
        ({"state": "accepted", "status": "delivered"}, None, "delivered", "", None),
        ({"state": "accepted", "status": "read"}, None, "read", "", None),
        ({"state": "accepted", "status": "sent"}, ("read", None), "read", "", None),
        ({"state": "accepted", "status": "read"}, ("delivered", None), "read", "", None),
        ({"state": "accepted"}, ("undelivered", 63024), "failed", "undelivered", 63024),
        (None, ("delivered", None), "delivered", "", None),
        ({"state": "accepted", "status": "failed", "error_code": 63016}, None, "failed", "failed", 63016),
        ({"state": "rejected", "error_code": 21211}, None, "failed", "rejected", 21211),
        ({"state": "withheld", "error_message": "fenced"}, None, "failed", "fenced", None),
        ({"state": "withheld", "error_message": "window_closed"}, None, "failed", "window_closed", None),
        ({"state": "uncertain", "error_message": "answer_lost"}, None, "unclear", "answer_lost", None),
        ({"state": "unknown"}, None, "unclear", "unknown", None),
        ({"state": "again", "error_code": 63018}, None, "waiting", "", None),
    ],
)
def test_a_mark_says_what_became_of_it(
    row: dict[str, Any] | None, told: Any, mark: str, why: str, code: int | None
) -> None:
    found = mark_of(send(**row) if row is not None else None, told)
    assert (found["mark"], found["why"], found["code"]) == (mark, why, code)


@pytest.mark.parametrize(
    ("status", "last_by", "section"),
    [
        ("active", "client", "active"),
        ("active", "", "active"),
        ("escalated", "client", "waiting"),
        ("escalated", "bot", "person"),
        ("escalated", "operator", "person"),
        ("escalated", "", "person"),
        ("closed", "client", "closed"),
    ],
)
def test_who_waits_stands_first(status: str, last_by: str, section: str) -> None:
    assert section_of(status, last_by) == section


def test_a_newer_bubble_is_the_last_line() -> None:
    line = HistoryLine(role="operator", text="voy", at=NOW, id="turn_1-1")
    stored = entry_of(conversation(status="escalated", lines=[line]))
    assert (stored.section, stored.last, stored.last_by) == ("person", "voy", "operator")
    newer = Bubble("SM1", "client", "x" * 500, NOW + timedelta(seconds=1))
    after = with_last(stored, newer)
    assert (after.section, len(after.last), after.at, after.order > stored.order) == ("waiting", 160, newer.at, True)
    assert entry_of(conversation(status="escalated", lines=[line]), last=newer).section == "waiting"
