"""What a handler receives: the records of one key that are decided together, and a view of what waits behind them."""

import asyncio
from collections.abc import Awaitable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from kit.lanes.ledger import Lane, Slot

__all__ = ["Run"]

T = TypeVar("T")


class Host(Protocol):
    """The executor, as far as a run may ask it."""

    async def rest(self, run: "Run[Any]", wait: Awaitable[bool]) -> bool: ...

    def cut_of(self, records: Sequence[Any]) -> int: ...


class Run(Generic[T]):
    """At least one record, in order. A handler settles all of it by returning None, or the first n by returning n.

    What a handler raises concerns the whole run, which is given back and cut anew. A burial never hits an innocent: the
    records of a run that would be buried run alone first, and only the one that fails again is buried.
    """

    __slots__ = ("_host", "_lane", "_noticed", "_slots", "deadline", "holding")

    def __init__(self, host: Host, lane: "Lane", slots: "list[Slot[Any]]") -> None:
        self._host = host
        self._lane = lane
        self._slots = slots
        self._noticed = lane.arrivals
        self.deadline: asyncio.Timeout | None = None
        self.holding = False

    @property
    def key(self) -> Hashable:
        return self._lane.key

    @property
    def source(self) -> Hashable:
        return self._lane.ledger.source

    @property
    def slots(self) -> "list[Slot[Any]]":
        return self._slots

    @property
    def records(self) -> tuple[T, ...]:
        """What was taken."""
        return tuple(slot.record for slot in self._slots)

    @property
    def behind(self) -> tuple[T, ...]:
        """What waits behind it now."""
        return tuple(self._lane.decoded()[len(self._slots) :])

    async def arrival(self, seconds: float) -> bool:
        """Wait, keeping the permit, until something new stands behind this run; False when the time is over."""
        return await self._arrived(seconds)

    async def linger(self, seconds: float) -> bool:
        """Like `arrival`, but without a permit: others work meanwhile, and the handler's deadline stands still."""
        return await self._host.rest(self, self._arrived(seconds))

    def take(self) -> int:
        """Take in what waits behind, as far as the subscriber's cut allows; how many came."""
        waiting = self._lane.decoded()
        allowed = min(len(waiting), self._host.cut_of(waiting))
        taken = max(0, allowed - len(self._slots))
        start = len(self._slots)
        self._slots.extend(slot for index, slot in enumerate(self._lane.queue) if start <= index < start + taken)
        self._noticed = self._lane.arrivals
        return taken

    def suspect(self) -> None:
        """One of these records makes its run fail: let each of them run alone."""
        self._lane.suspect = self._slots[-1].offset

    def freeze(self) -> None:
        self._lane.ledger.frozen = True

    async def _arrived(self, seconds: float) -> bool:
        if self._lane.arrivals == self._noticed:
            self._lane.watcher = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait({self._lane.watcher}, timeout=seconds)
            finally:
                self._lane.watcher = None
        new = self._lane.arrivals > self._noticed
        self._noticed = self._lane.arrivals
        return new
