"""The small parts by themselves: policy, throttle, ledger, budget, permits, limits."""

import asyncio
from dataclasses import replace

import pytest

from kit.lanes import BurialBudget, Fate, Ledger, RetryPolicy, Slot, Throttle, Verdict
from kit.lanes.permits import Permits
from tests.unit.kit.lanes.rig import Down, NotYet, Poison
from tests.virtual_loop import Deadlock, run_virtual

POLICY = RetryPolicy(poison=(Poison,), down=(Down,), wait=(NotYet,), jitter=lambda: 1.0)


# ── policy ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Hurried(RuntimeError):
    def __init__(self, after: float) -> None:
        self.after = after


class Nameless(Poison):
    reason = "Nameless"


@pytest.mark.parametrize(
    ("error", "attempt", "verdict"),
    [
        (RuntimeError(), 0, Verdict(Fate.RETRY, 0.5)),
        (RuntimeError(), 1, Verdict(Fate.RETRY, 1)),
        (RuntimeError(), 4, Verdict(Fate.RETRY, 8)),
        (RuntimeError(), 5, Verdict(Fate.BURY, reason="exhausted")),
        (RuntimeError(), 99, Verdict(Fate.BURY, reason="exhausted")),
        (Hurried(7), 0, Verdict(Fate.RETRY, 7)),
        (Poison(), 0, Verdict(Fate.BURY, reason="bad")),
        (Nameless(), 5, Verdict(Fate.BURY, reason="Nameless")),
        (Down(), 0, Verdict(Fate.HOLD, 2)),
        (Down(60), 99, Verdict(Fate.HOLD, 60)),
        (NotYet(), 99, Verdict(Fate.WAIT, 3)),
    ],
)
def test_an_error_and_its_attempts_decide(error: Exception, attempt: int, verdict: Verdict) -> None:
    assert POLICY.judge(error, attempt) == verdict


@pytest.mark.parametrize("error", [Down(0), Down(-1)])
def test_a_wait_that_spends_nothing_is_never_a_loop(error: Exception) -> None:
    assert POLICY.judge(error, 0).delay > 0


def test_no_delay_is_longer_than_the_longest_whatever_the_attempt() -> None:
    patient = replace(POLICY, attempts=1_000_000)
    assert {patient.judge(RuntimeError(), attempt).delay for attempt in (6, 64, 1023, 1024, 5000)} == {20}


def test_jitter_spreads_a_herd_over_half_of_the_delay() -> None:
    assert [
        replace(POLICY, jitter=lambda: 0.0).judge(RuntimeError(), 2).delay,
        POLICY.judge(RuntimeError(), 2).delay,
    ] == [
        1,
        2,
    ]


# ── throttle and permits ─────────────────────────────────────────────────────────────────────────────────────────────


class Seconds:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Holder:
    holding = False
    probing = False


@pytest.mark.parametrize(("started", "tripped"), [(99, True), (100, True), (100.1, False)])
def test_only_a_success_that_began_after_the_trip_reopens(started: float, tripped: bool) -> None:
    throttle = Throttle(Seconds())
    throttle.trip(5)
    throttle.ok(started)
    assert throttle.tripped is tripped


def test_a_throttle_opens_by_half_when_its_time_is_over() -> None:
    clock = Seconds()
    throttle = Throttle(clock)
    throttle.trip(5)
    throttle.trip(2)
    clock.now = 104.9
    assert not throttle.half_open
    clock.now = 105
    assert throttle.half_open


def test_the_delay_of_an_outage_that_is_over_counts_no_more() -> None:
    clock = Seconds()
    throttle = Throttle(clock)
    throttle.trip(60)
    throttle.ok(101)
    throttle.trip(1)
    clock.now = 101
    assert throttle.half_open


def test_a_permit_is_given_back_once() -> None:
    permits, holder = Permits(2, Throttle(Seconds())), Holder()
    permits.take(holder)
    permits.give(holder)
    permits.give(holder)
    assert permits.in_flight == 0


def test_permits_end_at_the_limit() -> None:
    permits = Permits(2, Throttle(Seconds()))
    free = []
    for _ in range(2):
        free.append(permits.free())
        permits.take(Holder())
    assert [*free, permits.free()] == [True, True, False]


def test_one_probe_at_a_time_is_let_through_whatever_is_still_at_work() -> None:
    clock, old, probe = Seconds(), Holder(), Holder()
    throttle = Throttle(clock)
    permits = Permits(5, throttle)
    permits.take(old)
    throttle.trip(5)
    free = [permits.free()]
    clock.now = 105
    free.append(permits.free())
    permits.take(probe)
    free.append(permits.free())
    permits.give(old)
    free.append(permits.free())
    permits.give(probe)
    free.append(permits.free())
    assert free == [False, True, False, False, True]


def test_those_who_return_are_served_in_their_order_and_the_cancelled_not() -> None:
    async def scenario() -> None:
        permits = Permits(1, Throttle(Seconds()))
        holders = [Holder() for _ in range(4)]
        permits.take(holders[0])
        turns = [permits.queue(holder) for holder in holders[1:]]
        turns[0].cancel()
        permits.serve()
        assert [turn.done() for turn in turns] == [True, False, False]
        permits.give(holders[0])
        permits.serve()
        assert [holder.holding for holder in holders] == [False, False, True, False]
        assert permits.in_flight == 1

    run_virtual(scenario())


# ── ledger ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("settled", "mark"),
    [([], 3), ([3], 7), ([7], 3), ([3, 7], 8), ([7, 3], 8), ([8, 3, 7], 20), ([8, 20], 3), ([20, 8, 7, 3], 21)],
)
def test_a_mark_passes_nothing_that_is_not_settled(settled: list[int], mark: int) -> None:
    ledger = Ledger("s")
    slots = {offset: Slot(offset, "raw", 0.0) for offset in (3, 7, 8, 20)}
    for slot in slots.values():
        ledger.admit(slot)
    for offset in settled:
        ledger.settle(slots[offset])
    found = ledger.mark()
    assert found is not None
    assert (found.offset, ledger.unfinished) == (mark, 4 - len(settled))


def test_a_ledger_without_records_has_no_mark() -> None:
    assert Ledger("s").mark() is None


# ── budget ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("handled", "buried", "spent"),
    [(0, 98, False), (0, 99, True), (98, 99, True), (100, 99, False), (500, 499, False), (499, 500, True)],
)
def test_a_budget_is_spent_by_at_least_a_hundred_that_are_more_than_half(
    handled: int, buried: int, spent: bool
) -> None:
    budget = BurialBudget()
    budget.settled(handled)
    for _ in range(buried):
        budget.buried()
    assert budget.spent is spent


def test_a_budget_forgets_what_is_long_ago() -> None:
    budget = BurialBudget(memory=1000)
    for _ in range(400):
        budget.buried()
    budget.settled(1000)
    for _ in range(499):
        budget.buried()
    assert not budget.spent
    budget.buried()
    budget.buried()
    assert budget.spent


# ── the virtual loop ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_hours_pass_at_once_and_exactly() -> None:
    async def scenario() -> float:
        for _ in range(10):
            await asyncio.sleep(3600.1)
        return asyncio.get_running_loop().time()

    assert run_virtual(scenario) == run_virtual(scenario()) == sum([3600.1] * 10)


def test_what_would_hang_is_a_deadlock() -> None:
    async def scenario() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="nothing is scheduled"):
        run_virtual(scenario())


def test_what_spins_is_a_deadlock() -> None:
    async def scenario() -> None:
        def again() -> None:
            loop.call_soon(again)

        loop = asyncio.get_running_loop()
        again()
        await asyncio.sleep(1)

    with pytest.raises(Deadlock, match="always ready"):
        run_virtual(scenario())


def test_what_a_callback_raises_is_not_lost() -> None:
    async def scenario() -> None:
        asyncio.get_running_loop().call_later(1, lambda: 1 // 0)
        await asyncio.sleep(2)

    with pytest.raises(RuntimeError, match="nobody caught"):
        run_virtual(scenario())
