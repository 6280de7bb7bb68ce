"""The API for the main backend: who may use it, how often, and what it says when it cannot be used."""

from typing import Any

import httpx
import pytest

from ingress.api import Api
from ingress.rates import Rate
from kit.service import Tools
from tests.conftest import FakeClock
from tests.unit.ingress.rig import CALL, FIRST, SECOND, START, Log, Shelf, client, ingress
from tests.unit.processor.states import conversation


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("token", [FIRST, SECOND])
async def test_either_token_opens_during_a_rotation(http: httpx.AsyncClient, token: str) -> None:
    assert (await http.post(START, json=CALL, headers=bearer(token))).status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("other"),
        {"Authorization": FIRST},
        {"Authorization": f"Basic {FIRST}"},
        bearer(FIRST[:-1]),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", START), ("GET", "/api/conversations/+34600111222"), ("GET", "/api/x")]
)
async def test_without_a_token_nothing_opens(
    http: httpx.AsyncClient, log: Log, headers: dict[str, str], method: str, path: str
) -> None:
    answer = await http.request(method, path, headers=headers, content=b"{" if method == "POST" else None)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert log.published == []


async def test_without_a_token_not_even_the_body_is_read(log: Log, tools: Tools) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": START,
        "raw_path": START.encode(),
        "headers": [],
        "query_string": b"",
    }
    await ingress(log, tools)(scope, receive, send)
    assert sent[0]["status"] == 401


async def test_the_same_call_posted_twice_has_one_id(http: httpx.AsyncClient, log: Log) -> None:
    spellings = [
        CALL,
        CALL | {"phoneNumber": "+525512345678"},
        {"phone_number": "0052 55 1234 5678", "conversation_id": "c1"},
    ]
    answers = [await http.post(START, json=body, headers=bearer(FIRST)) for body in spellings]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    (one,) = {answer.json()["eventId"] for answer in answers}
    assert {envelope.id for _, envelope in log.published} == {one}
    other = await http.post(START, json=CALL | {"conversationId": "c2"}, headers=bearer(FIRST))
    assert other.json()["eventId"] != one


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"clientName": "Ana"}', "phoneNumber"),
        (b'{"phoneNumber": "call me"}', "phoneNumber"),
        (b'{"phoneNumber": "+34600111222", "transcript": [{"role": "ghost", "message": "x"}]}', "transcript.role"),
        (b'{"phoneNumber": "+34600111222", "endedAt": "soon"}', "endedAt"),
        (b"[]", "body"),
        (b"not json", "body"),
        (b'{"phoneNumber": "\xff"}', None),
    ],
)
async def test_a_problem_names_the_field_and_never_its_value(
    http: httpx.AsyncClient, body: bytes, field: str | None
) -> None:
    answer = await http.post(START, content=body, headers=bearer(FIRST) | {"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert [one["field"] for one in answer.json().get("errors", [])] == ([field] if field else [])
    assert not any(word in answer.text for word in ("call me", "ghost", "soon", "not json", "600111222"))


async def test_a_body_above_the_cap_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post(START, json=CALL | {"callSummary": "x" * 300_000}, headers=bearer(FIRST))
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("DELETE", START, 405)])
async def test_what_is_not_there_is_a_problem_too(http: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await http.request(method, path, headers=bearer(FIRST))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_a_token_that_asks_too_often_waits_and_the_other_does_not(
    log: Log, tools: Tools, clock: FakeClock
) -> None:
    async with client(ingress(log, tools, api_rate_per_s=0.5, api_burst=3)) as http:
        statuses = [(await http.post(START, json=CALL, headers=bearer(FIRST))).status_code for _ in range(5)]
        assert statuses == [202, 202, 202, 429, 429]
        refused = await http.post(START, json=CALL, headers=bearer(FIRST))
        assert (refused.headers["retry-after"], refused.headers["content-type"]) == ("2", "application/problem+json")
        assert (await http.post(START, json=CALL, headers=bearer(SECOND))).status_code == 202
        clock.advance(2)
        assert (await http.post(START, json=CALL, headers=bearer(FIRST))).status_code == 202


def test_whoever_waits_as_told_is_let_in(clock: FakeClock) -> None:
    rate = Rate(clock, per_s=0.7, burst=1)
    assert rate.take(0) == 0
    clock.advance(rate.take(0))
    assert rate.take(0) == 0


async def test_kafka_away_is_said(http: httpx.AsyncClient, log: Log) -> None:
    log.away = True
    answer = await http.post(START, json=CALL, headers=bearer(FIRST))
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


async def test_a_conversation_is_found_by_any_spelling(log: Log, tools: Tools) -> None:
    shelf = Shelf()
    shelf.found["+525512345678"] = [conversation(contact="+525512345678")]
    async with client(ingress(log, tools, shelf)) as http:
        for spelling in ("+525512345678", "+5215512345678", "whatsapp:+525512345678", "0052%201%2055%201234%205678"):
            answer = await http.get(f"/api/conversations/{spelling}", headers=bearer(FIRST))
            assert (answer.status_code, answer.json()["contact"]) == (200, "+525512345678")
        assert (await http.get("/api/conversations/+34600111222", headers=bearer(FIRST))).status_code == 404
        assert (await http.get("/api/conversations/nobody", headers=bearer(FIRST))).status_code == 422


async def test_the_page_shows_examples_that_work(http: httpx.AsyncClient) -> None:
    assert (await http.get("/docs")).status_code == 200
    document = (await http.get("/openapi.json")).json()
    start = document["paths"][START]["post"]
    examples = start["requestBody"]["content"]["application/json"]["examples"]
    for example in examples.values():
        assert (await http.post(START, json=example["value"], headers=bearer(FIRST))).status_code == 202
    assert set(start["responses"]) == {"202", "400", "401", "413", "422", "429", "503"}
    assert all(
        "application/problem+json" in start["responses"][one]["content"] for one in start["responses"] if one != "202"
    )
    assert start["security"] == [{"HTTPBearer": []}]


@pytest.mark.expects_errors
async def test_what_breaks_tells_nobody_why(log: Log, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_self: Any) -> None:
        raise RuntimeError("a secret detail")

    async def breaks(_self: Any, *_: Any, **__: Any) -> None:
        await broken(_self)

    monkeypatch.setattr(Log, "publish", breaks)
    monkeypatch.setattr(Api, "stats", broken)
    async with client(ingress(log, tools)) as http:
        for answer in (
            await http.post(START, json=CALL, headers=bearer(FIRST)),
            await http.get("/api/queue/stats", headers=bearer(FIRST)),
        ):
            assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
            assert "secret" not in answer.text
            assert "Traceback" not in answer.text
