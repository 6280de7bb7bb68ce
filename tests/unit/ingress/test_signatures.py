"""Who may talk to us: Twilio's and ElevenLabs' signatures. The vectors were made with the official packages."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator

from ingress.elevenlabs import signature_holds
from ingress.forms import parse_form
from ingress.signature import Signature

TOKEN = "12345"
VECTOR = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+12349013030",
    "Digits": "1234",
    "From": "+12349013030",
    "To": "+18005551212",
}
VECTOR_SIGNATURE = "NGAgWNhdnsLF8j385frvrQoi9sg="
BASE = "https://hooks.example.com/prefix"


def scope(path: bytes, query: bytes = b"") -> dict[str, Any]:
    return {"type": "http", "raw_path": path, "query_string": query}


def signed(url: str, body: bytes, token: str = TOKEN) -> str:
    return str(RequestValidator(token).compute_signature(url, ImmutableMultiDict(parse_form(body).pairs)))


def holds(body: bytes, signature: str, *, query: bytes = b"", tokens: tuple[str, ...] = (TOKEN,)) -> bool:
    return Signature(BASE, tokens).holds(scope(b"/webhook", query), parse_form(body), signature.encode())


def test_the_known_vector() -> None:
    form = parse_form(urlencode(VECTOR).encode())
    assert Signature("https://example.com", [TOKEN]).holds(scope(b"/myapp"), form, VECTOR_SIGNATURE.encode())


@pytest.mark.parametrize("position", range(len(VECTOR_SIGNATURE) - 1))
def test_any_flipped_character_of_the_signature_is_refused(position: int) -> None:
    other = "A" if VECTOR_SIGNATURE[position] != "A" else "B"
    flipped = VECTOR_SIGNATURE[:position] + other + VECTOR_SIGNATURE[position + 1 :]
    form = parse_form(urlencode(VECTOR).encode())
    assert not Signature("https://example.com", [TOKEN]).holds(scope(b"/myapp"), form, flipped.encode())


@pytest.mark.parametrize("name", VECTOR)
@pytest.mark.parametrize("change", ["value", "name", "dropped", "added"])
def test_any_changed_field_is_refused(name: str, change: str) -> None:
    fields = dict(VECTOR)
    value = fields.pop(name)
    if change == "value":
        fields[name] = value[:-1] + ("0" if value[-1] != "0" else "1")
    elif change == "name":
        fields[f"{name}x"] = value
    elif change == "added":
        fields |= {name: value, f"{name}Extra": "1"}
    form = parse_form(urlencode(fields).encode())
    assert not Signature("https://example.com", [TOKEN]).holds(scope(b"/myapp"), form, VECTOR_SIGNATURE.encode())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"Body=&From=x&MediaUrl0=", id="empty values"),
        pytest.param(b"a=1&a=2&a=1&b=", id="repeated parameters"),
        pytest.param("Body=👩🏽‍⚕️ñ%0A%26".encode(), id="emoji, newline and ampersand"),
        pytest.param(b"Body=a+b%2Bc%25", id="blanks, plus and percent"),
        pytest.param(b"", id="empty form"),
    ],
)
def test_what_twilio_signed_holds(body: bytes) -> None:
    assert holds(body, signed(f"{BASE}/webhook", body))


@pytest.mark.parametrize("query", [b"send=turn_1-2&attempt=1", b"a=%2B1%20x&b=%C3%B1&c=", b"x=1&x=2", b"path=%2Fa%2fb"])
def test_the_query_counts_byte_for_byte(query: bytes) -> None:
    signature = signed(f"{BASE}/webhook?{query.decode()}", b"Body=x")
    assert holds(b"Body=x", signature, query=query)
    assert not holds(b"Body=x", signature, query=query.lower() + b"&")
    assert not holds(b"Body=x", signature)


def test_a_path_counts_as_it_was_requested() -> None:
    signature = signed(f"{BASE}/web%68ook", b"Body=x")
    form = parse_form(b"Body=x")
    assert Signature(BASE, [TOKEN]).holds(scope(b"/web%68ook"), form, signature.encode())
    assert not Signature(BASE, [TOKEN]).holds(scope(b"/webhook"), form, signature.encode())


@pytest.mark.parametrize(
    ("tokens", "accepted"),
    [(("old", "new"), True), (("new", "old"), True), (("new",), True), (("old",), False), ((), False)],
)
def test_either_token_holds_during_a_rotation(tokens: tuple[str, ...], accepted: bool) -> None:
    assert holds(b"Body=x", signed(f"{BASE}/webhook", b"Body=x", "new"), tokens=tokens) is accepted


@pytest.mark.parametrize("signature", ["", " ", "x", "ñ", "\x00", "=" * 5000, VECTOR_SIGNATURE])
def test_a_signature_that_is_none_is_refused_and_never_a_crash(signature: str) -> None:
    assert not holds(b"Body=x", signature)


@pytest.mark.parametrize(
    "base",
    [
        pytest.param("http://hooks.example.com/prefix", id="http"),
        pytest.param("https://hooks.example.com", id="without the public prefix"),
        pytest.param("https://other.example.com/prefix", id="another host"),
        pytest.param("https://hooks.example.com:99999/prefix", id="an impossible port"),
    ],
)
def test_another_public_address_is_refused(base: str) -> None:
    signature = signed(f"{BASE}/webhook", b"Body=x")
    assert not Signature(base, [TOKEN]).holds(scope(b"/webhook"), parse_form(b"Body=x"), signature.encode())


# ElevenLabs

SECRET = "wsec_sim_0123456789abcdef"
BODY = b'{"type":"post_call_transcription","event_timestamp":1764000000,"data":{"conversation_id":"conv_sim_1"}}'
T = 1764000000
V0 = "6058c2c0130d9dfd7f4d25bc178786323853ad4ca8b2568897785f6b656bfb06"
HEADER = f"t={T},v0={V0}"
NOW = datetime.fromtimestamp(T, UTC)


def test_the_known_vector_of_elevenlabs() -> None:
    assert signature_holds(SECRET, HEADER, BODY, NOW)


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(300, True), (-300, True), (301, False), (-301, False), (86_400, False)]
)
def test_an_old_or_future_signature_is_a_replay(seconds: int, accepted: bool) -> None:
    assert signature_holds(SECRET, HEADER, BODY, NOW + timedelta(seconds=seconds)) is accepted


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("", id="missing"),
        pytest.param("nonsense", id="nonsense"),
        pytest.param(f"v0={V0}", id="no time"),
        pytest.param(f"t={T}", id="no hash"),
        pytest.param(f"t={T},v0=", id="empty hash"),
        pytest.param(f"t=,v0={V0}", id="empty time"),
        pytest.param(f"t=soon,v0={V0}", id="a time that is none"),
        pytest.param(f"t=-{T},v0={V0}", id="a negative time"),
        pytest.param(f"t={T}.0,v0={V0}", id="a fraction"),
        pytest.param(f"t={T + 1},v0={V0}", id="another time than signed"),
        pytest.param(f"t={T},v0={V0[:-1]}7", id="flipped digit"),
        pytest.param(f"t={T},v0={V0.upper()}", id="upper case"),
        pytest.param(f"t={T},v0=ñ", id="not ASCII"),
        pytest.param(f"t={T},v1={V0}", id="another scheme"),
        pytest.param("=,=,=", id="only separators"),
        pytest.param(
            f"t={'9' * 400},v0={V0}",
            id="a time of 400 digits",
        ),
        pytest.param(
            f"t={'9' * 5000},v0={V0}",
            id="a time of 5,000 digits",
        ),
    ],
)
def test_a_malformed_header_is_refused_and_never_a_crash(header: str) -> None:
    assert not signature_holds(SECRET, header, BODY, NOW)


@pytest.mark.parametrize("position", [0, 10, len(BODY) - 1])
def test_a_flipped_byte_of_the_body_is_refused(position: int) -> None:
    flipped = BODY[:position] + bytes([BODY[position] ^ 1]) + BODY[position + 1 :]
    assert not signature_holds(SECRET, HEADER, flipped, NOW)


def test_another_secret_is_refused() -> None:
    other = hmac.new(b"other", f"{T}.".encode() + BODY, hashlib.sha256).hexdigest()
    assert not signature_holds(SECRET, f"t={T},v0={other}", BODY, NOW)
