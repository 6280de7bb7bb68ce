"""Statuses come in any order, repeated, and before their POST returned."""

from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from schemas.documents import SendDocument
from schemas.events import StatusChanged
from sender.effects import RANK
from sender.statuses import merged

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ERRORS = {"failed": 30008, "undelivered": 63024}


def send(**fields: Any) -> SendDocument:
    known = {
        "id": "turn_1-1",
        "contact": "+34600111222",
        "turn": "turn_1",
        "seq": 1,
        "conversation_id": "conv_1",
        "purpose": "reply",
        "to": "+34600111222",
        "channel": "+14155238886",
        "body_hash": "x",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return SendDocument(**{**known, **fields})


def status(name: str, **fields: Any) -> StatusChanged:
    known = {
        "message_sid": "SM1",
        "status": name,
        "send_id": "turn_1-1",
        "address": "+34600111222",
        "error_code": ERRORS.get(name),
        "error_message": f"about {name}" if name in ERRORS else None,
        "received_at": NOW,
    }
    return StatusChanged(**{**known, **fields})


def after(*names: str, start: SendDocument | None = None) -> SendDocument:
    row = start or send()
    for name in names:
        row = merged(row, status(name), NOW)
    return row


@pytest.mark.parametrize(
    ("names", "final"),
    [
        (("sent", "delivered", "read"), {"read"}),
        (("queued", "sending", "sent"), {"sent"}),
        (("accepted", "queued", "sent", "delivered"), {"delivered"}),
        (("sent", "failed"), {"failed"}),
        (("sent", "undelivered"), {"undelivered"}),
        (("sending", "sent", "failed"), {"failed"}),
        (("sent", "undelivered", "delivered"), {"delivered"}),
        (("sent", "failed", "delivered", "read"), {"read"}),
        (("sent", "delivered", "read", "failed", "undelivered"), {"read"}),
        # Which of two failures is told depends on their order: the last one.
        (("sent", "failed", "undelivered"), {"failed", "undelivered"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_the_final_status_does_not_depend_on_the_order(names: tuple[str, ...], final: set[str]) -> None:
    assert {after(*order).status for order in permutations(names)} == final


@pytest.mark.parametrize("order", list(permutations(("failed", "undelivered"))), ids="-".join)
def test_of_two_failures_the_last_one_is_told(order: tuple[str, ...]) -> None:
    assert after("sent", *order).status == order[-1]


@pytest.mark.parametrize("name", RANK)
def test_a_repeated_status_changes_nothing(name: str) -> None:
    once = after(name)
    assert merged(once, status(name), NOW) == once


def test_a_failure_keeps_its_error_when_the_message_is_delivered_after_all() -> None:
    row = after("undelivered", "delivered")
    assert (row.status, row.error_code, row.error_message) == ("delivered", 63024, "about undelivered")


def test_an_error_is_never_blanked_nor_replaced() -> None:
    row = after("undelivered", "failed")
    assert (row.error_code, row.error_message) == (63024, "about undelivered")
    row = merged(row, status("failed", error_code=None, error_message=None), NOW)
    assert row.error_code == 63024


def test_a_status_before_the_answer_tells_the_sid() -> None:
    row = after("sent")
    assert (row.sid, row.state) == ("SM1", "intent")
    assert merged(send(sid="SM0"), status("sent"), NOW).sid == "SM0"


@pytest.mark.parametrize("known", ["", "sent", "read"])
def test_an_unknown_status_is_no_step_back(known: str) -> None:
    assert after("levitating", start=send(status=known, sid="SM1")) == send(status=known, sid="SM1")


def test_the_ranks_are_twilios() -> None:
    order = ["accepted", "queued", "sending", "sent", "delivered", "read"]
    assert [RANK[one] for one in order] == sorted(set(RANK.values()))
    assert RANK["scheduled"] == RANK["accepted"]
    assert RANK["failed"] == RANK["undelivered"] == RANK["sent"]
