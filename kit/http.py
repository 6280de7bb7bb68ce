"""HTTP out: one pool of connections, every timeout ours, and after a failure the one thing that matters: did it go out?

Inside is aiohttp, at a sixth of httpx's CPU for a POST (ADR 0018). Nothing of it can be seen from outside.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from kit.errors import NoAnswer
from kit.tracing import SpanKind, inner

__all__ = ["Answer", "PooledClient"]

FORM = "application/x-www-form-urlencoded"
KEEP_ALIVE_S = 15.0  # shorter than a server's: one that closes while a POST goes out leaves that POST unknown
Before = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, whatever it says. A redirect is one too: none is followed."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Raises ValueError."""
        return json.loads(self.body)


@dataclass(slots=True)
class _Exchange:
    before: Before | None
    sent: bool = False


class PooledClient:
    """`concurrency` requests at once. No cookies, no proxy of the environment, and no POST is ever repeated."""

    def __init__(self, *, concurrency: int = 32, connect_s: float = 3.0, total_s: float = 10.0) -> None:
        self._timeout = aiohttp.ClientTimeout(total=total_s, connect=connect_s)
        self._permits = asyncio.Semaphore(concurrency)
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        before: Before | None = None,
    ) -> Answer:
        """Raises NoAnswer; its `sent` says whether the request may have arrived.

        `connect_s` bounds name, connection and TLS, `total_s` all of it, a slowly dripping answer included. `before`
        runs on the connection that is there, right before the first byte; what it raises comes out, and no byte has
        gone out.
        """
        exchange = _Exchange(before)
        address = URL(f"{url}?{urlencode(params)}" if params else url, encoded=True)
        body = None if data is None else urlencode(data).encode()
        about = {"http.request.method": method, "server.address": address.host or ""}  # its path may name a person
        with inner(method, kind=SpanKind.CLIENT, attributes=about) as one:
            answer = await self._exchange(
                method, address, body, _headers(headers, auth, form=body is not None), exchange
            )
            one.set_attribute("http.response.status_code", answer.status)
            return answer

    async def _exchange(
        self, method: str, address: URL, body: bytes | None, headers: Mapping[str, str], exchange: _Exchange
    ) -> Answer:
        async with self._permits:
            try:
                async with self._open().request(
                    method,
                    address,
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    trace_request_ctx=exchange,
                ) as response:
                    return Answer(response.status, await response.read(), response.headers)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise NoAnswer(type(error).__name__, sent=exchange.sent) from None

    def _open(self) -> aiohttp.ClientSession:
        """A session belongs to a running loop, and services are built before theirs runs."""
        if self._session is None:
            tracing = aiohttp.TraceConfig()
            tracing.on_request_headers_sent.append(_going_out)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),  # the permits are the limit
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                trust_env=False,
                trace_configs=[tracing],
            )
        return self._session

    async def start(self) -> None:
        """Connections are made when they are needed."""

    async def stop(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None


async def _going_out(_session: object, context: Any, _about: object) -> None:
    """Aiohttp says "sent" on the connection, just before it writes: `tests/unit/kit/test_http.py` holds it to that."""
    exchange: _Exchange = context.trace_request_ctx
    if exchange.before:
        await exchange.before()
    exchange.sent = True


def _headers(given: Mapping[str, str] | None, auth: tuple[str, str] | None, *, form: bool) -> dict[str, str]:
    headers = dict(given or {})
    if form:
        headers["Content-Type"] = FORM
    if auth:
        headers["Authorization"] = f"Basic {b64encode(':'.join(auth).encode()).decode()}"
    return headers
