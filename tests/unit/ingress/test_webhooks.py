"""The webhooks end to end, without Kafka: who is let in, what is published, and what is kept when it cannot be."""

import asyncio
import gc
import logging
import tracemalloc

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from ingress.bodies import MAX_BODY
from kit.probes import HttpServer
from kit.service import Tools
from sandbox.stack.ports import free_ports
from tests.unit.ingress.rig import ACCOUNT, FORM, INCOMING, PUBLIC, STATUS, TOKEN, Log, client, ingress, post, signed


async def test_a_signed_message_is_published_under_its_sid(http: httpx.AsyncClient, log: Log) -> None:
    answer = await post(http)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert answer.text == "<Response/>"
    ((topic, envelope),) = log.published
    assert (topic, envelope.id, envelope.contact) == ("contact.log", FORM["MessageSid"], "+525512345678")


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (FORM | {"AccountSid": "AC" + "2" * 32}, "another account"),
        (FORM | {"To": "whatsapp:+10000000000"}, "our numbers"),
    ],
)
async def test_what_is_signed_and_not_for_us_is_refused(
    http: httpx.AsyncClient, log: Log, form: dict[str, str], reason: str
) -> None:
    answer = await post(http, form=form)
    assert (answer.status_code, log.published) == (403, [])
    assert reason in answer.text


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_only_post_is_taken(http: httpx.AsyncClient, method: str) -> None:
    answer = await http.request(method, INCOMING)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("token", [TOKEN, "the-next-token"])
async def test_either_auth_token_holds_during_a_rotation(log: Log, tools: Tools, token: str) -> None:
    async with client(ingress(log, tools, twilio_auth_token_next="the-next-token")) as http:
        body, headers = signed(INCOMING, FORM, token)
        assert (await http.post(INCOMING, content=body, headers=headers)).status_code == 200


async def test_an_announced_length_above_the_cap_is_refused_unread(log: Log, tools: Tools) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("read")

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/x-www-form-urlencoded"), (b"content-length", b"%d" % (MAX_BODY + 1))]
    scope = {"type": "http", "method": "POST", "path": INCOMING, "headers": headers}
    await ingress(log, tools)(scope, receive, send)
    assert sent[0]["status"] == 413


async def test_a_body_that_breaks_off_is_nothing(log: Log, tools: Tools) -> None:
    body, headers = signed(INCOMING, FORM)
    sent: list[Message] = []
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return parts.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    wire = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": INCOMING, "headers": wire, "raw_path": b"", "query_string": b""}
    await ingress(log, tools)(scope, receive, send)
    assert (sent[0]["status"], log.published) == (400, [])


@pytest.mark.parametrize("path", [INCOMING, STATUS])
async def test_a_broker_that_is_away_is_503_and_nothing_is_kept(http: httpx.AsyncClient, log: Log, path: str) -> None:
    log.away = True
    assert (await post(http, path, FORM | {"MessageStatus": "sent"})).status_code == 503
    log.away = False
    assert (await post(http, path, FORM | {"MessageStatus": "sent"})).status_code == 200
    assert len(log.published) == 1


@pytest.mark.parametrize("away", [True, False], ids=["broker away", "wrong signature"])
async def test_refusing_thousands_costs_no_memory(tools: Tools, away: bool, caplog: pytest.LogCaptureFixture) -> None:
    log = Log()
    log.away = away
    async with client(ingress(log, tools)) as http:

        async def refused(times: int) -> None:
            for number in range(times):
                form = FORM | {"MessageSid": f"SM{number:032x}", "From": f"whatsapp:+34600{number % 100_000:06}"}
                body, headers = signed(INCOMING, form, TOKEN if away else "another token")
                answer = await http.post(INCOMING, content=body, headers=headers)
                assert answer.status_code == (503 if away else 403)

        await refused(300)  # caches fill
        logging.disable(logging.CRITICAL)  # pytest would keep every line
        tracemalloc.start()
        await refused(50)
        grown: list[int] = []
        while len(grown) < 3 and (not grown or grown[-1] >= MOST_GROWN):
            before = _traced()
            await refused(2000)
            grown.append(_traced() - before)
        tracemalloc.stop()
        logging.disable(logging.NOTSET)
    assert log.published == []
    assert min(grown) < MOST_GROWN, f"{grown} bytes for 2000 refusals each"


MOST_GROWN = 100_000
"""Bytes. What is kept of refusals grows each time; what somebody else in this process allocates does not."""


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


class Proxy:
    """A reverse proxy of the plainest kind: takes the public prefix off, names another host, passes the rest on."""

    def __init__(self, target: str) -> None:
        self._target = httpx.AsyncClient(base_url=target, trust_env=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["raw_path"].startswith(b"/hilo/")
        message = await receive()
        assert not message["more_body"]
        url = httpx.URL(raw_path=scope["raw_path"].removeprefix(b"/hilo") + b"?" + scope["query_string"])
        headers = [(name, value) for name, value in scope["headers"] if name not in {b"host", b"content-length"}]
        headers += [(b"x-forwarded-host", b"evil.example.com"), (b"x-forwarded-proto", b"http")]
        answer = await self._target.post(url, content=message["body"], headers=headers)
        start = {"type": "http.response.start", "status": answer.status_code, "headers": [(b"content-length", b"0")]}
        await send(start)
        await send({"type": "http.response.body", "body": b""})

    async def close(self) -> None:
        await self._target.aclose()


@pytest.mark.parametrize("query", ["", "?send=turn_1-2&attempt=1", "?a=%2B1%20x&b=%C3%B1&c=&path=%2Fa%2fb"])
async def test_behind_a_reverse_proxy_that_takes_a_prefix_off(log: Log, tools: Tools, query: str) -> None:
    """Twilio signs the public address; the socket sees another host, another scheme and a shorter path."""
    inner, outer = free_ports(2)
    proxy = Proxy(f"http://127.0.0.1:{inner}")
    servers = [
        HttpServer(ingress(log, tools), inner, "INNER", "127.0.0.1"),
        HttpServer(proxy, outer, "OUTER", "127.0.0.1"),
    ]
    for server in servers:
        await server.start()
    form = FORM | {"MessageStatus": "delivered"}
    body, headers = signed(STATUS + query, form, public=PUBLIC)
    try:
        assert await _raw(outer, f"/hilo{STATUS}{query}", body, headers) == b"HTTP/1.1 200 OK"
        elsewhere = signed(STATUS + query, form, public=f"http://127.0.0.1:{inner}")[1]
        assert await _raw(outer, f"/hilo{STATUS}{query}", body, elsewhere) == b"HTTP/1.1 403 Forbidden"
        assert len(log.published) == 1
    finally:
        await proxy.close()
        for server in reversed(servers):
            await server.stop()


async def _raw(port: int, target: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The status line; over a plain socket, so that nobody re-encodes the target on the way."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"POST {target} HTTP/1.1", "Host: hooks.example.com", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    answer = await reader.read()
    writer.close()
    return answer.split(b"\r\n", 1)[0]


async def test_every_answer_is_counted(http: httpx.AsyncClient, log: Log, tools: Tools) -> None:
    await post(http)
    await http.post(INCOMING, data=FORM)
    log.away = True
    await post(http, form=FORM | {"AccountSid": ACCOUNT})
    counted = tools.metrics.text().decode()
    for status in ("200", "403", "503"):
        assert f'hilo_webhooks_total{{route="{INCOMING}",status="{status}"}} 1.0' in counted
