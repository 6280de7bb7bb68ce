"""What may be shown now: text inside the window, a template outside, or nothing and why."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from schemas.events import Part, SendRequested, Template
from sender.window import CALLBACK_OVERRIDES, content, fallback, validity

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SID = "HX" + "0" * 32
TEMPLATE = Template(content_sid=SID, variables={"1": "Añá", "2": "x"})


def request(**fields: Any) -> SendRequested:
    known = {
        "contact": "+34600111222",
        "to": "+34600111222",
        "channel": "+14155238886",
        "conversation_id": "conv_1",
        "turn": "turn_1",
        "seq": 1,
        "purpose": "reply",
        "parts": [Part(send_id="turn_1-1", text="uno"), Part(send_id="turn_1-2", text="dos")],
    }
    return SendRequested(**{**known, **fields})


def minutes(number: float) -> datetime:
    return NOW + timedelta(minutes=number)


@pytest.mark.parametrize(
    ("until", "template", "not_after", "first", "second"),
    [
        pytest.param(60, False, None, "text", "text", id="open"),
        pytest.param(60, True, None, "text", "text", id="open: a template is not needed"),
        pytest.param(10.1, False, None, "text", "text", id="open for more than the margin"),
        pytest.param(10, False, None, "window_closed", "window_closed", id="within the margin"),
        pytest.param(10, True, None, "template", "window_closed", id="within the margin, template"),
        pytest.param(-60, False, None, "window_closed", "window_closed", id="closed"),
        pytest.param(-60, True, None, "template", "window_closed", id="closed, template"),
        pytest.param(None, False, None, "window_closed", "window_closed", id="never open"),
        pytest.param(None, True, None, "template", "window_closed", id="never open, template"),
        pytest.param(60, False, 0, "text", "text", id="just in time"),
        pytest.param(60, False, -0.01, "expired", "expired", id="stale"),
        pytest.param(None, True, -1, "expired", "expired", id="stale before closed"),
    ],
)
def test_what_may_be_shown(
    until: float | None, template: bool, not_after: float | None, first: str, second: str
) -> None:
    asked = request(
        window_until=None if until is None else minutes(until),
        template=TEMPLATE if template else None,
        not_after=None if not_after is None else minutes(not_after),
    )
    for part, expected in zip(asked.parts, (first, second), strict=True):
        found = content(asked, part, NOW)
        if expected == "text":
            assert (found.fields, found.reason) == ({"Body": part.text}, "")
        elif expected == "template":
            assert set(found.fields) == {"ContentSid", "ContentVariables"}
            assert (found.fields["ContentSid"], found.reason) == (SID, "")
            assert json.loads(found.fields["ContentVariables"]) == {"1": "Añá", "2": "x"}
        else:
            assert (found.fields, found.reason) == ({}, expected)


def test_callbacks_are_tried_again_and_the_signed_url_ends_before_that() -> None:
    parts = urlsplit(f"https://x/webhook/twilio/status?send=turn_1-1&attempt=1{CALLBACK_OVERRIDES}")
    assert parse_qs(parts.query) == {"send": ["turn_1-1"], "attempt": ["1"]}
    assert parse_qs(parts.fragment) == {"rc": ["3"], "rp": ["5xx,ct,rt"]}


@pytest.mark.parametrize(
    ("purpose", "shown"), [("reply", True), ("operator", True), ("apology", False), ("confirmation", False)]
)
def test_outside_the_window_a_reply_becomes_the_template_for_it(purpose: str, shown: bool) -> None:
    asked = request(purpose=purpose)
    first, second = (content(asked, part, NOW, "HX1") for part in asked.parts)
    assert first.fields == ({"ContentSid": "HX1", "ContentVariables": '{"1": "uno"}'} if shown else {})
    assert second.reason == "window_closed"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("uno\n\ndos\ttres", "uno dos tres"),
        ("a      b", "a b"),
        ("  \n ", "-"),
        ("", "-"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
        ('"{{1}}" ñ 👋', '"{{1}}" ñ 👋'),
    ],
)
def test_variables_are_one_clean_line(text: str, clean: str) -> None:
    asked = request(template=Template(content_sid=SID, variables={"1": text}))
    found = fallback(asked, asked.parts[0], "")
    assert found
    assert json.loads(found["ContentVariables"]) == {"1": clean}


@pytest.mark.parametrize(
    ("left", "seconds"), [(0.2, "60"), (1, "60"), (10, "600"), (600, "36000"), (6000, "36000"), (None, None)]
)
def test_the_validity_is_what_is_left(left: float | None, seconds: str | None) -> None:
    found = validity(None if left is None else minutes(left), NOW)
    assert found.get("ValidityPeriod") == seconds
