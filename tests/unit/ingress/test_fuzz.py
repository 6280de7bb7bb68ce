"""The ingress against nonsense: forms bent in every way, and whatever the API's own document allows.

No answer is a 5xx but the declared 503, nothing is published that is not signed, and what is published can be read.
`make prove` takes 100,000 forms.
"""

import asyncio
import logging
import os
import random
import resource
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from starlette.datastructures import ImmutableMultiDict
from starlette.types import ASGIApp, Message
from twilio.request_validator import RequestValidator

from ingress.forms import parse_form
from kit.metrics import Metrics
from kit.service import Tools
from schemas.attributes import decode, encode
from schemas.topics import CONTACT_LOG, MESSAGE_STATUS
from tests.conftest import FakeClock
from tests.unit.ingress.rig import CALL, FIRST, FORM, INCOMING, PUBLIC, STATUS, TOKEN, Log, ingress

FORMS = int(os.environ.get("HILO_FORMS", "3000"))
FIELDS = FORM | {
    "MessageStatus": "delivered",
    "ErrorCode": "63016",
    "ProfileName": "Ana 👋",
    "ExternalUserId": "whatsapp:ES.9f3c",
    "NumMedia": "1",
    "MediaUrl0": "https://api.twilio.com/x",
    "MediaContentType0": "image/jpeg",
    "Latitude": "19.4",
    "Longitude": "-99.1",
    "ButtonText": "Sí",
    "ButtonPayload": "1",
    "OriginalRepliedMessageSid": "SM1",
    "OptOutType": "",
}
NASTY = [
    "", "\x00", "nan", "inf", "-1", "1e999", "9" * 400,
    "9" * 5000, "٣٤", "²", "\ufeff", "\u202e", "😀" * 50, "../..", "${jndi:x}",
    "<script>", "' OR 1=1", "\r\nX: y", "whatsapp:", "whatsapp:+", "+1", "whatsapp:MX.ENT.", "MX." + "a" * 129, "true",
    "{}", "[]", "x" * 20_000, "+5215512345678", "whatsapp:+99999999999999999",
]  # fmt: skip
BROKEN = [b"%", b"%zz", b"%ff%fe", b"\xff", b"&&&", b"=", b"=x", b";", b"%00", b"+", b"%ed%a0%80", b"a=b=c"]


def bent(dice: random.Random) -> bytes:
    """A real form after up to four accidents: to its fields, or to its bytes."""
    fields = list(FIELDS.items())
    for _ in range(dice.randint(0, 3)):
        at = dice.randrange(len(fields))
        match dice.randrange(4):
            case 0:
                fields[at] = (fields[at][0], dice.choice(NASTY))
            case 1:
                fields.append((fields[at][0], dice.choice(NASTY)))
            case 2:
                del fields[at]
            case _:
                fields.append((dice.choice(NASTY)[:40], dice.choice(NASTY)))
    body = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in fields).encode()
    if dice.random() < 0.3:
        at = dice.randrange(len(body))
        body = body[:at] + dice.choice([*BROKEN, bytes([dice.randrange(256)])]) + body[at + dice.randint(0, 4) :]
    return body


def signature(body: bytes, url: str) -> bytes:
    try:
        pairs = parse_form(body).pairs
    except ValueError:
        return b"none"
    return str(RequestValidator(TOKEN).compute_signature(url, ImmutableMultiDict(pairs))).encode()


async def answered(app: ASGIApp, scope: dict[str, Any], body: bytes) -> int:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return int(sent[0]["status"])


@pytest.fixture
def _no_lines() -> Iterator[None]:
    """For what is said so often that pytest's keeping of every line would be the memory that is measured."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("_no_lines")
@pytest.mark.timeout(3000)
async def test_bent_forms(tools: Tools) -> None:
    dice, log = random.Random(5), Log()
    app, seen = ingress(log, tools), Counter[tuple[bool, int]]()
    grown = 0
    for number in range(FORMS):
        if number == FORMS // 2:
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        body, path = bent(dice), dice.choice([INCOMING, STATUS])
        query = dice.choice([b"", b"send=turn_1-1&attempt=2", b"send=%00&attempt=%ff", b"&&=", b"attempt=\xc2\xb2"])
        url = f"{PUBLIC}{path}" + (f"?{query.decode('latin-1')}" if query else "")
        honest = dice.random() < 0.7
        given = signature(body, url) if honest else dice.choice([b"", b"\xff\xfe", signature(body + b"&x=1", url)])
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": [(b"content-type", b"application/x-www-form-urlencoded"), (b"x-twilio-signature", given)],
        }
        before = len(log.published) + len(log.letters)
        status = await answered(app, scope, body)
        seen[honest, status] += 1
        assert status in {200, 403, 413, 415}, (status, body)
        assert (len(log.published) + len(log.letters) > before) is (status == 200)
        assert honest or status != 200, body
        _all_can_be_read(log)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown
    assert seen[True, 200] > FORMS / 3, seen
    assert grown < 20_000, f"{grown} kB"


def _all_can_be_read(log: Log) -> None:
    for topic, envelope in log.published:
        events = {CONTACT_LOG.name: CONTACT_LOG.events, MESSAGE_STATUS.name: MESSAGE_STATUS.events}[topic]
        assert decode(encode(envelope), events).data == envelope.data
    log.published.clear()
    log.letters.clear()


# A time may come as a number, and a phone has more spellings than a pattern could say: both are meant.
LENIENT: Any = [negative_data_rejection, positive_data_acceptance]


def _api() -> ASGIApp:
    return ingress(Log(), Tools("test", FakeClock(), Metrics()), api_burst=10**9)


schema = schemathesis.openapi.from_asgi("/openapi.json", _api())


@schema.include(path_regex="^/api/conversations").parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_the_document_allows(case: schemathesis.Case[Any]) -> None:
    """And its documents: every answer is one that is declared, in the declared shape."""
    case.call_and_validate(headers={"Authorization": f"Bearer {FIRST}"}, excluded_checks=LENIENT)


@schema.include(path_regex="^/api/").parametrize()
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_the_document_allows_without_a_token(case: schemathesis.Case[Any]) -> None:
    answer = case.call(headers={"Authorization": "Bearer guessed"})
    case.validate_response(answer, checks=[not_a_server_error])
    assert answer.status_code == 401


async def test_bent_calls(tools: Tools) -> None:
    """JSON that no document allows."""
    dice, app = random.Random(6), _api()
    path = "/api/conversations/start-post-call"
    headers = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {FIRST}".encode())]
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    values = ["null", "1e999", "NaN", '"\\ud800"', "[" * 2000, "{}", '"' + "9" * 500 + '"', "-0", '"\\u0000"', "\xff"]
    for _ in range(FORMS // 10):
        fields = [f'"{name}": "{value}"' for name, value in CALL.items()]
        fields[dice.randrange(len(fields))] = f'"{dice.choice(list(CALL))}": {dice.choice(values)}'
        body = ("{" + ", ".join(fields) + "}").encode("latin-1")
        status = await answered(app, {**scope, "headers": headers}, body)
        assert status in {202, 400, 422}, (status, body)
        await asyncio.sleep(0)
