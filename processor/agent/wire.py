"""The socket under a conversation: a reader that answers pings at once, and frames that can be waited for."""

import asyncio
import json
from collections.abc import Callable, Mapping

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from kit.clock import Clock
from processor.agent import protocol
from processor.agent.errors import AgentError, Phase, classify, rejected
from processor.agent.protocol import Frame
from processor.agent.timing import Timing

__all__ = ["ODDITIES", "Wire"]

MAX_FRAME = 1024 * 1024
TOO_BIG = 1009  # our own close code for a frame beyond MAX_FRAME
ODDITIES = (KeyError, TypeError, AttributeError)
"""What reading a frame without its fields raises."""


class Wire:
    """`phase` goes into every AgentError raised here. While `listening` is off, frames go to `unasked` instead."""

    def __init__(self, timing: Timing, clock: Clock, unasked: Callable[[Frame], None]) -> None:
        self.phase: Phase = "connect"
        self.listening = True
        self.heard_at = clock.monotonic()
        self._timing = timing
        self._clock = clock
        self._unasked = unasked
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._frames: asyncio.Queue[Frame] = asyncio.Queue()
        self._end: Exception | None = None

    @property
    def alive(self) -> bool:
        return self._socket is not None and self._end is None

    async def open(self, url: str, headers: Mapping[str, str]) -> None:
        """Raises AgentError."""
        self._socket = await self._connect(url, headers)
        self._reader = asyncio.create_task(self._read(self._socket), name="agent socket")
        self.phase = "init"

    async def send(self, frame: Frame) -> None:
        """Raises AgentError."""
        assert self._socket is not None  # noqa: S101
        try:
            await self._socket.send(_dumps(frame))
        except ConnectionClosed as closed:
            self._end = self._end or closed
            raise self._ended() from None

    async def next(self, seconds: float) -> Frame | None:
        """None where nothing came. Raises AgentError when the socket has ended."""
        frame = self.waiting()
        if frame is None and self._end is None:
            try:
                async with asyncio.timeout(max(0.0, seconds)):
                    frame = await self._frames.get()
            except TimeoutError:
                return None
        if frame is None or not frame["type"]:
            raise self._ended()
        return frame

    def waiting(self) -> Frame | None:
        """A frame that is there already."""
        return None if self._frames.empty() else self._frames.get_nowait()

    async def close(self) -> None:
        """Bounded, never raises, harmless to repeat."""
        if self._socket:
            await self._socket.close()
        if self._reader:
            await asyncio.wait({self._reader})

    async def _read(self, socket: ClientConnection) -> None:
        try:
            while True:
                frame = protocol.parse(await socket.recv())
                self.heard_at = self._clock.monotonic()
                if frame["type"] == "ping":
                    await socket.send(_dumps(protocol.pong(frame)))
                elif self.listening:
                    self._frames.put_nowait(frame)
                else:
                    self._unasked(frame)
        except (ConnectionClosed, ValueError, *ODDITIES) as error:
            self._end = error
            self._frames.put_nowait({"type": ""})  # wakes whoever waits

    async def _connect(self, url: str, headers: Mapping[str, str]) -> ClientConnection:
        try:
            return await connect(
                url,
                additional_headers=headers,
                open_timeout=self._timing.connect,
                close_timeout=self._timing.close,
                max_size=MAX_FRAME,
                ping_interval=None,  # the protocol has pings of its own
                compression=None,
                proxy=None,
            )
        except InvalidStatus as error:
            raise _rejected(error) from None
        except TimeoutError:
            raise AgentError("timeout", "connect", f"no connection within {self._timing.connect:g} s") from None
        except (OSError, InvalidHandshake, WebSocketException) as error:
            raise AgentError("transient", "connect", type(error).__name__) from None

    def _ended(self) -> AgentError:
        end = self._end
        if not isinstance(end, ConnectionClosed):
            return AgentError("protocol", self.phase, "a frame that is no JSON object with its fields")
        if end.sent and end.sent.code == TOO_BIG and not end.rcvd_then_sent:
            return AgentError("protocol", self.phase, "a frame that is too large")
        return classify(self.phase, end.rcvd.code if end.rcvd else None, end.rcvd.reason if end.rcvd else "")


def _rejected(error: InvalidStatus) -> AgentError:
    response = error.response
    body = (response.body or b"").decode("utf-8", "replace")
    return rejected(response.status_code, body, response.headers.get("Retry-After", ""))


def _dumps(frame: Frame) -> str:
    return json.dumps(frame, ensure_ascii=False)
