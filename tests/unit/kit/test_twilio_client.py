"""What became of one POST: did it go out, was it refused, or does nobody know?"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from kit.errors import NoAnswer
from kit.http import Answer, PooledClient
from kit.settings import TwilioSettings
from kit.twilio import Created, Twilio

ACCOUNT = "AC" + "0" * 32
BASE = "https://api.example.com"
Reply = Answer | Exception


class Wire(PooledClient):
    """Answers with `reply`, and remembers what was asked."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.requests: list[tuple[str, str, Mapping[str, Any]]] = []

    async def request(self, method: str, url: str, **given: Any) -> Answer:
        self.requests.append((method, url, given))
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


def settings(**more: Any) -> TwilioSettings:
    known = {
        "twilio_account_sid": ACCOUNT,
        "twilio_auth_token": "token",
        "twilio_whatsapp_numbers": "+14155238886",
        "twilio_base_url": BASE,
    }
    return TwilioSettings(**{**known, **more}, _env_file=None)


def answer(status: int, body: object, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, content, headers)


def refusal(status: int, code: int) -> Answer:
    return answer(status, {"code": code, "message": "no", "more_info": "", "status": status})


async def create(reply: Reply) -> Created:
    twilio = Twilio(settings(), Wire(reply))
    return await twilio.create(to="+34600111222", channel="+14155238886", callback="https://x/s", content={"Body": "x"})


@pytest.mark.parametrize(
    ("reply", "outcome", "code"),
    [
        pytest.param(answer(201, {"sid": "SM1", "status": "queued"}), "ACCEPTED", None, id="created"),
        pytest.param(answer(201, b'{"sid": "SM1", "sta'), "UNKNOWN", None, id="created, answer cut"),
        pytest.param(answer(201, b""), "UNKNOWN", None, id="created, empty answer"),
        pytest.param(answer(200, {"sid": "SM1"}), "UNKNOWN", None, id="200"),
        pytest.param(answer(302, b"", location="/elsewhere"), "UNKNOWN", None, id="redirect"),
        pytest.param(refusal(400, 21610), "REJECTED", 21610, id="opted out"),
        pytest.param(refusal(400, 21617), "REJECTED", 21617, id="too long"),
        pytest.param(answer(400, b"<html>"), "UNKNOWN", None, id="400 of some proxy"),
        pytest.param(refusal(401, 20003), "CONFIG", 20003, id="not authenticated"),
        pytest.param(refusal(403, 20005), "CONFIG", 20005, id="suspended"),
        pytest.param(refusal(404, 20404), "CONFIG", 20404, id="no such account"),
        pytest.param(refusal(429, 20429), "NOT_SENT", 20429, id="too many requests"),
        pytest.param(answer(429, b"slow down"), "NOT_SENT", None, id="429 of some proxy"),
        pytest.param(refusal(500, 20500), "UNKNOWN", 20500, id="500"),
        pytest.param(refusal(503, 20503), "UNKNOWN", 20503, id="503"),
        pytest.param(answer(502, b"<html>Bad Gateway"), "UNKNOWN", None, id="502 page"),
        pytest.param(answer(504, b"\xff\xfe"), "UNKNOWN", None, id="504, no text"),
        pytest.param(answer(400, {"code": "21610"}), "REJECTED", None, id="a code that is no number"),
        pytest.param(answer(500, [1]), "UNKNOWN", None, id="a list"),
        pytest.param(NoAnswer("ClientConnectorError", sent=False), "NOT_SENT", None, id="no byte went out"),
        pytest.param(NoAnswer("TimeoutError", sent=True), "UNKNOWN", None, id="bytes went out"),
    ],
)
async def test_what_became_of_a_post(reply: Reply, outcome: str, code: int | None) -> None:
    created = await create(reply)
    assert (created.outcome, created.code) == (outcome, code)
    assert (created.sid is not None) is (outcome == "ACCEPTED")
    assert "34600111222" not in created.detail


@pytest.mark.parametrize(
    ("header", "after"),
    [("3", 3.0), ("0", 0.0), ("900", 60.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("", None), (None, None)],
)
async def test_retry_after(header: str | None, after: float | None) -> None:
    headers = {} if header is None else {"Retry-After": header}
    created = await create(Answer(429, b"", headers))
    assert created.retry_after == after


async def test_the_form_and_who_asks() -> None:
    wire = Wire(answer(201, {"sid": "SM1"}))
    twilio = Twilio(settings(), wire)
    await twilio.create(to="MX.9f3c", channel="+14155238886", callback="https://x/s#rc=3", content={"Body": "hola"})
    ((method, url, given),) = wire.requests
    assert (method, url) == ("POST", f"{BASE}/2010-04-01/Accounts/{ACCOUNT}/Messages.json")
    assert given["data"] == {
        "To": "whatsapp:MX.9f3c",
        "From": "whatsapp:+14155238886",
        "StatusCallback": "https://x/s#rc=3",
        "Body": "hola",
    }
    assert given["auth"] == (ACCOUNT, "token")


@pytest.mark.parametrize(
    ("sid", "secret", "auth"),
    [
        ("SK1", "s", ("SK1", "s")),
        ("SK1", None, (ACCOUNT, "token")),
        (None, "s", (ACCOUNT, "token")),
    ],
)
async def test_an_api_key_is_preferred_when_it_is_whole(
    sid: str | None, secret: str | None, auth: tuple[str, str]
) -> None:
    wire = Wire(answer(201, {"sid": "SM1"}))
    twilio = Twilio(settings(twilio_api_key_sid=sid, twilio_api_key_secret=secret), wire)
    await twilio.create(to="+34600111222", channel="+14155238886", callback="", content={})
    assert wire.requests[0][2]["auth"] == auth


async def test_a_list_is_read() -> None:
    one = {
        "sid": "SM1",
        "body": None,
        "status": "sent",
        "direction": "outbound-api",
        "date_created": "Mon, 23 Nov 2026 12:00:00 +0000",
    }
    wire = Wire(answer(200, {"messages": [one, {**one, "sid": "SM2", "body": "x"}]}))
    found = await Twilio(settings(), wire).list_to(to="+34600111222", channel="+14155238886")
    assert [(row.sid, row.body) for row in found] == [("SM1", ""), ("SM2", "x")]
    assert found[0].created_at == datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    assert "DateSent" not in str(wire.requests)


async def test_a_list_that_was_refused_is_no_empty_list() -> None:
    with pytest.raises(NoAnswer, match="HTTP 500"):
        await Twilio(settings(), Wire(refusal(500, 20500))).list_to(to="+34600111222", channel="+14155238886")


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (answer(200, {"messages": []}), "ACCEPTED"),
        (refusal(401, 20003), "CONFIG"),
        (NoAnswer("x", sent=True), "NOT_SENT"),
    ],
)
async def test_reachable(reply: Reply, outcome: str) -> None:
    assert (await Twilio(settings(), Wire(reply)).reachable()).outcome == outcome
