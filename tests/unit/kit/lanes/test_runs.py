"""What a handler may do with its run: linger, look behind, take more, settle a part."""

import asyncio
from typing import Any

from tests.unit.kit.lanes.rig import Poison, Rig, all_of
from tests.virtual_loop import run_virtual


def test_lingering_gives_the_permit_back_and_another_key_runs_meanwhile() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note(f"start {run.records[0]}")
            if run.key == "slow":
                await run.linger(5)
                rig.note("back")

        rig = Rig(handle, concurrency=1)
        rig.feed("slow", "a")
        rig.feed("b", "b")
        await rig.rest()
        assert rig.log == ["0 start a", "0 start b", "5 back"]

    run_virtual(scenario())


def test_a_run_that_lingered_waits_for_a_permit_and_comes_before_new_runs() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            if run.key == "slow":
                await run.linger(5)
                rig.note(f"back {rig.executor.in_flight}")
            else:
                rig.note(run.key)
                await asyncio.sleep(8)

        rig = Rig(handle, concurrency=1)
        rig.feed("slow", "a")
        rig.feed("b", "b")
        rig.feed("c", "c")
        await rig.rest()
        assert rig.log == ["0 b", "8 back 1", "8 c"]

    run_virtual(scenario())


def test_the_deadline_stands_still_while_lingering_and_goes_on_afterwards() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note("try")
            if len(rig.log) == 1:
                await asyncio.sleep(4)
                await run.linger(100)
                await asyncio.sleep(7)

        rig = Rig(handle, handler_s=10)
        rig.feed("k", "a")
        await rig.rest()
        assert rig.log == ["0 try", "110.5 try"]

    run_virtual(scenario())


def test_the_deadline_runs_again_when_the_handler_itself_cut_its_lingering_short() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note("try")
            if len(rig.log) == 1:
                try:
                    async with asyncio.timeout(2):
                        await run.linger(100)
                except TimeoutError:
                    await asyncio.sleep(1_000_000)

        rig = Rig(handle, handler_s=10)
        rig.feed("k", "a")
        await rig.rest()
        assert rig.log == ["0 try", "12.5 try"]

    run_virtual(scenario())


def test_a_handler_past_its_deadline_may_not_linger_and_is_retried() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note("try")
            if len(rig.log) == 1:
                try:
                    await asyncio.sleep(100)
                except asyncio.CancelledError:
                    await run.linger(5)

        rig = Rig(handle, handler_s=10)
        rig.feed("k", "a")
        await rig.rest()
        assert rig.log == ["0 try", "10.5 try"]

    run_virtual(scenario())


def test_lingering_ends_when_something_arrives() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            arrived = await run.linger(60)
            rig.note(f"{arrived} {run.behind}")
            run.take()

        rig = Rig(handle, cut=all_of)
        rig.feed("k", "a")
        await asyncio.sleep(2)
        rig.feed("k", "b")
        await rig.rest()
        assert rig.log == ["2 True ('b',)"]

    run_virtual(scenario())


def test_lingering_ends_by_its_time() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note(f"{await run.linger(3)}")
            rig.note(f"{await run.arrival(4)}")

        rig = Rig(handle)
        rig.feed("k", "a")
        await rig.rest()
        assert rig.log == ["3 False", "7 False"]

    run_virtual(scenario())


def test_what_came_since_the_last_look_is_noticed_at_once_and_only_once() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            if run.records == ("a",):
                await asyncio.sleep(5)
                rig.note(f"{await run.arrival(4)}")
                rig.note(f"{await run.arrival(4)}")

        rig = Rig(handle)
        rig.feed("k", "a")
        await asyncio.sleep(1)
        rig.feed("k", "b")
        await rig.rest()
        assert rig.log == ["5 True", "9 False"]

    run_virtual(scenario())


def test_what_already_waited_when_the_run_began_is_no_arrival() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            if run.records == ("a",):
                rig.note(f"{run.behind} {await run.arrival(4)}")

        rig = Rig(handle)
        rig.feed("k", "a", "b")
        await rig.rest()
        assert rig.log == ["4 ('b',) False"]

    run_virtual(scenario())


def test_waiting_for_an_arrival_keeps_the_permit() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            if run.key == "a":
                await run.arrival(5)
            rig.note(run.key)

        rig = Rig(handle, concurrency=1)
        rig.feed("a", "a")
        rig.feed("b", "b")
        await rig.rest()
        assert rig.log == ["5 a", "5 b"]

    run_virtual(scenario())


def test_taking_respects_the_cut() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            first = run.records
            await asyncio.sleep(1)
            rig.note(f"{first} {run.take()} {run.records} {run.behind}")

        rig = Rig(handle, cut=lambda records: min(3, len(records)))
        rig.feed("k", "a")
        rig.feed("k", *"bcde")
        await rig.rest()
        assert rig.log == ["1 ('a',) 2 ('a', 'b', 'c') ('d', 'e')", "2 ('d', 'e') 0 ('d', 'e') ()"]

    run_virtual(scenario())


def test_what_was_taken_is_settled_with_the_run() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note("start")
            await run.linger(5)
            run.take()

        rig = Rig(handle, cut=all_of)
        rig.feed("k", "a")
        rig.feed("k", "b", "c")
        await rig.rest()
        assert (rig.log, rig.mark()) == (["0 start"], 3)

    run_virtual(scenario())


def test_settling_a_prefix_returns_the_rest_to_the_front_in_order() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> int:
            rig.note("".join(run.records))
            await asyncio.sleep(1)
            return min(2, len(run.records))

        rig = Rig(handle, cut=all_of)
        rig.feed("k", "a")
        rig.feed("k", *"bcde")
        await asyncio.sleep(2.5)
        assert rig.mark() == 3
        rig.feed("k", "f")
        await rig.rest()
        assert rig.log == ["0 a", "1 bcde", "2 de", "3 f"]

    run_virtual(scenario())


def test_a_run_ends_before_a_record_that_did_not_decode() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note(f"{run.records} {run.behind}")

        rig = Rig(handle, cut=all_of, concurrency=1)
        rig.feed("other", "x")
        rig.feed("k", "a", "b", "?", "c")
        await rig.rest()
        assert rig.done == ["('x',) ()", "('a', 'b') ('c',)", "buried ?", "('c',) ()"]

    run_virtual(scenario())


def test_a_later_look_at_the_cut_takes_in_what_came_meanwhile() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note("".join(run.records))
            if len(rig.log) == 1:
                raise RuntimeError("once")

        rig = Rig(handle, cut=all_of)
        rig.feed("k", "a")
        await asyncio.sleep(0.1)
        rig.feed("k", "b")
        await rig.rest()
        assert rig.log == ["0 a", "0.5 ab"]

    run_virtual(scenario())


# ── poison in company ────────────────────────────────────────────────────────────────────────────────────────────────


def test_of_a_run_of_three_only_the_guilty_one_is_buried_and_innocents_settle_once() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            if "b" in run.records:
                raise Poison
            rig.note("".join(run.records))

        rig = Rig(handle, cut=all_of, concurrency=1)
        rig.feed("other", "x")
        rig.feed("k", *"abcd")
        await rig.rest()
        assert rig.done == ["x", "a", "buried b", "c", "d"]
        assert (rig.reasons, rig.mark()) == (["bad"], 5)

    run_virtual(scenario())


def test_what_comes_after_a_suspected_run_runs_in_company_again() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            if "b" in run.records:
                raise Poison
            await asyncio.sleep(1)
            rig.note("".join(run.records))

        rig = Rig(handle, cut=all_of, concurrency=1)
        rig.feed("other", "x")
        rig.feed("k", "a", "b")
        await asyncio.sleep(1.5)
        rig.feed("k", *"cde")
        await rig.rest()
        assert rig.done == ["x", "a", "buried b", "cde"]

    run_virtual(scenario())


def test_an_innocent_pays_nothing_for_attempts_that_were_spent_in_company() -> None:
    async def scenario() -> None:
        failures = {"a": 1, "c": 2}

        async def handle(run: Any) -> None:
            for record in reversed(run.records):
                if failures.get(record, 0):
                    failures[record] -= 1
                    raise RuntimeError(record)

        rig = Rig(handle, cut=all_of, concurrency=1, attempts=2)
        rig.feed("other", "x")
        rig.feed("k", *"abc")
        await rig.rest()
        assert rig.buried == []

    run_virtual(scenario())


def test_a_run_of_many_that_fails_for_ever_costs_each_record_its_own_attempts_alone() -> None:
    async def scenario() -> None:
        async def handle(run: Any) -> None:
            rig.note("".join(run.records))
            raise RuntimeError("always")

        rig = Rig(handle, cut=all_of, concurrency=1, attempts=2)
        rig.feed("k", "a")
        rig.feed("k", "b")
        await rig.rest()
        assert (rig.buried, rig.reasons) == (["a", "b"], ["exhausted", "exhausted"])

    run_virtual(scenario())
