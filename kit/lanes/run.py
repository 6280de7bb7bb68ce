"""What a handler receives: the records of one key that are decided together, and a view of what waits behind them."""

import asyncio
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from kit.lanes.ledger import Lane, Slot

__all__ = ["Run"]

T = TypeVar("T")


class Host(Protocol):
    """The executor, as far as a run may ask it."""

    async def rest(self, run: "Run[Any]", seconds: float) -> bool: ...

    def cut_of(self, records: Sequence[Any]) -> int: ...


class Run(Generic[T]):
    """At least one record, in order. A handler settles all of it by returning None, or the first n by returning n.

    What a handler raises concerns the whole run, which is given back and cut anew. A burial never hits an innocent: the
    records of a run that would be buried run alone first, and only the one that fails again is buried.
    """

    __slots__ = ("_host", "_lane", "_noticed", "deadline", "holding", "probing", "slots")

    def __init__(self, host: Host, lane: "Lane", slots: "list[Slot[Any]]") -> None:
        self._host = host
        self._lane = lane
        self.slots = slots
        self._noticed = lane.arrivals
        self.deadline: asyncio.Timeout | None = None
        self.holding = False
        self.probing = False

    @property
    def key(self) -> Hashable:
        return self._lane.key

    @property
    def source(self) -> Hashable:
        return self._lane.ledger.source

    @property
    def records(self) -> tuple[T, ...]:
        """What was taken."""
        return tuple(slot.record for slot in self.slots)

    @property
    def behind(self) -> tuple[T, ...]:
        """What waits behind it now; a record that did not decode is none."""
        return tuple(slot.record for slot in self._lane.queue[len(self.slots) :] if slot.fault is None)

    async def arrival(self, seconds: float) -> bool:
        """Wait, keeping the permit, until something new stands behind this run; False when the time is over."""
        if self._lane.arrivals == self._noticed:
            self._lane.watcher = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait({self._lane.watcher}, timeout=seconds)
            finally:
                self._lane.watcher = None
        new = self._lane.arrivals > self._noticed
        self._noticed = self._lane.arrivals
        return new

    async def linger(self, seconds: float) -> bool:
        """Like `arrival`, but without a permit: others work meanwhile, and the handler's deadline stands still."""
        return await self._host.rest(self, seconds)

    def take(self) -> int:
        """Take in what waits behind, as far as the subscriber's cut allows; how many came."""
        before = len(self.slots)
        allowed = self._host.cut_of(self._lane.decoded())
        self.slots.extend(self._lane.queue[before:allowed])
        if len(self.slots) == len(self._lane.queue):
            self._noticed = self._lane.arrivals  # nothing is left that could still be news
        return len(self.slots) - before

    def suspect(self) -> None:
        """One of these records makes its run fail: let each run alone, with all its attempts before it."""
        self._lane.suspect = self.slots[-1].offset
        self.slots[0].attempt = 0
