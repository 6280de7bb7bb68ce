"""One socket for each conversation, kept while it may be used again. Source: reference §10.2."""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal, Protocol

from kit.clock import Clock
from processor.agent.errors import AgentError
from processor.agent.timing import Timing

__all__ = ["Counts", "Opener", "Pool", "Pooled", "Seat"]

HANDSHAKES = 2
CALM_S = 30.0  # after a refusal for capacity handshakes go one by one: they compete with live phone calls
JITTER_S = 0.02


class Pooled(Protocol):
    """What the pool knows of a session."""

    agent_id: str
    opened_at: float
    asked_at: float
    """When a turn last used it."""
    said_at: float
    """When it last heard of us, be it only that we are there."""

    @property
    def heard_at(self) -> float: ...

    @property
    def usable(self) -> bool: ...

    async def activity(self) -> None: ...

    async def close(self) -> None: ...


Opener = Callable[[str, str, Mapping[str, str]], Awaitable[Pooled]]
"""Agent id, user id, variables → an open session. Raises AgentError."""


@dataclass(slots=True)
class Counts:
    """Kept from the start of the process; the same go into a metric."""

    opened: int = 0
    reused: int = 0
    evicted: int = 0
    waited: int = 0
    unsolicited: int = 0


class Seat:
    """The right to one socket, for as long as one turn tries. Used by one task."""

    def __init__(self, pool: "Pool", conversation: str, session: Pooled | None) -> None:
        self.conversation = conversation
        self.session = session
        self.dropped = False
        self._pool = pool

    async def take(self, agent_id: str, user_id: str, variables: Mapping[str, str]) -> Pooled:
        """The conversation's session if it still serves, else a new one. Raises AgentError."""
        if self.session and not self._pool.serves(self.session, agent_id):
            self.leave()
        if self.session is None:
            self.session = await self._pool.open(agent_id, user_id, variables)
        else:
            self._pool.count("reused")
        return self.session

    def leave(self) -> None:
        """Never use this session again."""
        if self.session:
            self._pool.discard(self.session)
            self.session = None


class Pool:
    """At most `size` sockets, idle ones included.

    Full: the least recently idle one makes room. All of them busy: a turn waits for a seat, in order of arrival, and
    whoever holds one meanwhile gives it away at the end of its turn instead of keeping its socket: a socket per turn.
    """

    def __init__(
        self, opener: Opener, clock: Clock, timing: Timing, size: int, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self.counts = Counts()
        self._tell = tell
        self._opener = opener
        self._clock = clock
        self._timing = timing
        self._size = size
        self._idle: OrderedDict[str, Pooled] = OrderedDict()
        self._busy: set[Seat] = set()
        self._held = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closing: set[asyncio.Task[None]] = set()
        self._handshakes = asyncio.Semaphore(HANDSHAKES)
        self._calm = asyncio.Semaphore(1)
        self._calm_until = 0.0
        self._tending: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def sockets(self) -> int:
        """Open ones, and the right to one."""
        return self._held

    async def start(self) -> None:
        self._tending = asyncio.create_task(self._tend(), name="agent pool")

    async def stop(self) -> None:
        """Turns in flight finish within the drain, then everything is closed. To be called after the consumers."""
        self._stopping = True
        if self._tending:
            self._tending.cancel()
            with suppress(asyncio.CancelledError):
                await self._tending
        await self.release()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timing.drain):
                while self._busy:  # noqa: ASYNC110  # seats are given back by whoever holds them
                    await asyncio.sleep(0.02)
        for seat in self._busy:
            seat.leave()
        if self._closing:
            await asyncio.wait(self._closing)

    @asynccontextmanager
    async def seat(self, conversation: str) -> AsyncIterator[Seat]:
        """Waits for its turn where all are taken."""
        session = self._idle.pop(conversation, None)
        if session is None:
            await self._sit_down()
        seat = Seat(self, conversation, session)
        self._busy.add(seat)
        try:
            yield seat
        finally:
            self._busy.discard(seat)
            self._stand_up(seat)

    def drop(self, conversation: str) -> None:
        """Its partition was revoked, or its draft thrown away: what its session remembers is not what was shown."""
        session = self._idle.pop(conversation, None)
        if session:
            self.discard(session)
            self._free()
        for seat in self._busy:
            seat.dropped |= seat.conversation == conversation

    async def release(self) -> None:
        """Rebalancing is eager, so every contact may be somebody else's now: close what is idle, keep nothing busy."""
        for conversation in list(self._idle):
            self.drop(conversation)
        for seat in self._busy:
            seat.dropped = True

    def count(self, event: Literal["opened", "reused", "evicted", "waited"]) -> None:
        setattr(self.counts, event, getattr(self.counts, event) + 1)
        self._tell(event)

    def serves(self, session: Pooled, agent_id: str) -> bool:
        """No turn starts on a session that may end under it."""
        young = self._clock.monotonic() - session.opened_at < self._timing.age
        return session.usable and young and session.agent_id == agent_id

    async def open(self, agent_id: str, user_id: str, variables: Mapping[str, str]) -> Pooled:
        """Raises AgentError."""
        if self._handshakes.locked():
            await self._clock.sleep(random.uniform(0, JITTER_S))
        calm = self._clock.monotonic() < self._calm_until
        try:
            async with self._calm if calm else self._handshakes:
                session = await self._opener(agent_id, user_id, variables)
        except AgentError as error:
            if error.kind == "capacity":
                self._calm_until = self._clock.monotonic() + CALM_S
            raise
        self.count("opened")
        return session

    def discard(self, session: Pooled) -> None:
        """Closed in the background: a turn never waits for the goodbye of another."""
        task = asyncio.create_task(session.close(), name="agent goodbye")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def tend(self) -> None:
        """One round over what is idle."""
        now, timing = self._clock.monotonic(), self._timing
        for conversation, session in list(self._idle.items()):
            silent = now - session.heard_at >= timing.watchdog
            old = now - session.opened_at >= timing.age or now - session.asked_at >= timing.idle
            if silent or old or not session.usable:
                self.drop(conversation)
            elif now - session.said_at >= timing.activity:
                await session.activity()

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(self._timing.sweep)
            await self.tend()

    async def _sit_down(self) -> None:
        if self._held < self._size:
            self._held += 1
        elif self._idle:
            _, oldest = self._idle.popitem(last=False)
            self.count("evicted")
            self.discard(oldest)
        else:
            await self._wait()

    async def _wait(self) -> None:
        self.count("waited")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free()  # it was given to us just then
            raise

    def _stand_up(self, seat: Seat) -> None:
        session, seat.session = seat.session, None
        known = seat.conversation in self._idle
        keep = session and session.usable and not (seat.dropped or known or self._stopping or self._next_waiting())
        if session and keep:
            self._idle[seat.conversation] = session
            return
        if session:
            self.discard(session)
        self._free()

    def _free(self) -> None:
        turn = self._next_waiting()
        if turn:
            self._waiting.popleft()
            turn.set_result(None)
        else:
            self._held -= 1

    def _next_waiting(self) -> asyncio.Future[None] | None:
        while self._waiting and self._waiting[0].done():  # gave up
            self._waiting.popleft()
        return self._waiting[0] if self._waiting else None
