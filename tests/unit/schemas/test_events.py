"""Events on the wire: what goes in comes out, and what cannot be used says which field, never what was in it."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from schemas.attributes import CONTENT_TYPE, Envelope, Undecodable, WireRecord, decode, encode, header
from schemas.contact import Contact
from schemas.events import CallCompleted, Event, MessageReceived
from schemas.topics import CALL_COMPLETED, CONTACT_LOG, TOPICS
from tests.samples.examples import AT, CONTACT, EXAMPLES, EXPECTED_TYPES

SECRET = "sekreto-5215512345678"


def wrapped(event: Event, **extensions: str) -> Envelope[Event]:
    return Envelope("id-1", "hilo/test", AT, Contact(CONTACT), event, extensions)


def raw(value: bytes | None, *headers: tuple[str, bytes]) -> WireRecord:
    return WireRecord(CONTACT.encode(), value, headers)


def test_every_event_has_an_example() -> None:
    assert set(EXAMPLES) == set(EXPECTED_TYPES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_event_comes_back_as_it_was(name: str) -> None:
    envelope = wrapped(EXAMPLES[name], traceparent="00-1-2-03")
    assert decode(encode(envelope), [EXPECTED_TYPES[name]]) == envelope


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_type_names_are_kebab_case_with_a_version(name: str) -> None:
    event = EXPECTED_TYPES[name]
    assert name.startswith("hilo.")
    assert name.endswith(".v1")
    assert name.removeprefix("hilo.").removesuffix(".v1").replace("-", "") == event.__name__.lower()


def test_attributes_travel_in_headers_and_the_key_is_the_contact() -> None:
    record = encode(wrapped(EXAMPLES["hilo.handed-back.v1"], ce_replayed="1"))
    assert record.key == CONTACT.encode()
    assert record.value == b'{"by":"luis"}'
    assert dict(record.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"id-1",
        "ce_type": b"hilo.handed-back.v1",
        "ce_source": b"hilo/test",
        "ce_time": AT.isoformat().encode(),
        "content-type": CONTENT_TYPE.encode(),
        "ce_replayed": b"1",
    }


CALL = {
    "phone_number": "+5215512345678",
    "client_name": "Ana",
    "call_summary": "Cita",
    "agent_id": "a1",
    "conversation_id": "c1",
}
CAMEL = {
    "phoneNumber": "+5215512345678",
    "clientName": "Ana",
    "callSummary": "Cita",
    "agentId": "a1",
    "conversationId": "c1",
}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(CALL, id="snake_case"),
        pytest.param(CAMEL, id="camelCase"),
        pytest.param({**dict(list(CALL.items())[:3]), **dict(list(CAMEL.items())[3:])}, id="mixed"),
        pytest.param({**CAMEL, "ourField": {"deep": [1]}, "x": None}, id="with fields we do not know"),
    ],
)
@pytest.mark.parametrize("headers", [[], [("ce_type", b"hilo.call-completed.v1"), ("ce_id", b"theirs")]])
def test_a_foreign_call_is_read(value: dict[str, object], headers: list[tuple[str, bytes]]) -> None:
    record = WireRecord(None, json.dumps(value).encode(), headers)
    envelope = decode(record, CALL_COMPLETED.events, fallback_id="call.completed-0-7")
    assert envelope.data == CallCompleted.model_validate(CALL)
    assert envelope.id == ("theirs" if headers else "call.completed-0-7")
    assert (envelope.contact, envelope.extensions) == ("", {})


def test_a_call_needs_only_its_number() -> None:
    envelope = decode(raw(b'{"phoneNumber":"+34600111222"}'), CALL_COMPLETED.events)
    assert envelope.data == CallCompleted(phone_number="+34600111222")
    assert envelope.time == datetime.fromtimestamp(0, UTC)


def test_our_own_call_is_written_in_snake_case() -> None:
    record = encode(wrapped(CallCompleted.model_validate(CAMEL)))
    assert json.loads(record.value or b"") == CALL


def test_unset_optional_fields_are_not_written() -> None:
    record = encode(wrapped(CallCompleted(phone_number="+34600111222")))
    assert record.value == b'{"phone_number":"+34600111222"}'


def test_header_names_ignore_case_and_the_last_one_counts() -> None:
    headers = [("CE_ID", b"first"), ("ce_id", b"last"), ("TraceParent", b"t")]
    assert header(headers, "ce_id") == "last"
    assert decode(raw(b'{"by":"x"}', *headers, ("ce_type", b"hilo.handed-back.v1")), CONTACT_LOG.events).extensions == {
        "traceparent": "t"
    }


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (b"2026-11-23T09:30:15Z", datetime(2026, 11, 23, 9, 30, 15, tzinfo=UTC)),
        (b"2026-11-23T09:30:15", datetime(2026, 11, 23, 9, 30, 15, tzinfo=UTC)),
        (b"2026-11-23T09:30:15+01:00", datetime(2026, 11, 23, 9, 30, 15, tzinfo=timezone(timedelta(hours=1)))),
    ],
)
def test_times_are_aware(text: bytes, moment: datetime) -> None:
    record = raw(b'{"phone_number":"+34600111222"}', ("ce_time", text))
    assert decode(record, CALL_COMPLETED.events).time == moment


GOOD = b'{"phone_number":"+34600111222"}'


def message(**more: object) -> bytes:
    fields = {"message_sid": "SM1", "channel": "+14155238886", "address": "+34600111222", "received_at": AT.isoformat()}
    return json.dumps({**fields, **more}).encode()


@pytest.mark.parametrize(
    ("record", "named"),
    [
        pytest.param(raw(None), "empty value", id="no value"),
        pytest.param(raw(b""), "empty value", id="empty value"),
        pytest.param(raw(b'{"phone_number": "' + SECRET.encode()), "JSON", id="cut JSON"),
        pytest.param(raw(SECRET.encode()), "JSON", id="no JSON"),
        pytest.param(raw(b'{"phone_number": "\xff\xfe"}'), "JSON", id="value not UTF-8"),
        pytest.param(raw(f'["{SECRET}"]'.encode()), "value", id="a list"),
        pytest.param(raw(f'"{SECRET}"'.encode()), "value", id="a string"),
        pytest.param(raw(b"{}"), "phone", id="field missing"),
        pytest.param(raw(b'{"phoneNumber": 5215512345678}'), "phone", id="number instead of text"),
        pytest.param(raw(b'{"phoneNumber": null}'), "phone", id="null where text is needed"),
        pytest.param(
            raw(f'{{"phoneNumber": "+1", "transcript": [{{"role": "{SECRET}", "message": "x"}}]}}'.encode()),
            "transcript.0.role",
            id="a role we do not know",
        ),
        pytest.param(
            raw(f'{{"phoneNumber": "+1", "endedAt": "{SECRET}"}}'.encode()), "ended", id="a time that is none"
        ),
        pytest.param(raw(GOOD, ("ce_time", SECRET.encode())), "ce_time", id="a header time that is none"),
        pytest.param(raw(GOOD, ("ce_id", b"\xff\xfe")), "ce_id", id="ce_id not UTF-8"),
        pytest.param(raw(GOOD, ("ce_type", b"\xff")), "ce_type", id="ce_type not UTF-8"),
        pytest.param(raw(GOOD, ("x-other", b"\xff")), "x-other", id="foreign header not UTF-8"),
        pytest.param(raw(GOOD, ("ce_type", b"hilo.call-completed.v2")), "unknown event type", id="unknown type"),
        pytest.param(raw(GOOD, ("ce_type", b"hilo.handed-back.v1")), "unknown event type", id="type of another topic"),
    ],
)
def test_what_cannot_be_read_names_the_field_and_not_its_content(record: WireRecord, named: str) -> None:
    with pytest.raises(Undecodable, match=named) as refused:
        decode(record, CALL_COMPLETED.events)
    assert SECRET not in str(refused.value)
    assert "5215512345678" not in str(refused.value)
    assert refused.value.__cause__ is None  # pydantic's own error shows the input


@pytest.mark.parametrize("field", ["channel", "received_at", "media", "location", "fields", "message_sid"])
def test_a_wrong_field_of_a_message_is_named(field: str) -> None:
    record = raw(message(**{field: [SECRET]}), ("ce_type", b"hilo.message-received.v1"))
    with pytest.raises(Undecodable, match=field) as refused:
        decode(record, CONTACT_LOG.events)
    assert SECRET not in str(refused.value)


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(Undecodable, match=r"message_sid.*channel"):
        decode(raw(b"{}", ("ce_type", b"hilo.message-received.v1")), CONTACT_LOG.events)


def test_a_message_of_a_future_ingress_is_read() -> None:
    record = raw(message(kind="hologram", new_field=1), ("ce_type", b"hilo.message-received.v1"))
    envelope = decode(record, CONTACT_LOG.events)
    assert isinstance(envelope.data, MessageReceived)
    assert envelope.data.kind == "hologram"


def test_a_header_without_a_value_is_as_if_absent() -> None:
    record = raw(GOOD, ("ce_id", None))  # type: ignore[arg-type]  # aiokafka gives None for it
    assert decode(record, CALL_COMPLETED.events, fallback_id="f").id == "f"


def test_a_key_that_is_no_text_does_not_stop_the_record() -> None:
    assert decode(WireRecord(b"\xff\xfe", GOOD), CALL_COMPLETED.events).contact == "��"


def test_topic_names_are_the_designs() -> None:
    assert [(topic.name, topic.group, topic.retention_days) for topic in TOPICS] == [
        ("call.completed", "processor-relay", 7),
        ("contact.log", "processor", 30),
        ("message.outbound", "sender", 7),
        ("message.status", "sender-status", 7),
        ("system.notices", None, 30),
        ("dead.letters", None, 30),
    ]
