"""Recorded forms (captured in Sep 2026) → events."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from ingress.forms import Form, parse_form
from ingress.twilio import Refused, message_received, status_changed
from schemas.events import Button, Location, Media, MessageReceived

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SID = "SM" + "a" * 32
TEXT = {
    "SmsMessageSid": SID,
    "NumMedia": "0",
    "ProfileName": "Ana",
    "MessageType": "text",
    "SmsSid": SID,
    "WaId": "34600111222",
    "SmsStatus": "received",
    "Body": "hola",
    "To": "whatsapp:+14155238886",
    "NumSegments": "1",
    "ReferralNumMedia": "0",
    "MessageSid": SID,
    "AccountSid": "AC" + "0" * 32,
    "ChannelMetadata": '{"type":"whatsapp","data":{"context":{"ProfileName":"Ana","WaId":"34600111222"}}}',
    "From": "whatsapp:+34600111222",
    "ExternalUserId": "whatsapp:ES.9f3cAbc",
    "ApiVersion": "2010-04-01",
}
MEDIA_URL = "https://api.twilio.com/2010-04-01/Accounts/AC0/Messages/MM0/Media/ME0"
BASIC = {
    "message_sid": SID,
    "channel": "+14155238886",
    "address": "+34600111222",
    "profile_name": "Ana",
    "user_id": "ES.9f3cAbc",
    "received_at": AT,
}


def form(**fields: str | None) -> Form:
    """The recorded text message with other fields; None takes one out."""
    merged = {**TEXT, **fields}
    return parse_form(urlencode({name: value for name, value in merged.items() if value is not None}).encode())


def media(content_type: str) -> dict[str, str]:
    return {"NumMedia": "1", "MediaUrl0": MEDIA_URL, "MediaContentType0": content_type}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, {"kind": "text", "text": "hola"}, id="text"),
        pytest.param(
            {"Body": "  ¿Qué tal? 👩🏽‍⚕️\nsegunda línea & más + 100% \r\n "},
            {"text": "  ¿Qué tal? 👩🏽‍⚕️\nsegunda línea & más + 100% \r\n "},
            id="emoji, newlines and blanks are kept",
        ),
        pytest.param(
            {"MessageType": "image", "Body": "mira esto", **media("image/jpeg")},
            {"kind": "image", "text": "mira esto", "media": [Media(url=MEDIA_URL, content_type="image/jpeg")]},
            id="photo with caption",
        ),
        pytest.param(
            {"MessageType": "image", "Body": "", **media("image/jpeg")},
            {"kind": "image", "text": "", "media": [Media(url=MEDIA_URL, content_type="image/jpeg")]},
            id="photo without caption",
        ),
        pytest.param(
            {"MessageType": "audio", "Body": "", **media("audio/ogg")},
            {"kind": "audio", "text": "", "media": [Media(url=MEDIA_URL, content_type="audio/ogg")]},
            id="voice note",
        ),
        pytest.param(
            {"MessageType": "document", "Body": "factura.pdf", **media("application/pdf")},
            {
                "kind": "document",
                "text": "factura.pdf",
                "media": [Media(url=MEDIA_URL, content_type="application/pdf")],
            },
            id="document, its Body is the file name",
        ),
        pytest.param(
            {"MessageType": "location", "Body": "", "Latitude": "19.4326", "Longitude": "-99.1332"},
            {"kind": "location", "text": "", "location": Location(latitude=19.4326, longitude=-99.1332)},
            id="location",
        ),
        pytest.param(
            {
                "MessageType": "location",
                "Body": "",
                "Latitude": "19.4",
                "Longitude": "-99.1",
                "Address": "Zócalo 1",
                "Label": "Café",
            },
            {
                "kind": "location",
                "text": "",
                "location": Location(latitude=19.4, longitude=-99.1, address="Zócalo 1", label="Café"),
            },
            id="location of a place",
        ),
        pytest.param(
            {"MessageType": "location", "Body": "", "Latitude": "north", "Longitude": "1"},
            {"kind": "location", "text": "", "location": None},
            id="location that is none",
        ),
        pytest.param(
            {"MessageType": "contacts", "Body": "", **media("text/vcard")},
            {"kind": "contacts", "text": "", "media": [Media(url=MEDIA_URL, content_type="text/vcard")]},
            id="contact card",
        ),
        pytest.param(
            {
                "MessageType": "interactive",
                "Body": "Sí",
                "ButtonText": "Sí",
                "ButtonPayload": "confirm:42",
                "ButtonType": "REPLY",
            },
            {
                "kind": "interactive",
                "text": "Sí",
                "button": Button(text="Sí", payload="confirm:42"),
                "fields": {"ButtonType": "REPLY"},
            },
            id="quick-reply button",
        ),
        pytest.param(
            {
                "MessageType": "interactive",
                "Body": "Martes",
                "ListId": "d2",
                "ListTitle": "Martes",
                "ListDescription": "",
            },
            {
                "kind": "interactive",
                "text": "Martes",
                "button": Button(text="Martes", payload="d2"),
                "fields": {"ListDescription": ""},
            },
            id="row of a list",
        ),
        pytest.param(
            {"OriginalRepliedMessageSid": "SM" + "b" * 32, "Forwarded": "false"},
            {"text": "hola", "reply_to": "SM" + "b" * 32, "fields": {"Forwarded": "false"}},
            id="reply to one of our messages",
        ),
        pytest.param(
            {"MessageType": "hologram", "Body": "", "X_New": "1", "X_Empty": ""},
            {"kind": "hologram", "text": "", "fields": {"X_New": "1", "X_Empty": ""}},
            id="a kind and fields that are yet to come",
        ),
        pytest.param(
            {"From": "whatsapp:MX.9f3c", "ExternalUserId": "whatsapp:MX.9f3c", "WaId": None, "ProfileName": None},
            {"text": "hola", "address": "MX.9f3c", "user_id": "MX.9f3c", "profile_name": None},
            id="sender with a user name",
        ),
        pytest.param(
            {"From": "whatsapp:+5215512345678", "WaId": "5215512345678"},
            {"text": "hola", "address": "+5215512345678", "fields": {"WaId": "5215512345678"}},
            id="Mexican spelling is kept: replies go there",
        ),
        pytest.param({"ExternalUserId": None}, {"text": "hola", "user_id": None}, id="without a user id"),
        pytest.param({"OptOutType": "STOP", "Body": "STOP"}, {"text": "STOP", "opt_out_type": "STOP"}, id="opt out"),
        pytest.param({"MessageType": None}, {"kind": "text", "text": "hola"}, id="no MessageType"),
        pytest.param(
            {"MessageType": None, "Body": "", **media("image/webp")},
            {"kind": "image", "text": "", "media": [Media(url=MEDIA_URL, content_type="image/webp")]},
            id="no MessageType, media",
        ),
        pytest.param(
            {"MessageType": None, "Body": "", "Latitude": "1", "Longitude": "2"},
            {"kind": "location", "text": "", "location": Location(latitude=1, longitude=2)},
            id="no MessageType, location",
        ),
        pytest.param({"NumMedia": "many"}, {"text": "hola", "media": []}, id="NumMedia that is no number"),
        pytest.param({"NumMedia": "2"}, {"text": "hola", "media": []}, id="media announced and absent"),
    ],
)
def test_a_recorded_form(fields: dict[str, str | None], expected: dict[str, Any]) -> None:
    got = message_received(form(**fields), AT)
    known = {"WaId", "ReferralNumMedia", "ChannelMetadata"}
    extra = {name: value for name, value in got.fields.items() if name not in known}
    wanted = MessageReceived(**{**BASIC, **expected})
    assert got.model_copy(update={"fields": {}}) == wanted.model_copy(update={"fields": {}})
    assert extra == {name: value for name, value in wanted.fields.items() if name not in known}


def test_what_has_no_field_of_its_own_is_kept() -> None:
    got = message_received(form(X_New="1", MessagingServiceSid="MG1"), AT)
    assert got.fields == {
        "WaId": "34600111222",
        "ReferralNumMedia": "0",
        "ChannelMetadata": TEXT["ChannelMetadata"],
        "X_New": "1",
        "MessagingServiceSid": "MG1",
    }


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"From": None}, id="no From"),
        pytest.param({"From": "whatsapp:anonymous"}, id="From is nobody"),
        pytest.param({"To": None}, id="no To"),
        pytest.param({"To": "messenger:12345"}, id="To on another channel"),
        pytest.param({"MessageSid": None}, id="no MessageSid"),
        pytest.param({"MessageSid": ""}, id="empty MessageSid"),
        pytest.param({"MessageSid": "SM;x"}, id="MessageSid with punctuation"),
        pytest.param(
            {"To": "whatsapp:MX.9f3c"},
            id="To is a user id",
        ),
    ],
)
def test_a_form_we_cannot_use_is_refused_without_repeating_it(fields: dict[str, str | None]) -> None:
    with pytest.raises(Refused) as refused:
        message_received(form(**fields), AT)
    assert not any(value and value in str(refused.value) for value in fields.values())


@pytest.mark.parametrize("number", ["nan", "inf", "-Infinity"])
def test_coordinates_that_json_cannot_hold_are_no_location(number: str) -> None:
    got = message_received(form(MessageType="location", Latitude=number, Longitude="1"), AT)
    assert MessageReceived.model_validate_json(got.model_dump_json()) == got


STATUS = {
    "ChannelPrefix": "whatsapp",
    "ApiVersion": "2010-04-01",
    "MessageStatus": "sent",
    "SmsSid": SID,
    "SmsStatus": "sent",
    "ChannelInstallSid": "XE" + "0" * 32,
    "To": "whatsapp:+5215512345678",
    "From": "whatsapp:+14155238886",
    "MessageSid": SID,
    "AccountSid": "AC" + "0" * 32,
    "ChannelToAddress": "+521551234XXXX",
    "StructuredMessage": "false",
}


@pytest.mark.parametrize(
    ("fields", "query", "expected"),
    [
        pytest.param({}, {"send": "turn_1-2", "attempt": "3"}, ("sent", "turn_1-2", 3, None, None), id="sent"),
        pytest.param(
            {"MessageStatus": "delivered", "SmsStatus": "delivered", "EventType": "DELIVERED"},
            {"send": "turn_1-2", "attempt": "1"},
            ("delivered", "turn_1-2", 1, None, None),
            id="delivered",
        ),
        pytest.param(
            {
                "MessageStatus": "undelivered",
                "ErrorCode": "63024",
                "ChannelStatusMessage": "Invalid message recipient",
            },
            {"send": "turn_1-2", "attempt": "1"},
            ("undelivered", "turn_1-2", 1, 63024, "Invalid message recipient"),
            id="undelivered",
        ),
        pytest.param(
            {"MessageStatus": "failed", "ErrorCode": "30008", "ErrorMessage": "Unknown error"},
            {},
            ("failed", None, None, 30008, "Unknown error"),
            id="failed, the text in its older field",
        ),
        pytest.param({"MessageStatus": None}, {}, ("sent", None, None, None, None), id="only SmsStatus"),
        pytest.param({"MessageStatus": "levitating"}, {}, ("levitating", None, None, None, None), id="a new status"),
        pytest.param({"ErrorCode": ""}, {"send": "", "attempt": ""}, ("sent", None, None, None, None), id="empty"),
        pytest.param({"ErrorCode": "x"}, {"send": "a b", "attempt": "-1"}, ("sent", None, None, None, None), id="junk"),
    ],
)
def test_a_recorded_status(fields: dict[str, str | None], query: dict[str, str], expected: tuple[Any, ...]) -> None:
    merged = {name: value for name, value in {**STATUS, **fields}.items() if value is not None}
    got = status_changed(parse_form(urlencode(merged).encode()), query, AT)
    assert (got.status, got.send_id, got.attempt, got.error_code, got.error_message) == expected
    assert (got.message_sid, got.address, got.received_at) == (SID, "+525512345678", AT)


@pytest.mark.parametrize("fields", [{"To": ""}, {"MessageSid": ""}, {"MessageStatus": "", "SmsStatus": ""}])
def test_a_status_we_cannot_use_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(Refused):
        status_changed(parse_form(urlencode({**STATUS, **fields}).encode()), {}, AT)


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (b"", []),
        (b"a=&b=1", [("a", ""), ("b", "1")]),
        (b"a=1&a=2", [("a", "1"), ("a", "2")]),
        (b"a=%F0%9F%91%8B+x%0Ay", [("a", "👋 x\ny")]),
    ],
)
def test_a_form_is_read_whole(body: bytes, items: list[tuple[str, str]]) -> None:
    assert parse_form(body).pairs == items


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join(b"a%d=1" % n for n in range(1001))])
def test_bytes_that_are_no_form_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_form(body)
