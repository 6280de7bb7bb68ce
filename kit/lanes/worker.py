"""One attempt at one run: the handler, and what becomes of the records when it fails."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kit.lanes.budget import BurialBudget
from kit.lanes.cancelling import is_ours
from kit.lanes.limits import Limits
from kit.lanes.observer import Observer
from kit.lanes.retry import Fate, RetryPolicy, Verdict
from kit.lanes.run import Run
from kit.lanes.throttle import Throttle

__all__ = ["Burial", "Outcome", "Worker"]

T = TypeVar("T")
Raw = TypeVar("Raw")
UNDECODABLE = Verdict(Fate.BURY, reason="undecodable")


@dataclass(frozen=True, slots=True)
class Burial(Generic[Raw]):
    """What is to be buried, and why."""

    source: Hashable
    offset: int
    raw: Raw
    error: Exception
    reason: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """`settled` records are done; what is left of the run may go on after `delay` seconds."""

    settled: int = 0
    delay: float = 0.0
    held: bool = False
    """A dependency is down: the delay is everybody's."""
    frozen: bool = False
    """Too much of the source would be buried: it stands still."""


ONE = Outcome(settled=1)  # by far the most frequent one


class Worker(Generic[Raw, T]):
    """Knows nothing of lanes and marks: a run in, an outcome out. Only a cancellation comes out of `work`."""

    def __init__(
        self,
        handle: Callable[[Run[T]], Awaitable[int | None]],
        bury: Callable[[Burial[Raw]], Awaitable[None]],
        policy: RetryPolicy,
        limits: Limits,
        throttle: Throttle,
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        self._handle = handle
        self._bury = bury
        self._policy = policy
        self._limits = limits
        self._throttle = throttle
        self._observe = observer
        self._clock = clock
        self._budgets: dict[Hashable, BurialBudget] = {}

    async def work(self, run: Run[T]) -> Outcome:
        fault = run.slots[0].fault
        if fault is not None:
            return await self._put_away(run, fault, UNDECODABLE)
        began = self._clock()
        try:
            async with asyncio.timeout(self._limits.handler_s) as run.deadline:
                answer = await self._handle(run)
        except asyncio.CancelledError:
            if is_ours():
                raise
            return await self._judge(run, RuntimeError("the handler was cancelled from inside"))
        except Exception as error:  # noqa: BLE001  # whatever it is, the policy decides
            return await self._judge(run, error)
        self._throttle.ok(began)
        settled = len(run.slots) if answer is None else answer
        if not 1 <= settled <= len(run.slots):
            return await self._judge(run, ValueError(f"the handler settled {settled} of {len(run.slots)} records"))
        self._observe.settled(run.source, settled, self._clock() - began)
        self._budget(run).settled(settled)
        return ONE if settled == 1 else Outcome(settled)

    async def _judge(self, run: Run[T], error: Exception) -> Outcome:
        first = run.slots[0]
        verdict = self._policy.judge(error, first.attempt)
        if verdict.fate is Fate.BURY and len(run.slots) > 1:
            run.suspect()  # one of them is at fault: each runs alone now, and the innocent pass
            return Outcome()
        if verdict.fate in {Fate.RETRY, Fate.BURY}:
            first.attempt += 1
        if verdict.fate is Fate.BURY:
            return await self._put_away(run, error, verdict)
        held = verdict.fate is Fate.HOLD
        if held:
            self._throttle.trip(verdict.delay)
        self._observe.put_off(run.source, verdict.fate.value, error, verdict.delay)
        return Outcome(delay=verdict.delay, held=held)

    async def _put_away(self, run: Run[T], error: Exception, verdict: Verdict) -> Outcome:
        """Bury the first record; until that is acknowledged it stays the first of its lane."""
        if self._budget(run).spent:
            self._observe.frozen(run.source)
            return Outcome(frozen=True)
        slot: Any = run.slots[0]
        burial: Burial[Raw] = Burial(run.source, slot.offset, slot.raw, error, verdict.reason, max(1, slot.attempt))
        try:
            async with asyncio.timeout(self._limits.bury_s):
                await self._bury(burial)
        except (Exception, asyncio.CancelledError) as refused:  # whatever keeps it, it stays
            if isinstance(refused, asyncio.CancelledError) and is_ours():
                raise
            self._observe.put_off(run.source, "unburied", refused, self._policy.longest)
            return Outcome(delay=self._policy.longest)
        self._observe.buried(run.source, verdict.reason)
        self._budget(run).buried()
        return Outcome(settled=1)

    def _budget(self, run: Run[T]) -> BurialBudget:
        return self._budgets.setdefault(run.source, BurialBudget())
