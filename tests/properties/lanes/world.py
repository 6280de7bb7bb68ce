"""A world around the lanes: logs, a broker that forgets, a client with aiokafka's habits, and everything that breaks.

Whatever is found broken goes to `World.broken`, outside the handlers: an AssertionError inside one would be retried.
"""

import asyncio
import random
from collections import Counter, defaultdict
from typing import Any

from tests.properties.lanes.plans import ATTEMPTS, Event, Plan, Record
from tests.virtual_loop import run_virtual

__all__ = ["World", "live"]

PATIENCE = 3_000.0  # virtual seconds until all must have come to rest


class Poison(Exception): ...


class Down(Exception):
    def __init__(self, after: float) -> None:
        self.after = after


class NotYet(Exception):
    after = 0.7


def live(lanes: Any, plan: Plan) -> None:
    """Runs one world to its end; raises if it ever was, or ends, broken."""

    async def whole() -> list[str]:
        world = World(lanes, plan)
        await world.run()
        return world.broken

    broken = run_virtual(whole())
    assert not broken, broken[:5]


class World:
    def __init__(self, lanes: Any, plan: Plan) -> None:
        self.lanes, self.plan = lanes, plan
        self.random = random.Random(plan.seed)
        self.logs = plan.logs
        self.age = dict.fromkeys(plan.logs, 0)
        """How often a topic was made anew."""
        self.committed = dict.fromkeys(plan.logs, 0)
        self.down_until = self.letters_until = 0.0
        self.tripped_at = self.success_from = -1.0
        self.done: set[Record] = set()
        self.order: dict[Any, list[int]] = defaultdict(list)
        self.broken: list[str] = []
        self.process = Process(self)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.broken.append(f"{self.now:g}: {what}")

    async def run(self) -> None:
        await self.process.start(list(self.logs))
        for event in self.plan.events:
            await asyncio.sleep(event.after)
            await getattr(self, f"_{event.what}")(event)
            self.process.check()
        self.down_until = self.letters_until = self.now
        await self.process.rebalance(list(self.logs), 5.0)
        await self._converge()
        await self.process.die()

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _rebalance(self, event: Event) -> None:
        await self.process.rebalance(self._some(event.number), (0.0, 0.2, 2.0, 12.0)[event.number % 4])

    async def _half(self, event: Event) -> None:
        await self.process.rebalance(self._some(event.number), 12.0, broken_after=event.number % 5 / 4)

    async def _crash(self, event: Event) -> None:
        await self.process.die()
        self.process = Process(self)
        await self.process.start(self._some(event.number | 1))

    async def _down(self, event: Event) -> None:
        self.down_until = self.now + 2 + event.number % 30

    async def _letters(self, event: Event) -> None:
        self.letters_until = self.now + 5 + event.number % 40

    async def _rewind(self, event: Event) -> None:
        """The position goes back, as after a truncation."""
        source = list(self.logs)[event.number % len(self.logs)]
        if source in self.process.positions:
            self.process.positions[source] = event.number % (self.committed[source] + 1)

    async def _again(self, _event: Event) -> None:
        self.process.again = True

    async def _recreate(self, event: Event) -> None:
        source = list(self.logs)[event.number % len(self.logs)]
        self.logs = {**self.logs, source: self.plan.reserve[source] if not self.age[source] else self.logs[source]}
        if self.age[source]:
            return
        self.age[source] = 1
        for record in self.logs[source]:
            record.at = self.now
        self.committed[source] = 0
        if source in self.process.positions:
            self.process.positions[source] = 0

    def _some(self, number: int) -> list[str]:
        return [source for index, source in enumerate(self.logs) if number >> index & 1]

    # ── at the end ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _converge(self) -> None:
        end = self.now + PATIENCE
        while self.now < end and not self._at_rest() and not self.broken:  # noqa: ASYNC110  # time is virtual
            await asyncio.sleep(1)
        executor = self.process.executor
        end = self.now + 60
        while self.now < end and executor.in_flight:  # noqa: ASYNC110  # of those that eat their cancellation
            await asyncio.sleep(1)
        self.process.check()
        self.expect(self._at_rest(), f"it never came to rest: {self.committed} of {self._ends()}")
        self.expect((executor.in_flight, executor.buffered) == (0, 0), "something is still counted")
        self.expect(not executor.throttle.tripped or self.success_from <= self.tripped_at, "the throttle stays shut")
        self.expect(not self.process.crashes, f"bugs were told: {self.process.crashes}")
        for records in self.logs.values():
            for record in records:
                self.expect(record in self.done, f"never settled: {record}")
        for lane, offsets in self.order.items():
            self.expect(offsets == sorted(offsets), f"out of order: {lane} {offsets}")

    def _ends(self) -> dict[str, int]:
        return {source: records[-1].offset + 1 if records else 0 for source, records in self.logs.items()}

    def _at_rest(self) -> bool:
        return self.committed == self._ends()


class Process:
    """One process of ours: an executor, and around it a poll loop, a committer and a client like aiokafka's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dead = False
        self.crashes: list[BaseException] = []
        self.positions: dict[str, int] = {}
        """The client's assignment: visible before the callback that tells of it."""
        self.again = False
        self.generation = 0
        self.epoch: Counter[str] = Counter()
        """Ledgers that a source had."""
        self.opened_age: dict[str, int] = {}
        self.sent: dict[tuple[str, int], int] = {}
        self.working: list[Any] = []
        self.at_work: dict[Any, list[Any]] = defaultdict(list)
        plan, lanes = world.plan, world.lanes

        class Watch(lanes.Observer):  # type: ignore[misc, name-defined]
            def regressed(_self, source: Any) -> None:  # noqa: N805
                self.epoch[source] += 1

        self.executor: Any = lanes.LaneExecutor(
            self._handle,
            decode=self._decode,
            bury=self._bury,
            policy=lanes.RetryPolicy(
                poison=(Poison,),
                down=(Down,),
                wait=(NotYet,),
                attempts=ATTEMPTS,
                longest=5.0,
                jitter=world.random.random,
            ),
            clock=asyncio.get_running_loop().time,
            limits=lanes.Limits(**plan.limits, handler_s=30.0, bury_s=3.0),
            cut=lambda records: min(plan.cut, len(records)),
            observer=Watch(),
            crash=self.crashes.append,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, sources: list[str]) -> None:
        self._tasks = [asyncio.create_task(self._poll_loop()), asyncio.create_task(self._commit_loop())]
        await self._assign(sources)

    async def die(self) -> None:
        """kill -9: nothing is closed, nothing is committed, whatever is still running counts no more."""
        self.dead = True
        self.executor.forget()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ── the client ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def rebalance(self, sources: list[str], grace: float, broken_after: float | None = None) -> None:
        """Eager: everything is revoked. A callback that breaks is swallowed, as aiokafka does."""
        self.again = False
        closing = asyncio.create_task(self.executor.close(list(self.positions), grace))
        if broken_after is not None:
            await asyncio.wait({closing}, timeout=broken_after)
            closing.cancel()
        await asyncio.wait({closing})
        if not closing.cancelled() and closing.exception() is None:
            await self._commit(closing.result())
        elif not closing.cancelled():
            self.world.expect(False, f"close raised {closing.exception()!r}")
        await self._assign(sources)

    async def _assign(self, sources: list[str]) -> None:
        self.generation += 1
        self.positions = {source: self.world.committed[source] for source in sources}
        await asyncio.sleep(self.world.random.choice((0.0, 0.0, 0.3)))  # polls may see the assignment before we do
        self.executor.forget()
        self.check()
        for source in sources:
            self.epoch[source] += 1
            self.opened_age[source] = self.world.age[source]
            self.executor.open(source)

    def _fetched(self, wanted: list[str], most: int) -> list[Record]:
        found: list[Record] = []
        for source in wanted:
            if source in self.positions:
                ahead = [one for one in self.world.logs[source] if one.offset >= self.positions[source]]
                for record in ahead:
                    if record.at > self.world.now or len(found) >= most:
                        break
                    found.append(record)
                    self.positions[source] = record.offset + 1
        return found

    async def _poll_loop(self) -> None:
        while True:
            self.check()
            room = self.executor.room
            wanted = self.executor.wanted() if room else []
            if not wanted:
                await self.executor.wait_room(0.2)
                continue
            patience = self.world.random.choice((1, 4))
            found = self._fetched(wanted, room)
            while not found and patience:
                await asyncio.sleep(0.2)
                found, patience = self._fetched(wanted, room), patience - 1
            self._admit(found)

    def _admit(self, found: list[Record]) -> None:
        refused: set[str] = set()
        for record in found:
            source = record.source
            if source in refused:
                continue
            if self.executor.admit(source, record.offset, record.key, record):
                self.opened_age[source] = self.world.age[source]
            else:
                refused.add(source)  # give back
                self.positions[source] = record.offset
        self.executor.pump()
        if self.again and found and found[0].source in self.executor.sources:
            self._open_again(found[0].source)
        self.check()

    def _open_again(self, source: str) -> None:
        """A revocation that never reached us, while tasks are there that did not take their first step."""
        self.again = False
        self.positions[source] = self.world.committed[source]
        self.epoch[source] += 1
        self.opened_age[source] = self.world.age[source]
        self.executor.open(source)

    async def _commit_loop(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            await self._commit(self.executor.dirty())

    async def _commit(self, marks: dict[str, Any]) -> None:
        world = self.world
        ages, generation, epochs = dict(self.opened_age), self.generation, dict(self.epoch)
        self._check_marks(marks)
        await asyncio.sleep(world.random.choice((0.0, 0.01, 0.4)))
        fate = world.random.choice(("ok", "ok", "ok", "lost", "refused"))
        if self.dead or fate == "refused" or generation != self.generation:
            return
        for source, mark in marks.items():
            if source not in self.positions or ages[source] != world.age[source]:
                continue
            ledger = (source, epochs[source])
            world.expect(mark.offset >= self.sent.get(ledger, 0), f"a mark of {source} went back to {mark.offset}")
            self.sent[ledger] = mark.offset
            if epochs[source] == self.epoch[source]:
                world.committed[source] = mark.offset
        if fate == "ok":
            self.executor.accepted(marks)

    # ── the handler ──────────────────────────────────────────────────────────────────────────────────────────────────

    @staticmethod
    def _decode(record: Record) -> Record:
        if record.kind == "undecodable":
            raise ValueError(record)
        return record

    async def _bury(self, burial: Any) -> None:
        world, record = self.world, burial.raw
        await asyncio.sleep(world.random.choice((0.0, 0.1)))
        if self.dead:
            raise OSError("dead")
        if world.now < world.letters_until:
            if world.random.random() < 0.3:
                await asyncio.sleep(1_000)
            raise OSError("no dead letters now")
        world.expect(record.guilty, f"an innocent was buried: {record} {burial.reason}")
        world.done.add(record)

    async def _handle(self, run: Any) -> int | None:
        began = self.world.now
        token = self._enter(run)
        answer: int | None = None
        try:
            answer = await self._work(run)
        except asyncio.CancelledError:
            if run.records[0].style != "eat":
                raise
            await asyncio.sleep(run.records[0].seconds)
        finally:
            self._leave(run, token)
        self._finish(run, len(run.records) if answer is None else answer, began)
        return answer

    def _enter(self, run: Any) -> Any:
        world, lane = self.world, run._lane
        token = None if run.key is None or self.dead else (run.source, run.key)
        if token is not None:
            others = [one for one in self.at_work[token] if not one.ledger.closed]
            world.expect(lane.ledger.closed or not others, f"two runs of {token} at once")
            self.at_work[token].append(lane)
        self.working.append(run)
        self.check()
        return token

    def _leave(self, run: Any, token: Any) -> None:
        if run in self.working:
            self.working.remove(run)
        if token is not None:
            self.at_work[token].remove(run._lane)

    async def _work(self, run: Any) -> int | None:
        first = run.records[0]
        if first.style in {"linger", "take", "cut"}:
            await self._linger(run, first)
        if first.style in {"take", "eat"}:
            before = len(run.records)
            taken = run.take()
            self.world.expect(len(run.records) == before + taken, "a take is told wrongly")
        self.world.expect(len(run.records) <= max(1, self.world.plan.cut), "more than the cut allows")
        await asyncio.sleep(first.seconds)
        self.world.expect(self.dead or not run._lane.ledger.closed or first.style == "eat", "an abandoned run goes on")
        self._fail(list(run.records), backwards=first.style == "backwards")
        return (len(run.records) + 1) // 2 if first.style == "prefix" else None

    async def _linger(self, run: Any, first: Record) -> None:
        self.working.remove(run)
        try:
            if first.style == "cut":
                async with asyncio.timeout(0.3):
                    await run.linger(first.seconds * 2)
            else:
                await run.linger(first.seconds)
        except TimeoutError:
            return
        self.working.append(run)
        self.world.expect(run.holding or self.dead, "back from lingering without a permit")
        self.check()

    def _fail(self, records: list[Record], *, backwards: bool) -> None:
        world = self.world
        if world.now < world.down_until:
            world.tripped_at = world.now
            raise Down(world.random.choice((0.5, 2.0)))
        for record in reversed(records) if backwards else records:
            if record.kind == "poison":
                raise Poison
            if record.early:
                record.early -= 1
                raise NotYet
            if record.failures:
                record.failures -= 1
                raise RuntimeError(record)

    def _finish(self, run: Any, count: int, began: float) -> None:
        world = self.world
        if self.dead or run._lane.ledger.closed:
            return
        world.success_from = max(world.success_from, began)
        for record in run.records[:count]:
            if record not in world.done:
                world.done.add(record)
                if record.key is not None:
                    world.order[record.source, record.age, record.key].append(record.offset)

    # ── invariants ───────────────────────────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        if self.dead:
            return
        executor, world, limits = self.executor, self.world, self.executor.limits
        world.expect(executor.in_flight <= limits.concurrency, f"{executor.in_flight} in flight")
        world.expect(len(self.working) <= limits.concurrency, f"{len(self.working)} at work")
        world.expect(0 <= executor.buffered <= limits.buffered, f"{executor.buffered} buffered")
        ledgers = list(executor.ledgers.values())
        world.expect(executor.buffered == sum(one.unfinished for one in ledgers), "buffered is not what is unfinished")
        ready = Counter(map(id, executor._ready))
        for ledger in ledgers:
            self._check_ledger(ledger, ready)
        self._check_marks(executor.dirty())

    def _check_ledger(self, ledger: Any, ready: Counter[int]) -> None:
        world, limits = self.world, self.executor.limits
        world.expect(ledger.unfinished == sum(not one.done for one in ledger.window), "unfinished is miscounted")
        world.expect(len(ledger.window) < limits.window + limits.buffered, "the window is too long")
        world.expect(
            ledger.choked == sum(len(lane.queue) >= limits.lane for lane in ledger.lanes.values()),
            "choked is miscounted",
        )
        running = Counter(id(task.get_coro().cr_frame.f_locals["lane"]) for task in ledger.running if not task.done())
        for lane in ledger.lanes.values():
            states = ready[id(lane)] + running[id(lane)] + (lane.timer is not None)
            world.expect(ledger.halted or states == 1, f"lane {lane.key} of {ledger.source} is in {states} states")
            world.expect(running[id(lane)] <= 1, f"lane {lane.key} runs twice")

    def _check_marks(self, marks: dict[str, Any]) -> None:
        for source, mark in marks.items():
            if self.opened_age.get(source) != self.world.age[source]:
                continue
            for record in self.world.logs[source]:
                if record.offset < mark.offset:
                    self.world.expect(record in self.world.done, f"the mark {mark.offset} passed {record}")
