"""Giving a source up: what runs gets its grace, what is late is cancelled, and nobody of them counts any more."""

import asyncio
from typing import Any

import pytest

from tests.unit.kit.lanes.rig import Rig
from tests.virtual_loop import run_virtual


async def slow(run: Any) -> None:
    await asyncio.sleep(float(run.records[0]))


def test_closing_waits_for_what_runs_and_starts_nothing_more() -> None:
    async def scenario() -> None:
        rig = Rig(slow)
        rig.feed("k", "3", "1")
        rig.feed("j", "2")
        marks = await rig.executor.close(["s"], 10)
        assert rig.loop.time() == 3
        assert marks["s"].offset == 1

    run_virtual(scenario())


def test_a_key_that_waits_for_a_permit_does_not_start_while_closing() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note(run.key)
            await asyncio.sleep(1)

        rig = Rig(handle, concurrency=1)
        rig.feed("k", "a")
        rig.feed("j", "b")
        marks = await rig.executor.close(["s"], 10)
        assert (rig.log, marks["s"].offset) == (["0 k"], 1)

    run_virtual(scenario())


def test_closing_cancels_what_is_late() -> None:
    async def scenario() -> None:
        rig = Rig(slow)
        rig.feed("k", "1")
        rig.feed("j", "300")
        marks = await rig.executor.close(["s"], 10)
        assert rig.loop.time() == 10
        assert marks["s"].offset == 1
        assert (rig.executor.in_flight, rig.executor.buffered, rig.executor.sources) == (0, 0, [])

    run_virtual(scenario())


def test_one_that_eats_its_cancellation_is_fenced() -> None:
    async def scenario() -> None:
        async def handle(_run: Any) -> None:
            while rig.loop.time() < 60:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    rig.note("eaten")

        rig = Rig(handle)
        rig.feed("k", "a")
        marks = await rig.executor.close(["s"], 10)
        assert (rig.loop.time(), marks["s"].offset, rig.executor.buffered) == (11, 0, 0)
        rig.executor.open("s")
        rig.rewind()
        await asyncio.sleep(100)
        assert rig.executor.dirty() == {}
        assert (rig.executor.buffered, rig.executor.in_flight) == (0, 0)

    run_virtual(scenario())


def test_while_closing_no_record_slips_in() -> None:
    async def scenario() -> None:
        rig = Rig(slow)
        rig.feed("k", "3")
        closing = asyncio.create_task(rig.executor.close(["s"], 10))
        await asyncio.sleep(1)
        assert not rig.executor.admit("s", 1, "k", "1")
        assert rig.executor.wanted() == []
        await closing

    run_virtual(scenario())


def test_closing_one_source_leaves_the_others_alone() -> None:
    async def scenario() -> None:
        rig = Rig(slow)
        rig.executor.open("t")
        rig.feed("k", "1")
        rig.feed("k", "5", source="t")
        await rig.executor.close(["s"], 10)
        assert rig.executor.sources == ["t"]
        await rig.rest()
        assert (rig.loop.time(), rig.mark("t")) == (5, 1)

    run_virtual(scenario())


def test_a_lane_that_waits_for_its_retry_is_not_waited_for() -> None:
    async def scenario() -> None:
        async def handle(_run: Any) -> None:
            rig.note("try")
            raise RuntimeError("always")

        rig = Rig(handle)
        rig.feed("k", "a")
        await asyncio.sleep(0.1)
        await rig.executor.close(["s"], 10)
        assert rig.loop.time() == 0.1
        await asyncio.sleep(60)
        assert rig.log == ["0 try"]

    run_virtual(scenario())


def test_a_failure_while_closing_starts_no_timer() -> None:
    async def scenario() -> None:
        async def handle(_run: Any) -> None:
            rig.note("try")
            await asyncio.sleep(1)
            raise RuntimeError("always")

        rig = Rig(handle)
        rig.feed("k", "a")
        await rig.executor.close(["s"], 10)
        await asyncio.sleep(60)
        assert rig.log == ["0 try"]

    run_virtual(scenario())


def test_a_close_cancelled_half_way_leaves_nothing_open() -> None:
    async def scenario() -> None:
        rig = Rig(slow)
        rig.feed("k", "300")
        closing = asyncio.create_task(rig.executor.close(["s"], 10))
        await asyncio.sleep(1)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await asyncio.sleep(0.1)
        assert (rig.executor.sources, rig.executor.buffered, rig.executor.in_flight) == ([], 0, 0)

    run_virtual(scenario())


def test_opening_a_source_twice_abandons_what_was_left() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            await asyncio.sleep(1)
            rig.note(run.records[0])

        rig = Rig(handle)
        rig.feed("k", "left")
        await asyncio.sleep(0.5)
        rig.executor.open("s")
        rig.rewind()
        rig.feed("k", "new")
        await rig.rest()
        assert (rig.log, rig.executor.in_flight) == (["1.5 new"], 0)

    run_virtual(scenario())


def test_a_task_that_never_took_its_first_step_gives_its_permit_back() -> None:
    async def scenario() -> None:
        rig = Rig(slow, concurrency=1)
        rig.feed("k", "1")
        rig.executor.forget()
        await asyncio.sleep(0.1)
        assert (rig.executor.in_flight, rig.executor.buffered) == (0, 0)

    run_virtual(scenario())


def test_a_lingering_run_that_is_cancelled_gives_no_permit_back_twice() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            await run.linger(100)

        rig = Rig(handle, concurrency=1)
        rig.feed("k", "a")
        await asyncio.sleep(1)
        await rig.executor.close(["s"], 10)
        assert rig.executor.in_flight == 0

    run_virtual(scenario())


def test_a_run_cancelled_in_the_queue_for_its_permit_leaves_the_queue() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            if run.source == "s":
                await run.linger(1)
            else:
                await asyncio.sleep(30)

        rig = Rig(handle, concurrency=1)
        rig.executor.open("t")
        rig.feed("k", "a")
        rig.feed("j", "b", source="t")
        rig.feed("j", "c", source="t")
        await asyncio.sleep(2)
        await rig.executor.close(["s"], 0)
        await rig.rest()
        assert (rig.loop.time(), rig.executor.in_flight, rig.mark("t")) == (60, 0, 2)

    run_virtual(scenario())


def test_closing_what_is_not_open_does_nothing() -> None:
    async def scenario() -> None:
        assert await Rig(slow).executor.close(["elsewhere"], 10) == {}

    run_virtual(scenario())
