"""The smallest HTTP client that can do what Twilio does: POST these very bytes to this very URL, with three timeouts.

Not aiohttp or httpx: both re-quote URLs unless asked not to, and cost 0.4 ms a request of the cores under test.
"""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools

# Shorter than uvicorn's 5 s, or a POST now and then goes into a connection that is just being closed.
_IDLE_S = 3


class ConnectFailed(Exception):
    """Nothing was sent."""


class ReadFailed(Exception):
    """Something was sent, no whole answer came: in time or at all."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    content_type: str | None
    body: bytes


class _Connection(asyncio.Protocol):
    """One exchange at a time; `answer` is the one under way."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.answer: asyncio.Future[Response] | None = None
        self.idle_since = 0.0
        self._heard = 0.0

    @property
    def usable(self) -> bool:
        alive = self.transport is not None and not self.transport.is_closing()
        return alive and self._loop.time() - self.idle_since < _IDLE_S

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    async def exchange(self, request: bytes, read_s: float, total_s: float) -> Response:
        """Raises ReadFailed."""
        if self.transport is None:
            raise ReadFailed
        self._parser = httptools.HttpResponseParser(self)
        self._content_type: str | None = None
        self._framed = False
        self._headed = False
        self._chunks: list[bytes] = []
        self.answer = self._loop.create_future()
        self._heard = self._loop.time()
        self._deadline, self._read_s = self._heard + total_s, read_s
        self._timer = self._loop.call_later(min(read_s, total_s), self._check)
        self.transport.write(request)
        try:
            return await self.answer
        finally:
            self._timer.cancel()
            self.idle_since = self._loop.time()

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self.answer is None or self.answer.done():
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.answer is None or self.answer.done():
            return
        if exc is None and self._headed and not self._framed:
            self.on_message_complete()  # a body without a length ends with the connection
        else:
            self._fail()

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.lower()
        if lowered == b"content-type":
            self._content_type = value.decode("latin-1")
        elif lowered in {b"content-length", b"transfer-encoding"}:
            self._framed = True

    def on_headers_complete(self) -> None:
        self._headed = True

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self.answer and not self.answer.done():
            status = self._parser.get_status_code()
            self.answer.set_result(Response(status, self._content_type, b"".join(self._chunks)))
        if not self._parser.should_keep_alive():
            self.close()

    def close(self) -> None:
        if self.transport:
            self.transport.abort()

    def _check(self) -> None:
        now = self._loop.time()
        due = min(self._deadline, self._heard + self._read_s)
        if now >= due:
            self._fail()
        else:
            self._timer = self._loop.call_later(due - now, self._check)

    def _fail(self) -> None:
        if self.answer and not self.answer.done():
            self.answer.set_exception(ReadFailed())
        self.close()


class Poster:
    """Keeps connections alive, as Twilio's edges do."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str, int], deque[_Connection]] = {}
        self._tls: ssl.SSLContext | None = None

    async def post(
        self, url: str, headers: dict[str, str], body: bytes, *, connect_s: float, read_s: float, total_s: float
    ) -> Response:
        """`url` goes out byte for byte. Raises ConnectFailed or ReadFailed; redirects are answers like others."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConnectFailed
        target = url[len(parts.scheme) + 3 + len(parts.netloc) :]
        lines = [f"POST {target if target.startswith('/') else '/' + target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in {"Host": parts.netloc, **headers}.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        place = (parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        started = asyncio.get_running_loop().time()
        connection = self._take(place) or await self._connect(place, min(connect_s, total_s))
        left = total_s - (asyncio.get_running_loop().time() - started)
        try:
            response = await connection.exchange("\r\n".join(lines).encode() + body, read_s, left)
        except asyncio.CancelledError:
            connection.close()
            raise
        if connection.usable:
            self._idle.setdefault(place, deque()).append(connection)
        return response

    def close(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def _take(self, place: tuple[str, str, int]) -> _Connection | None:
        idle = self._idle.get(place)
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return None

    async def _connect(self, place: tuple[str, str, int], seconds: float) -> _Connection:
        scheme, host, port = place
        if scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                tls = self._tls if scheme == "https" else None
                _, connection = await loop.create_connection(_Connection, host, port, ssl=tls)
        except OSError as error:  # TimeoutError and SSLError are among them
            raise ConnectFailed from error
        return connection
