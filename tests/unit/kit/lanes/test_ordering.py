"""Order per key, fairness between keys, retries that hold nobody, and marks that pass nothing unfinished."""

import asyncio
from typing import Any

from tests.unit.kit.lanes.rig import NotYet, Rig, all_of
from tests.virtual_loop import run_virtual


def test_records_of_one_key_run_in_order_and_never_together() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note(f"start {run.records[0]}")
            await asyncio.sleep(1)
            rig.note(f"end {run.records[0]}")

        rig = Rig(handle)
        rig.feed("k", "a", "b", "c")
        await rig.rest()
        assert rig.log == ["0 start a", "1 end a", "1 start b", "2 end b", "2 start c", "3 end c"]

    run_virtual(scenario())


def test_different_keys_run_at_once() -> None:
    async def scenario() -> None:
        async def handle(_run: Any) -> None:
            await asyncio.sleep(1)

        rig = Rig(handle)
        for key in range(100):
            rig.feed(f"k{key}", "a")
        assert rig.executor.in_flight == 100
        await rig.rest()
        assert rig.loop.time() == 1

    run_virtual(scenario())


def test_the_same_key_in_two_sources_is_two_lanes() -> None:
    async def scenario() -> None:
        async def handle(_run: Any) -> None:
            await asyncio.sleep(1)

        rig = Rig(handle)
        rig.executor.open("t")
        rig.feed("k", "a")
        rig.feed("k", "b", source="t")
        await rig.rest()
        assert rig.loop.time() == 1

    run_virtual(scenario())


def test_records_without_a_key_claim_no_order() -> None:
    async def scenario() -> None:
        async def handle(_run: Any) -> None:
            await asyncio.sleep(1)

        rig = Rig(handle)
        rig.feed(None, "a", "b", "c")
        await rig.rest()
        assert rig.loop.time() == 1

    run_virtual(scenario())


def test_a_flood_of_one_key_lets_the_others_wait_for_one_run_at_most() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note(run.key)
            await asyncio.sleep(1)

        rig = Rig(handle, concurrency=1)
        rig.feed("flood", *"abcdefgh")
        rig.feed("x", "x")
        rig.feed("y", "y")
        await rig.rest()
        assert rig.done[:5] == ["flood", "x", "y", "flood", "flood"]

    run_virtual(scenario())


def test_a_flood_is_taken_in_runs() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note("".join(run.records))
            await asyncio.sleep(1)

        rig = Rig(handle, cut=lambda records: min(3, len(records)))
        rig.feed("k", "a")
        rig.feed("k", *"bcdefgh")
        await rig.rest()
        assert rig.log == ["0 a", "1 bcd", "2 efg", "3 h"]

    run_virtual(scenario())


def test_concurrency_is_never_exceeded_and_always_used() -> None:
    async def scenario() -> None:
        working: list[int] = []

        async def handle(_run: Any) -> None:
            working.append(rig.executor.in_flight)
            await asyncio.sleep(1)

        rig = Rig(handle, concurrency=4)
        for key in range(20):
            rig.feed(f"k{key}", "a")
        await rig.rest()
        assert max(working) == 4
        assert rig.loop.time() == 5

    run_virtual(scenario())


def test_a_retry_waits_without_a_permit_and_holds_its_own_key_only() -> None:
    async def scenario() -> None:
        failures = ["once"]

        async def handle(run: Any) -> None:
            rig.note(run.records[0])
            if run.records[0] == "a1" and failures:
                raise RuntimeError(failures.pop())

        rig = Rig(handle, concurrency=1)
        rig.feed("a", "a1", "a2")
        rig.feed("b", "b1", "b2")
        await rig.rest()
        assert rig.log == ["0 a1", "0 b1", "0 b2", "0.5 a1", "0.5 a2"]

    run_virtual(scenario())


def test_what_waits_for_its_time_spends_no_attempt_and_holds_nobody() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note(run.records[0])
            if run.records[0] == "early" and rig.loop.time() < 30:
                raise NotYet
            if run.records[0] == "early" and faults:
                raise RuntimeError(faults.pop())

        faults = ["once"]
        rig = Rig(handle, concurrency=1, attempts=2)
        rig.feed("a", "early", "behind")
        rig.feed("b", "b1")
        await rig.rest()
        assert rig.log[:3] == ["0 early", "0 b1", "3 early"]
        assert rig.log[-3:] == ["30 early", "30.5 early", "30.5 behind"]
        assert rig.buried == []

    run_virtual(scenario())


def test_a_handler_over_its_deadline_is_retried() -> None:
    async def scenario() -> None:
        delays = [100, 1]

        async def handle(_run: Any) -> None:
            rig.note("try")
            await asyncio.sleep(delays.pop(0))

        rig = Rig(handle, handler_s=10)
        rig.feed("k", "a")
        await rig.rest()
        assert rig.log == ["0 try", "10.5 try"]

    run_virtual(scenario())


def test_a_cancellation_from_inside_a_handler_is_a_retry_and_no_hang() -> None:
    async def scenario() -> None:
        leaks = [1]

        async def handle(run: Any) -> None:
            rig.note(run.records[0])
            if leaks:
                leaks.clear()
                raise asyncio.CancelledError

        rig = Rig(handle)
        rig.feed("k", "a", "b")
        await rig.rest(100)
        assert rig.log == ["0 a", "0.5 a", "0.5 b"]

    run_virtual(scenario())


def test_the_mark_stands_at_the_first_unfinished_record() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            await asyncio.sleep(float(run.records[0]))

        rig = Rig(handle)
        for seconds in ("3", "1", "2"):
            rig.feed(f"k{seconds}", seconds)
        await asyncio.sleep(2.5)
        assert rig.mark() == 0
        await rig.rest()
        assert rig.mark() == 3

    run_virtual(scenario())


def test_a_mark_the_broker_took_is_dirty_no_more() -> None:
    async def scenario() -> None:
        async def handle(_run: Any) -> None: ...

        rig = Rig(handle)
        rig.feed("k", "a", "b")
        await rig.rest()
        rig.executor.accepted(rig.executor.dirty())
        assert rig.executor.dirty() == {}

    run_virtual(scenario())


def test_an_older_answer_of_the_broker_moves_no_mark_back() -> None:
    async def scenario() -> None:
        async def handle(_run: Any) -> None: ...

        rig = Rig(handle)
        rig.feed("k", "a")
        await rig.rest()
        old = rig.executor.dirty()
        rig.feed("k", "b")
        await rig.rest()
        rig.executor.accepted(rig.executor.dirty())
        rig.executor.accepted(old)
        assert rig.executor.dirty() == {}

    run_virtual(scenario())


def test_a_source_without_records_has_nothing_to_commit() -> None:
    async def scenario() -> None:
        async def handle(_run: Any) -> None: ...

        assert Rig(handle).executor.dirty() == {}

    run_virtual(scenario())


def test_a_lane_that_ran_empty_is_forgotten() -> None:
    async def scenario() -> None:
        async def handle(_run: Any) -> None: ...

        rig = Rig(handle, cut=all_of)
        for key in range(50):
            rig.feed(f"k{key}", "a", "b")
        await rig.rest()
        ledger = rig.executor.ledgers["s"]
        assert (len(ledger.lanes), len(ledger.window), ledger.unfinished, rig.executor.in_flight) == (0, 0, 0, 0)

    run_virtual(scenario())
