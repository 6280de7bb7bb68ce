"""What one assignment of a source still owes."""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from kit.lanes.marks import Mark

__all__ = ["Lane", "Ledger", "Slot"]

Raw = TypeVar("Raw")


class Slot(Generic[Raw]):
    """One record in a ledger: its place, its bytes until it is settled, and what decoding made of them."""

    __slots__ = ("arrived", "attempt", "done", "fault", "offset", "raw", "record")

    def __init__(self, offset: int, raw: Raw, arrived: float) -> None:
        self.offset = offset
        self.raw: Raw | None = raw
        self.record: Any = None
        self.fault: Exception | None = None
        self.arrived = arrived
        self.attempt = 0
        self.done = False


class Lane:
    """The records of one key, first come first served. The taken run stands in front until it is settled."""

    __slots__ = ("arrivals", "key", "ledger", "name", "queue", "suspect", "timer", "watcher")

    def __init__(self, ledger: "Ledger", name: Hashable, key: Hashable) -> None:
        self.ledger = ledger
        self.name = name
        """Unique in its ledger: a record without a key has a lane, and so a name, of its own."""
        self.key = key
        self.queue: list[Slot[Any]] = []
        """A list: lanes are short, there are thousands of them, and an empty deque weighs 600 bytes."""
        self.timer: asyncio.TimerHandle | None = None
        """Set while it waits for its next attempt."""
        self.watcher: asyncio.Future[None] | None = None
        """Set while the run at work waits for company."""
        self.arrivals = 0
        """How many ever arrived: a run that waits for company looks at it."""
        self.suspect = -1
        """Up to this offset records run alone: one of them made a run fail, and only that one shall pay."""

    def append(self, slot: Slot[Any]) -> None:
        self.queue.append(slot)
        self.arrivals += 1
        if self.watcher is not None and not self.watcher.done():
            self.watcher.set_result(None)

    def sleep_no_more(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def decoded(self) -> list[Any]:
        """The records in front that may make up a run: up to the first that did not decode."""
        records: list[Any] = []
        for slot in self.queue:
            if slot.fault is not None:
                break
            records.append(slot.record)
            if slot.offset <= self.suspect:
                break
        return records


class Ledger:
    """Offsets of one source from assignment to revocation.

    The subtle invariant: `mark()` never passes a record that is not settled, whatever order they finish in. Slots are
    kept in a deque in order of arrival, which is offset order; a settled one is popped only once it is the first. Only
    received offsets are tracked, so gaps left by compaction and transactions need no care.
    """

    def __init__(self, source: Hashable) -> None:
        self.source = source
        self.window: deque[Slot[Any]] = deque()
        self.lanes: dict[Hashable, Lane] = {}
        self.running: set[Any] = set()
        self.next_offset: int | None = None
        self.unfinished = 0
        self.choked = 0
        """Lanes at their cap: while there is one, the source is not polled."""
        self.accepted: Mark | None = None
        """The last mark that the broker accepted."""
        self.halted = False
        """Nothing new starts."""
        self.closed = False
        """Whatever still runs changes nothing any more."""
        self.frozen = False
        """Too much of it would have to be buried: nothing starts until somebody has looked."""

    def admit(self, slot: Slot[Any]) -> None:
        self.window.append(slot)
        self.next_offset = slot.offset + 1
        self.unfinished += 1

    def settle(self, slot: Slot[Any]) -> None:
        slot.done, slot.raw, slot.record = True, None, None  # the flag stays, the payload need not
        self.unfinished -= 1
        while self.window and self.window[0].done:
            self.window.popleft()

    def mark(self) -> Mark | None:
        """None before the first record: there is nothing to say about this source."""
        if self.next_offset is None:
            return None
        return Mark(self.window[0].offset if self.window else self.next_offset)
