"""One lane per key: many keys at once, each strictly in order, and marks that never pass unfinished work.

A lane is in exactly one of these states, and every hang ever found was a lane in none of them:

    (absent) --admit--> READY --pump--> RUNNING --settled, more--> READY
                          ^                |  '--settled, empty--> (absent)
                          '---- timer -----'-- put off --> WAITING
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from kit.lanes.ledger import Lane, Ledger, Slot
from kit.lanes.limits import Limits
from kit.lanes.marks import Mark
from kit.lanes.observer import Observer
from kit.lanes.permits import Permits
from kit.lanes.retry import RetryPolicy
from kit.lanes.run import Run
from kit.lanes.throttle import Throttle
from kit.lanes.worker import Burial, Outcome, Worker

__all__ = ["LaneExecutor"]

T = TypeVar("T")
Raw = TypeVar("Raw")
Source = Hashable
BUG = Outcome(delay=5.0)  # a lane whose work ended by a bug of ours is not tried at once
EATER_S = 1.0  # a handler that eats its cancellation is given up after this; its ledger is closed by then


class LaneExecutor(Generic[Raw, T]):
    """Feed it with `open` and `admit`, call `pump`, commit what `dirty` says, `close` what is revoked.

    Must be used from one event loop. `handle` gets a run; `decode` makes a record of raw bytes at admission, one by
    one, and what it refuses takes its place in the lane and is buried there; `cut` says how many of the records that
    wait make up one run, one without it; `bury` returns once the burial is acknowledged; `crash` is told of a bug, of
    ours or in `cut`.
    """

    def __init__(
        self,
        handle: Callable[[Run[T]], Awaitable[int | None]],
        *,
        decode: Callable[[Raw], T],
        bury: Callable[[Burial[Raw]], Awaitable[None]],
        policy: RetryPolicy,
        clock: Callable[[], float],
        crash: Callable[[BaseException], None],
        limits: Limits | None = None,
        cut: Callable[[Sequence[T]], int] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._decode = decode
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._cut = cut
        self._crash = crash
        self._observe = observer or Observer()
        self.limits = limits or Limits()
        self.throttle = Throttle(clock)
        self._worker = Worker(handle, bury, policy, self.limits, self.throttle, self._observe, clock)
        self._permits = Permits(self.limits.concurrency, self.throttle)
        self.ledgers: dict[Source, Ledger] = {}
        self._ready: deque[Lane] = deque()
        self._room = asyncio.Event()
        self.buffered = 0
        """Unfinished records of all open ledgers."""

    @property
    def in_flight(self) -> int:
        """Permits that are taken."""
        return self._permits.in_flight

    def open(self, source: Source) -> None:
        """A source is ours from now on. One that a failed revocation left open is abandoned first."""
        if source in self.ledgers:
            self._abandon(self.ledgers[source])
        self.ledgers[source] = Ledger(source)

    def forget(self) -> None:
        """Abandon whatever is still open: after a rebalance nothing may survive."""
        for ledger in list(self.ledgers.values()):
            self._abandon(ledger)

    @property
    def sources(self) -> list[Source]:
        return list(self.ledgers)

    async def close(self, sources: Iterable[Source], grace: float) -> dict[Source, Mark]:
        """Start nothing more, wait `grace` seconds for what runs, cancel the rest. Returns what may be committed.

        Shield it: cancelled half-way it would leave ledgers that nobody closes.
        """
        ledgers = [self.ledgers[source] for source in sources if source in self.ledgers]
        for ledger in ledgers:  # before the first await: no record may slip in between
            self._halt(ledger)
        running: set[asyncio.Task[None]] = {task for ledger in ledgers for task in ledger.running}
        try:
            if running:
                _, late = await asyncio.wait(running, timeout=grace)
                for task in late:
                    task.cancel()
                if late:
                    await asyncio.wait(late, timeout=EATER_S)
        finally:
            marks = self._marks(ledgers)
            for ledger in ledgers:
                self._abandon(ledger)
        return marks

    def _halt(self, ledger: Ledger) -> None:
        ledger.halted = True
        for lane in ledger.lanes.values():
            lane.sleep_no_more()

    def _abandon(self, ledger: Ledger) -> None:
        """The ledger's work counts no more; its tasks are cancelled, or a zombie would meet its successor."""
        if ledger.closed:
            return
        self._halt(ledger)
        ledger.closed = True
        if not ledger.frozen:
            self.buffered -= ledger.unfinished
        for task in ledger.running:
            task.cancel()
        if self.ledgers.get(ledger.source) is ledger:
            del self.ledgers[ledger.source]
        self._room.set()

    @property
    def room(self) -> int:
        """How many records may be admitted now."""
        return max(0, self.limits.buffered - self.buffered)

    def wanted(self) -> list[Source]:
        """The sources to poll; a choked, full or frozen one is left alone, the others go on."""
        return [
            source
            for source, ledger in self.ledgers.items()
            if not (ledger.halted or ledger.frozen or ledger.choked) and len(ledger.window) < self.limits.window
        ]

    async def wait_room(self, seconds: float) -> None:
        """Until something was settled, `seconds` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._room.wait()
        self._room.clear()  # and not before: what was settled since the last wait counts

    def admit(self, source: Source, offset: int, key: Hashable, raw: Raw) -> bool:
        """Take a record in. False: not ours, or not any more; the caller gives it back by seeking to it."""
        ledger = self.ledgers.get(source)
        if ledger is None or ledger.halted or ledger.frozen:
            return False
        if ledger.next_offset is not None and offset < ledger.next_offset:
            ledger = self._reopen(ledger)
        slot = Slot(offset, raw, self._clock())
        try:
            slot.record = self._decode(raw)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the record's own fault
            slot.fault = error
        ledger.admit(slot)
        self.buffered += 1
        self._enqueue(ledger, slot, key)
        return True

    def _reopen(self, ledger: Ledger) -> Ledger:
        """Offsets went back: the log was truncated or made anew. A restart, never "already seen"."""
        self._observe.regressed(ledger.source)
        self.open(ledger.source)
        return self.ledgers[ledger.source]

    def _enqueue(self, ledger: Ledger, slot: Slot[Raw], key: Hashable) -> None:
        name = ("no key", slot.offset) if key is None else key
        lane = ledger.lanes.get(name)
        if lane is None:
            lane = ledger.lanes[name] = Lane(ledger, name, key)
            self._ready.append(lane)
        lane.append(slot)
        if len(lane.queue) == self.limits.lane:
            ledger.choked += 1

    def pump(self) -> None:
        """Start what may start: first the runs that come back from lingering, then the lanes, the oldest first."""
        self._permits.serve()
        while self._ready and self._permits.free():
            lane = self._ready.popleft()
            ledger = lane.ledger
            if ledger.halted or ledger.frozen:
                continue  # lanes of closed ledgers are forgotten when they are next met
            run: Run[T] = Run(self, lane, self._take(lane))
            self._permits.take(run)
            task = self._loop.create_task(self._work(lane, run))
            ledger.running.add(task)
            task.add_done_callback(partial(self._ended, ledger, run))

    def _take(self, lane: Lane) -> list[Slot[Any]]:
        """The next run of a lane; a record that did not decode is one by itself."""
        if self._cut is None or len(lane.queue) == 1:
            return lane.queue[:1]
        return lane.queue[: self.cut_of(lane.decoded())]

    def cut_of(self, records: Sequence[T]) -> int:
        """At least 1, and 1 where the subscriber's rule is broken: a lane must not be lost for it."""
        try:
            return max(1, min(len(records), self._cut(records))) if records and self._cut else 1
        except Exception as error:  # noqa: BLE001  # whatever it is, the lane goes on
            self._crash(error)
            return 1

    def _ended(self, ledger: Ledger, run: Run[T], task: asyncio.Task[None]) -> None:
        """Here and not in the coroutine: a task that is cancelled before its first step never enters it."""
        ledger.running.discard(task)
        self._permits.give(run)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crash(error)
        self.pump()

    async def _work(self, lane: Lane, run: Run[T]) -> None:
        outcome = BUG
        try:
            self._observe.started(run.source, self._clock() - run.slots[0].arrived)
            outcome = await self._worker.work(run)
        finally:
            if outcome.held:
                self._loop.call_later(outcome.delay, self.pump)
            if not lane.ledger.closed:
                self._conclude(lane, outcome)

    def _conclude(self, lane: Lane, outcome: Outcome) -> None:
        if outcome.frozen and not lane.ledger.frozen:
            lane.ledger.frozen = True
            self.buffered -= lane.ledger.unfinished  # what stands still must not take the others' room
        for _ in range(outcome.settled):
            self._settle(lane)
        if not lane.queue:
            del lane.ledger.lanes[lane.name]
        elif lane.ledger.halted or lane.ledger.frozen:
            pass  # nothing of it starts any more
        elif outcome.delay:
            lane.timer = self._loop.call_later(outcome.delay, self._wake, lane)
        else:
            self._ready.append(lane)  # at the end: others wait one run of it at most

    def _settle(self, lane: Lane) -> None:
        if len(lane.queue) == self.limits.lane:
            lane.ledger.choked -= 1
        lane.ledger.settle(lane.queue.pop(0))
        if not lane.ledger.frozen:
            self.buffered -= 1
        self._room.set()

    def _wake(self, lane: Lane) -> None:
        lane.timer = None
        self._ready.append(lane)
        self.pump()

    async def rest(self, run: Run[Any], seconds: float) -> bool:
        """Let a run wait without its permit, its deadline standing still, and give it one again before it goes on."""
        deadline = run.deadline
        left = deadline.when() - self._loop.time() if deadline and deadline.when() else None  # type: ignore[operator]
        if deadline:
            deadline.reschedule(None)
        try:
            self._permits.give(run)
            self.pump()
            arrived = await run.arrival(seconds)
            turn = self._permits.queue(run)
            self.pump()
            await turn
        finally:  # also when the handler itself cuts it short: without a deadline it could hang for ever
            if deadline and left is not None:
                deadline.reschedule(self._loop.time() + left)
        return arrived

    def dirty(self) -> dict[Source, Mark]:
        """What may be committed and is not yet."""
        return self._marks(self.ledgers.values())

    def accepted(self, marks: dict[Source, Mark]) -> None:
        """The broker has taken these. A mark never goes back, whichever answer comes last.

        One beyond what the ledger would say now is an earlier ledger's, of a log that is gone.
        """
        for source, mark in marks.items():
            ledger = self.ledgers.get(source)
            own = ledger.mark() if ledger else None
            if ledger is None or own is None or mark.offset > own.offset:
                continue
            if ledger.accepted is None or mark.offset > ledger.accepted.offset:
                ledger.accepted = mark

    def _marks(self, ledgers: Iterable[Ledger]) -> dict[Source, Mark]:
        marks = ((ledger, ledger.mark()) for ledger in ledgers)
        return {ledger.source: mark for ledger, mark in marks if mark is not None and mark != ledger.accepted}
