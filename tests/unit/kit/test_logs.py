"""Logs: one JSON line each, the wanted keys, no phone number anywhere."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kit import logs
from kit.tracing import span

PHONE = "+5215512345678"
MASKED = "+52•••••5678"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Standard output of a process that is configured as a service is."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in logs.QUIET}
    root.handlers[:] = []  # pytest's own: `configure` would close them
    logs.configure("sender", "DEBUG")
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    logs.structure("test")


@pytest.fixture
def lines(written: io.StringIO) -> Lines:
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_line_has_what_an_operator_looks_for(lines: Lines) -> None:
    logs.get_log("delivery").info("posted", event_id="SM1", turn_id="turn_1", contact=PHONE, seconds=0.5, ok=True)
    (line,) = lines()
    timestamp = line.pop("timestamp")
    assert timestamp.endswith("Z")
    assert line == {
        "service": "sender",
        "level": "info",
        "event": "posted",
        "event_id": "SM1",
        "turn_id": "turn_1",
        "contact": MASKED,
        "seconds": 0.5,
        "ok": True,
    }


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        pytest.param("contact", PHONE, MASKED, id="contact"),
        pytest.param("contact", "MX.a1b2c3d49f3c", "MX.•••••9f3c", id="user id"),
        pytest.param("contact", "", "•••••", id="nobody"),
        pytest.param("to", PHONE, MASKED, id="another field"),
        pytest.param("to", f"whatsapp:{PHONE}", f"whatsapp:{MASKED}", id="prefixed"),
        pytest.param("error", f"from {PHONE} to +34600111222!", f"from {MASKED} to +34•••••1222!", id="two in a text"),
        pytest.param("url", "/x?To=whatsapp%3A%2B5215512345678&n=1", f"/x?To=whatsapp%3A{MASKED}&n=1", id="in a URL"),
        pytest.param("url", "/x?To=%2b5215512345678", f"/x?To={MASKED}", id="lower-case escape"),
        pytest.param("offset", "contact.log-3-5215512345678", "contact.log-3-5215512345678", id="no phone"),
        pytest.param("delta", "+12", "+12", id="a short number"),
    ],
)
def test_a_phone_number_in_any_field_is_masked(lines: Lines, field: str, value: str, shown: str) -> None:
    logs.get_log("x").warning("said", **{field: value})
    assert lines()[0][field] == shown


@pytest.mark.parametrize("value", [[PHONE], {"to": PHONE}, {"contact": PHONE}, ({"x": [PHONE]},)])
def test_a_phone_number_deep_inside_is_masked(lines: Lines, value: object) -> None:
    logs.get_log("x").warning("said", rows=value)
    assert "5512345678" not in json.dumps(lines())


def test_a_phone_number_in_the_message_itself_is_masked(lines: Lines) -> None:
    logs.get_log("x").info(f"no conversation with {PHONE}")
    assert lines()[0]["event"] == f"no conversation with {MASKED}"


def test_a_librarys_message_is_masked_too(lines: Lines) -> None:
    logging.getLogger("some.library").warning("POST https://x/Messages?To=%%2B%s -> %s", PHONE[1:], PHONE)
    (line,) = lines()
    assert "5512345678" not in json.dumps(line)
    assert (line["service"], line["level"]) == ("sender", "warning")


@pytest.mark.expects_errors
def test_an_exceptions_text_is_masked_too(lines: Lines) -> None:
    try:
        int(f"bad number {PHONE}")
    except ValueError:
        logs.get_log("x").exception("crashed")
    (line,) = lines()
    assert MASKED in line["exception"]
    assert "5512345678" not in json.dumps(line)


@pytest.mark.parametrize("name", logs.QUIET)
def test_libraries_that_talk_too_much_are_quiet(lines: Lines, name: str) -> None:
    logging.getLogger(name).info("a request")
    assert lines() == []


def test_a_line_inside_a_span_names_its_trace(lines: Lines) -> None:
    parent = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with span("contact.log process", parent):
        logs.get_log("x").info("inside")
    logs.get_log("x").info("outside")
    inside, outside = lines()
    assert inside["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert "trace_id" not in outside


def test_letters_are_written_as_letters(written: io.StringIO) -> None:
    logs.get_log("x").info("¡Hola! 👋")
    assert "¡Hola! 👋" in written.getvalue()


async def test_lines_of_one_turn_of_the_loop_are_one_write(
    written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[str] = []
    monkeypatch.setattr(written, "write", writes.append)
    for number in range(3):
        logs.get_log("x").info("said", number=number)
    assert writes == []
    await asyncio.sleep(0)
    assert [json.loads(line)["number"] for line in writes[0].splitlines()] == [0, 1, 2]
    assert len(writes) == 1


async def test_a_warning_is_written_at_once_and_in_order(written: io.StringIO) -> None:
    logs.get_log("x").info("first")
    logs.get_log("x").warning("second")
    assert [json.loads(line)["event"] for line in written.getvalue().splitlines()] == ["first", "second"]


async def test_what_a_stopped_loop_left_is_written_at_the_end(written: io.StringIO) -> None:
    logs.get_log("x").info("last words")
    logging.getLogger().handlers[0].flush()  # as logging.shutdown does at exit
    assert "last words" in written.getvalue()
