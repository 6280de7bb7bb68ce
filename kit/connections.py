"""What one connection may take of us. uvicorn bounds neither the seconds nor the bytes of a request that never ends."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["HEAD_BYTES", "REQUEST_S", "TOO_LARGE", "GuardedConnection"]

REQUEST_S = 10.0  # from its first byte to its last; Twilio itself gives up after 15 s
HEAD_BYTES = 16 * 1024  # request line and headers; Twilio's are under 1 kB
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class GuardedConnection(HttpToolsProtocol):
    """A request is whole within REQUEST_S, or the connection is cut; a longer head than HEAD_BYTES is answered 431.

    Above `most` connections a new one is cut at once, and the ones that are there go on: uvicorn's own limit would
    refuse those too. A request that comes whole, as all of Twilio's do, sets no timer.
    """

    def __init__(self, *args: Any, most: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._most = most
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head = 0  # bytes of a head that is not whole yet
        self._whole = False
        self._refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > self._most:
            self._cut()
        else:
            self._arm()

    def data_received(self, data: bytes) -> None:
        self._whole = False
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > HEAD_BYTES:
            self._refuse()
        if self._whole:
            self._disarm()
        elif self._timer is None:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._whole = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES:
            self._refuse()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._whole, self._in_head, self._head = True, True, 0
        if not self._refused:
            super().on_message_complete()

    def _refuse(self) -> None:
        self._refused = True
        if not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def _arm(self) -> None:
        self._timer = self.loop.call_later(REQUEST_S, self._cut)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        self._timer = None
        self.transport.abort()
