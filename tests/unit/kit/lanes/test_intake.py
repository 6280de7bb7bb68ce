"""Which sources are polled, for how much, and what happens when offsets go back."""

import asyncio
from typing import Any

from tests.unit.kit.lanes.rig import Rig
from tests.virtual_loop import run_virtual


async def good(_run: Any) -> None: ...


async def slow(_run: Any) -> None:
    await asyncio.sleep(1)


def test_room_is_exactly_what_is_left() -> None:
    async def scenario() -> None:
        rig = Rig(slow, buffered=5)
        rig.feed("k", "a", "b")
        assert rig.executor.room == 3
        await asyncio.sleep(1.5)
        assert rig.executor.room == 4

    run_virtual(scenario())


def test_waiting_for_room_ends_when_something_is_settled() -> None:
    async def scenario() -> None:
        rig = Rig(slow, buffered=1)
        rig.feed("k", "a")
        await rig.executor.wait_room(50)
        assert rig.loop.time() == 1

    run_virtual(scenario())


def test_waiting_for_room_ends_by_its_time() -> None:
    async def scenario() -> None:
        rig = Rig(slow)
        await rig.executor.wait_room(0.1)
        assert rig.loop.time() == 0.1

    run_virtual(scenario())


def test_a_choked_lane_stops_its_source_until_it_is_worked_off() -> None:
    async def scenario() -> None:
        rig = Rig(slow, lane=3)
        rig.executor.open("t")
        rig.feed("k", "a", "b", "c", "d")
        assert rig.executor.wanted() == ["t"]
        await asyncio.sleep(1.5)
        assert rig.executor.wanted() == ["t"]
        await asyncio.sleep(1)
        assert rig.executor.wanted() == ["s", "t"]
        await rig.rest()
        assert rig.executor.ledgers["s"].choked == 0

    run_virtual(scenario())


def test_a_stuck_record_fills_the_window_of_its_own_source_only() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            if run.records[0] == "stuck":
                await asyncio.sleep(30)

        rig = Rig(handle, window=10)
        rig.executor.open("t")
        rig.feed("stuck", "stuck")
        for index in range(9):
            rig.feed(f"k{index}", "a")
        await asyncio.sleep(1)
        assert rig.executor.wanted() == ["t"]
        assert rig.executor.buffered == 1
        await rig.rest()
        assert rig.executor.wanted() == ["s", "t"]

    run_virtual(scenario())


def test_what_is_settled_keeps_no_payload_in_the_window() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            if run.records[0] == "stuck":
                await asyncio.sleep(30)

        rig = Rig(handle)
        rig.feed("stuck", "stuck")
        rig.feed("k", "payload")
        await asyncio.sleep(1)
        assert [(slot.raw, slot.record) for slot in rig.executor.ledgers["s"].window][1:] == [(None, None)]

    run_virtual(scenario())


def test_a_record_of_a_source_that_is_not_open_is_refused() -> None:
    async def scenario() -> None:
        rig = Rig(good)
        assert not rig.executor.admit("elsewhere", 0, "k", "a")
        assert rig.executor.buffered == 0

    run_virtual(scenario())


def test_gaps_between_offsets_need_no_care() -> None:
    async def scenario() -> None:
        rig = Rig(good)
        for offset in (3, 4, 90, 1000):
            rig.rewind("s", offset)
            rig.feed("k", "a")
        await rig.rest()
        assert rig.mark() == 1001

    run_virtual(scenario())


def test_offsets_that_went_back_open_the_source_anew() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            await asyncio.sleep(1)
            rig.note(run.records[0])

        rig = Rig(handle)
        rig.rewind("s", 100)
        rig.feed("k", "old")
        await asyncio.sleep(0.5)
        rig.rewind("s", 7)
        rig.feed("k", "new")
        await rig.rest()
        assert (rig.log, rig.mark(), rig.executor.in_flight) == (["1.5 new"], 8, 0)

    run_virtual(scenario())


def test_a_mark_of_a_log_that_is_gone_does_not_hide_the_new_ones() -> None:
    async def scenario() -> None:
        rig = Rig(good)
        rig.feed("k", "a", "b", "c")
        await rig.rest()
        late = rig.executor.dirty()
        rig.rewind("s", 0)
        rig.feed("k", "a")
        await rig.rest()
        rig.executor.accepted(late)  # the answer to a commit from before
        rig.feed("k", "b", "c")
        await rig.rest()
        assert rig.mark() == 3

    run_virtual(scenario())
