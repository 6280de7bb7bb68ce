"""How many of everything: the arithmetic, and the simulation against what queueing theory knows."""

from dataclasses import replace
from random import Random

import pytest

from tests.bench.scale.ceilings import ceilings
from tests.bench.scale.costs import MEASURED, WORLD, Costs, costs
from tests.bench.scale.plan import Plan, plan
from tests.bench.scale.simulation import Loop, Places, simulate

MEMORY = {"ingress": 80.0, "processor": 120.0, "sender": 90.0}
COST = Costs(0.004, 0.012, 0.01, 0.06, 20.0, MEMORY, 30.0, "2 cores, Linux", "2026-11-26T12:00:00+00:00")
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)


def test_what_was_measured_can_be_read() -> None:
    found = costs(MEASURED)
    assert 0 < found.ingress + found.processor + found.sender < found.everything < 1
    assert set(MEMORY) <= set(found.memory_mb)


def test_a_million_by_hand() -> None:
    world = replace(WORLD, parts=1, burst=1, turns=6, busy=0.5)
    one = plan(1_000_000, COST, world)
    assert one.mean == pytest.approx(69.44, abs=0.01)
    assert one.peak == pytest.approx(69.44 * 24 * world.peak_share, rel=1e-3)
    assert one.at_work == pytest.approx(one.peak * 5.5)
    assert one.commands == pytest.approx(one.peak * 20)
    assert one.records == pytest.approx(one.peak * 5)
    assert (one.sender - 1) * 0.5 < one.peak * 0.01 <= one.sender * 0.5


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_no_process_is_busier_than_planned(size: int, keep: bool) -> None:
    one = plan(size, COST, WORLD, keep=keep)
    most = -(-one.partitions // one.processor) / one.partitions  # share of the process with most partitions
    assert one.peak * COST.processor * most <= WORLD.busy
    assert one.fresh * WORLD.handshake / WORLD.handshakes * most <= WORLD.busy
    assert one.partitions >= 2 * min(one.processor, one.sender)
    assert min(one.ingress, one.processor, one.sender) >= 2
    assert one.posts <= one.numbers * 64


def test_more_conversations_never_need_less() -> None:
    plans = [plan(size, COST, WORLD) for size in SIZES]
    for name in ("ingress", "processor", "sender", "partitions", "numbers", "shards", "sockets"):
        values = [getattr(one, name) for one in plans]
        assert values == sorted(values), name


def test_a_ceiling_is_where_its_limit_is_used_up() -> None:
    found = {one.what: one.conversations for one in ceilings(COST, WORLD)}
    assert list(found.values()) == sorted(found.values())
    at_the_number = plan(int(found["Twilio: a number"]), COST, WORLD)
    assert at_the_number.posts == pytest.approx(64, rel=1e-3)
    at_the_primary = plan(int(found["MongoDB: a primary"]), COST, WORLD)
    assert at_the_primary.commands == pytest.approx(WORLD.primary_per_s, rel=1e-3)


def test_one_place_waits_as_theory_says() -> None:
    """M/M/1 at half load: the time in it is twice the work, on average."""
    loop, random = Loop(), Random(3)
    spent: list[float] = []
    place, at = Places(loop, 1), 0.0

    def arrive(moment: float) -> None:
        place.hold(random.expovariate(1.0), lambda: spent.append(loop.now - moment))

    for _ in range(40_000):
        at += random.expovariate(0.5)
        loop.at(at, lambda moment=at: arrive(moment))  # type: ignore[misc]
    loop.run()
    assert sum(spent) / len(spent) == pytest.approx(2.0, rel=0.06)


@pytest.fixture(scope="module")
def small() -> Plan:
    return plan(300_000, COST, WORLD)


def test_the_same_seed_gives_the_same_figures(small: Plan) -> None:
    assert simulate(small, COST, WORLD) == simulate(small, COST, WORLD)


def test_nothing_is_faster_than_its_own_work(small: Plan) -> None:
    away = 2 * WORLD.hop + WORLD.command * COST.commands
    assert simulate(small, COST, WORLD).p50 > away


@pytest.mark.parametrize("few", [{"sender": 1}, {"numbers": 1}, {"sockets": 60.0}, {"ingress": 1, "peak": 400.0}])
def test_too_few_of_one_thing_makes_the_queue_grow(few: dict[str, float]) -> None:
    enough = replace(plan(1_000_000, COST, WORLD), peak=100.0, fresh=10.0)
    assert simulate(enough, COST, WORLD).p99 < 1
    assert simulate(replace(enough, **few), COST, WORLD).p99 > 2  # type: ignore[arg-type]
