"""One WebSocket connection of the simulator, as an asyncio protocol around websockets' sans-I/O parser.

Why not an ASGI socket or `websockets.serve`: a fault needs the transport (reset without a close frame, a
handshake that hangs, silence below the WebSocket layer), an idle conversation must not cost a task, and
HTTP with bodies must live on the same port. uvicorn hands every upgrade to the class named in its `ws`
option, so HTTP stays ordinary FastAPI and this class owns the wire.
"""

import asyncio
import logging
from typing import Any, Protocol, cast

from websockets.exceptions import InvalidState
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

__all__ = ["Door", "Listener", "WireSocket"]

_MAX_FRAME = 16 * 1024 * 1024  # as the official client allows
_MAX_UNSENT = 64 * 1024 * 1024  # a client that does not read is cut off
_CLOSE_WAIT_S = 2.0
_LOGGER = logging.getLogger("sandbox.elevenlabs.wire")
_LOGGER.setLevel(logging.CRITICAL)  # what clients do wrong is in the wire log, not on stderr


class Listener(Protocol):
    """Who lives on a socket. `on_close` comes exactly once, also after an abort."""

    def on_text(self, text: str) -> None: ...

    def on_binary(self) -> None: ...

    def on_close(self, code: int, reason: str, *, by_peer: bool) -> None: ...


class Door(Protocol):
    """Decides about a handshake: must call `accept`, `reject` or `abort`, now or later."""

    def __call__(self, socket: "WireSocket", request: Request) -> None: ...


class WireSocket(asyncio.Protocol):
    """Sends are synchronous and never fail: on a socket that is gone they do nothing."""

    transport: asyncio.Transport

    def __init__(self, door: Door, *, config: Any, server_state: Any, app_state: Any) -> None:  # noqa: ARG002  (uvicorn's signature)
        self._door = door
        self._connections: set[Any] = server_state.connections
        self._wire = ServerProtocol(max_size=_MAX_FRAME, select_subprotocol=_choose, logger=_LOGGER)
        self._listener: Listener | None = None
        self._request: Request | None = None
        self._parts: list[bytes] = []
        self._muted = False
        self._ended = False
        self._flushing = False
        self._sent_close: tuple[int, str] | None = None
        self._reaper: asyncio.TimerHandle | None = None

    # -- what the simulator does -------------------------------------------------------------

    @property
    def open(self) -> bool:
        return self._wire.state is State.OPEN and not self._ended

    def accept(self, listener: Listener) -> bool:
        """Complete the handshake; False if the request was no valid one or the peer has left."""
        if self._ended or self._request is None or self._wire.state is not State.CONNECTING:
            return False
        response = self._wire.accept(self._request)
        self._request = None
        self._wire.send_response(response)
        self._flush()
        if response.status_code != 101:
            return False
        self._listener = listener
        return True

    def reject(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        if self._ended or self._wire.state is not State.CONNECTING:
            return
        response: Response = self._wire.reject(status, body)
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        for name, value in (headers or {}).items():
            response.headers[name] = value
        self._wire.send_response(response)
        self._flush()

    def send(self, text: str) -> None:
        if self._wire.state is not State.OPEN or self._muted or self._ended:
            return
        self._wire.send_text(text.encode())
        if not self._flushing:  # frames sent in one go leave in one write: half the cost of a streamed turn
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def close(self, code: int, reason: str = "") -> None:
        if self._sent_close or self._ended:
            return
        reason = reason.encode()[:123].decode(errors="ignore")
        self._sent_close = (code, reason)
        if self._wire.state is not State.OPEN or self._muted:
            self.abort()
            return
        self._wire.send_close(code, reason)
        self._flush()
        self._reaper = asyncio.get_running_loop().call_later(_CLOSE_WAIT_S, self.abort)

    def abort(self) -> None:
        """TCP reset, no close frame: the client sees 1006."""
        self._flush()
        self.transport.abort()

    def mute(self) -> None:
        """Keep the connection and send nothing ever again, not even a protocol pong."""
        self._muted = True

    # -- what asyncio and uvicorn call ----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._wire.receive_data(data)
        for event in self._wire.events_received():
            if isinstance(event, Frame):
                self._on_frame(event)
            elif isinstance(event, Request):
                self._request = event
                self._door(self, event)
        self._flush()

    def eof_received(self) -> None:
        self._wire.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._connections.discard(self)
        if self._reaper:
            self._reaper.cancel()
        code, reason = self._sent_close or (1006, "")
        self._end(code, reason, by_peer=self._sent_close is None)

    def shutdown(self) -> None:
        """Server going away. Named by uvicorn."""
        if self._request is not None or self._listener is None:
            self.abort()
        else:
            self.close(1001, "")

    # -- inside -----------------------------------------------------------------------------

    def _on_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            closed = Close.parse(bytes(frame.data))
            by_peer = self._sent_close is None
            code, reason = self._sent_close or (closed.code, closed.reason)
            self._sent_close = (code, reason)
            self._end(code, reason, by_peer=by_peer)
            return
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) or self._listener is None:
            return
        if frame.opcode is Opcode.BINARY:
            self._listener.on_binary()
            return
        self._parts.append(bytes(frame.data))
        if frame.fin:
            text, self._parts = b"".join(self._parts).decode(errors="replace"), []
            self._listener.on_text(text)

    def _flush(self) -> None:
        self._flushing = False
        try:
            chunks = self._wire.data_to_send()
        except InvalidState:
            return
        if self._muted or self.transport.is_closing():
            return
        if chunks:
            self.transport.write(b"".join(chunks))
        if chunks and not chunks[-1]:  # the parser's mark for "nothing more will be sent"
            self.transport.close()
        elif self.transport.get_write_buffer_size() > _MAX_UNSENT:
            self.transport.abort()

    def _end(self, code: int, reason: str, *, by_peer: bool) -> None:
        if self._ended:
            return
        self._ended = True
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.on_close(code, reason, by_peer=by_peer)


def _choose(_: ServerProtocol, offered: Any) -> Subprotocol | None:
    return Subprotocol("convai") if "convai" in offered else None
