"""What holds everybody, what is buried, and what stops a source."""

import asyncio
from collections.abc import Hashable, Sequence
from typing import Any

import pytest

from kit.lanes import Observer
from tests.unit.kit.lanes.rig import Down, Poison, Rig
from tests.virtual_loop import run_virtual


async def good(_run: Any) -> None: ...


# ── a dependency that is down ────────────────────────────────────────────────────────────────────────────────────────


def test_a_dependency_that_is_down_closes_everything_and_is_probed_one_by_one() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note(run.key)
            if rig.loop.time() < 5:
                raise Down(2)
            await asyncio.sleep(1)

        rig = Rig(handle, concurrency=2)
        for key in "abcd":
            rig.feed(key, key)
        await rig.rest()
        assert rig.log[:4] == ["0 a", "0 b", "2 c", "4 d"]
        assert [line.split()[0] for line in rig.log[4:]] == ["6", "7", "7", "8"]

    run_virtual(scenario())


def test_a_hold_spends_no_attempt_of_anybody() -> None:
    async def scenario() -> None:
        faults = ["once", "once"]

        async def handle(_run: Any) -> None:
            if rig.loop.time() < 10_000:
                raise Down(2)
            if faults:
                raise RuntimeError(faults.pop())

        rig = Rig(handle, attempts=3)
        rig.feed("a", "a")
        rig.feed("b", "b")
        await rig.rest(20_000)
        assert (rig.buried, rig.executor.buffered) == ([], 0)

    run_virtual(scenario())


def test_a_success_that_began_before_the_trip_reopens_nothing() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note(run.key)
            if run.key == "early":
                await asyncio.sleep(3)
            elif run.key == "fails" and rig.loop.time() < 50:
                raise Down(10)

        rig = Rig(handle, concurrency=2)
        rig.feed("early", "a")
        rig.feed("fails", "b")
        rig.feed("third", "c")
        await rig.rest()
        assert rig.log[2] == "10 third"

    run_virtual(scenario())


def test_a_probe_that_fails_otherwise_is_followed_by_another() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note(run.key)
            if run.key == "down" and rig.loop.time() < 5:
                raise Down(5)
            if run.key == "bad":
                raise Poison

        rig = Rig(handle, concurrency=1)
        rig.feed("down", "a")
        rig.feed("bad", "b")
        rig.feed("c", "c")
        await rig.rest()
        assert rig.log == ["0 down", "5 bad", "5 buried b", "5 c", "5 down"]

    run_virtual(scenario())


def test_a_shorter_hold_that_comes_later_does_not_shorten_the_first() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note(run.key)
            if run.key == "long" and rig.loop.time() < 1:
                raise Down(60)
            if run.key == "short" and rig.loop.time() < 1:
                await asyncio.sleep(1)
                raise Down(2)

        rig = Rig(handle, concurrency=2)
        rig.feed("long", "a")
        rig.feed("short", "b")
        rig.feed("c", "c")
        await rig.rest()
        assert rig.log[2] == "60 c"

    run_virtual(scenario())


def test_a_lingering_run_gets_no_permit_while_the_dependency_is_down() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            if run.key == "lingers":
                await run.linger(1)
                rig.note("back")
            elif rig.loop.time() < 5:
                raise Down(10)

        rig = Rig(handle)
        rig.feed("lingers", "a")
        rig.feed("fails", "b")
        await rig.rest()
        assert rig.log == ["10 back"]

    run_virtual(scenario())


def test_a_probe_is_made_though_the_source_that_found_the_outage_is_gone() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note(run.key)
            if rig.loop.time() < 1:
                raise Down(10)

        rig = Rig(handle, concurrency=1)
        rig.executor.open("t")
        rig.feed("a", "a")
        rig.feed("b", "b", source="t")
        await asyncio.sleep(1)
        await rig.executor.close(["s"], 1)
        await rig.rest(100)
        assert rig.log == ["0 a", "10 b"]

    run_virtual(scenario())


# ── burials ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_does_not_decode_is_buried_in_its_place() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            await asyncio.sleep(1)
            rig.note(run.records[0])

        rig = Rig(handle)
        rig.feed("k", "a", "?", "b")
        await rig.rest()
        assert rig.log == ["1 a", "1 buried ?", "2 b"]
        assert rig.reasons == ["undecodable"]

    run_virtual(scenario())


def test_an_error_of_unknown_cause_is_buried_after_its_last_attempt() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note(run.records[0])
            if run.records[0] == "a":
                raise RuntimeError("always")

        rig = Rig(handle, attempts=3)
        rig.feed("k", "a", "b")
        await rig.rest()
        assert rig.log == ["0 a", "0.5 a", "1.5 a", "1.5 buried a", "1.5 b"]

    run_virtual(scenario())


def test_a_burial_that_is_not_acknowledged_keeps_the_record_first() -> None:
    async def scenario() -> None:
        async def bury(_burial: Any) -> None:
            if rig.loop.time() < 30:
                raise OSError("outlet is away")

        async def handle(run: Any) -> None:
            rig.note(run.records[0])
            if run.records[0] == "bad":
                raise Poison

        rig = Rig(handle, bury=bury)
        rig.feed("k", "bad", "next")
        rig.feed("other", "x")
        await rig.rest()
        assert rig.log == ["0 bad", "0 x", "20 bad", "40 bad", "40 buried bad", "40 next"]

    run_virtual(scenario())


def test_a_burial_that_hangs_is_given_up_and_tried_again() -> None:
    async def scenario() -> None:
        async def bury(_burial: Any) -> None:
            rig.note("bury")
            if rig.loop.time() < 10:
                await asyncio.sleep(1_000_000)

        rig = Rig(good, bury=bury, bury_s=6)
        rig.feed("k", "?")
        await rig.rest()
        assert rig.log == ["0 bury", "26 bury", "26 buried ?"]

    run_virtual(scenario())


def test_a_burial_cancelled_from_inside_is_tried_again_later() -> None:
    async def scenario() -> None:
        async def bury(_burial: Any) -> None:
            rig.note("bury")
            if rig.loop.time() < 10:
                raise asyncio.CancelledError

        rig = Rig(good, bury=bury)
        rig.feed("k", "?")
        await rig.rest()
        assert rig.log == ["0 bury", "20 bury", "20 buried ?"]

    run_virtual(scenario())


def test_a_burial_says_which_record_why_and_after_how_many_attempts() -> None:
    async def scenario() -> None:
        seen: list[Any] = []

        async def bury(burial: Any) -> None:
            seen.append((burial.source, burial.offset, burial.raw, burial.reason, burial.attempts, str(burial.error)))

        async def handle(run: Any) -> None:
            if run.records[0] == "b":
                raise RuntimeError("broken")

        rig = Rig(handle, bury=bury, attempts=2)
        rig.feed("k", "a", "b", "?c")
        await rig.rest()
        assert seen == [("s", 1, "b", "exhausted", 2, "broken"), ("s", 2, "?c", "undecodable", 1, "?c")]

    run_virtual(scenario())


# ── a source that is nearly all poison ───────────────────────────────────────────────────────────────────────────────


def test_a_source_of_which_most_would_be_buried_stands_still_and_the_others_go_on() -> None:
    async def scenario() -> None:
        rig = Rig(good, lane=1000)
        rig.executor.open("t")
        rig.feed("k", *("?" for _ in range(150)))
        await asyncio.sleep(1)
        assert len(rig.buried) == 99
        assert rig.executor.wanted() == ["t"]
        assert rig.mark() == 99
        rig.feed("k", "a", source="t")
        await asyncio.sleep(1)
        assert rig.mark("t") == 1

    run_virtual(scenario())


def test_a_frozen_source_does_not_use_up_the_room_of_the_others() -> None:
    async def scenario() -> None:
        rig = Rig(good, lane=1000, buffered=150)
        rig.executor.open("t")
        rig.feed("k", *("?" for _ in range(150)))
        await asyncio.sleep(1)
        assert len(rig.buried) == 99
        assert rig.executor.room == 150

    run_virtual(scenario())


def test_half_of_a_source_may_be_buried() -> None:
    async def scenario() -> None:
        rig = Rig(good, lane=1000)
        for _ in range(300):
            rig.feed("k", "good", "?")
        await rig.rest()
        assert (len(rig.buried), rig.mark()) == (300, 600)

    run_virtual(scenario())


def test_a_frozen_source_that_is_opened_anew_asks_for_records_again() -> None:
    async def scenario() -> None:
        rig = Rig(good, lane=1000)
        rig.feed("k", *("?" for _ in range(120)))
        await asyncio.sleep(1)
        rig.executor.open("s")
        assert rig.executor.wanted() == ["s"]
        assert rig.executor.buffered == 0

    run_virtual(scenario())


def test_what_was_fetched_before_a_source_froze_is_given_back() -> None:
    async def scenario() -> None:
        rig = Rig(good, lane=1000)
        rig.feed("k", *("?" for _ in range(120)))
        await asyncio.sleep(1)
        assert not rig.executor.admit("s", 120, "k", "a")
        await rig.executor.close(["s"], 1)
        assert rig.executor.buffered == 0

    run_virtual(scenario())


# ── faults of our own ────────────────────────────────────────────────────────────────────────────────────────────────


class Faulty(Observer):
    def started(self, source: Hashable, waited: float) -> None:
        raise ZeroDivisionError


def test_a_fault_of_the_observer_is_told_and_the_lane_is_tried_again() -> None:
    async def scenario() -> None:
        rig = Rig(good, observer=Faulty())
        rig.feed("k", "a")
        await asyncio.sleep(7)
        assert [type(one) for one in rig.crashes] == [ZeroDivisionError] * 2
        assert (rig.executor.buffered, rig.executor.in_flight) == (1, 0)

    run_virtual(scenario())


def test_a_fault_of_the_cut_is_told_and_costs_no_lane() -> None:
    async def scenario() -> None:
        def broken(_records: Sequence[Any]) -> int:
            raise ZeroDivisionError

        rig = Rig(good, cut=broken)
        rig.feed("k", "a", "b")
        await rig.rest()
        assert [type(one) for one in rig.crashes] == [ZeroDivisionError]
        assert rig.mark() == 2

    run_virtual(scenario())


@pytest.mark.parametrize("answer", [0, -1, 2])
def test_a_handler_that_settles_what_it_does_not_have_is_at_fault(answer: int) -> None:
    async def scenario() -> None:
        answers = [answer, 1]

        async def handle(_run: Any) -> int:
            rig.note("try")
            return answers.pop(0)

        rig = Rig(handle)
        rig.feed("k", "a")
        await rig.rest()
        assert rig.log == ["0 try", "0.5 try"]

    run_virtual(scenario())
