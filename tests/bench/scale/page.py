"""The tables of docs/scale.md, between marks that stay in it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.scale.ceilings import ceilings
from tests.bench.scale.costs import Costs, World
from tests.bench.scale.plan import Plan, plan
from tests.bench.scale.simulation import simulate

__all__ = ["PAGE", "QUICK", "SLOW", "block", "written"]

PAGE = Path(__file__).parents[3] / "docs" / "scale.md"
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
LOST = 0.1
Make = Callable[[Costs, World], str]


def block(text: str, name: str) -> str:
    """What stands between the marks of that name."""
    return _mark(name).search(text)[2]  # type: ignore[index]  # a page without the mark fails here


def written(text: str, made: dict[str, str]) -> str:
    for name, content in made.items():
        text = _mark(name).sub(lambda found, new=content: f"{found[1]}{new}{found[3]}", text)  # type: ignore[misc]
    return text


def _mark(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- made: {name} -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def _measured(cost: Costs, world: World) -> str:
    ours = cost.ingress + cost.processor + cost.sender
    rows = [
        ("CPU of a turn, ingress", f"{cost.ingress * 1000:.1f} ms"),
        ("processor", f"{cost.processor * 1000:.1f} ms"),
        ("sender", f"{cost.sender * 1000:.1f} ms"),
        ("all three", f"{ours * 1000:.1f} ms"),
        ("commands to MongoDB", f"{cost.commands:.1f}"),
        ("memory: ingress, processor, sender", _three(cost)),
    ]
    # The path ran with Kafka, the store and both simulators beside it: what its CPU figures say about its rate.
    cores = int(cost.machine.split()[0])
    check = (
        f"\nMeasured on {cost.at[:10]} ({cost.machine}), with everything on that machine. Check: {cores} cores at "
        f"{cost.everything * 1000:.1f} ms for all that a turn costs there make {cores / cost.everything:.1f} turns/s; "
        f"it did {cost.turns_per_s:.1f}.\n"
    )
    return _table(("one turn", ""), rows) + check


def _three(cost: Costs) -> str:
    return ", ".join(f"{cost.memory_mb[name]:.0f}" for name in ("ingress", "processor", "sender")) + " MB"


def _sizes(cost: Costs, world: World) -> str:
    plans = [plan(size, cost, world) for size in SIZES]
    lines: list[tuple[str, Callable[[Plan], str]]] = [
        ("turns/s, mean", lambda one: _number(one.mean)),
        ("**turns/s, worst minute**", lambda one: _number(one.peak)),
        ("ingress processes", lambda one: f"{one.ingress}"),
        ("**processors**", lambda one: f"{one.processor}"),
        ("senders", lambda one: f"{one.sender}"),
        ("**partitions** of each topic", lambda one: f"{one.partitions}"),
        ("memory of all three", lambda one: f"{one.memory_gb:.1f} GB"),
        ("turns waiting for the agent", lambda one: _number(one.at_work)),
        ("open sockets to ElevenLabs", lambda one: _number(one.sockets)),
        ("`AGENT_MAX_SESSIONS`", lambda one: _number(one.sessions_each)),
        ("messages/s to Twilio", lambda one: _number(one.posts)),
        ("**WhatsApp numbers**", lambda one: f"{one.numbers}"),
        ("commands/s to MongoDB", lambda one: _number(one.commands)),
        ("**MongoDB primaries** (above 1: cells)", lambda one: f"{one.shards}"),
        ("records/s to Kafka", lambda one: _number(one.records)),
        ("runs out if left as it is", lambda one: _exhausted(one, cost, world)),
    ]
    rows = [(name, *(show(one) for one in plans)) for name, show in lines]
    return _table(("conversations a day", *(f"{size:,}" for size in SIZES)), rows)


def _exhausted(one: Plan, cost: Costs, world: World) -> str:
    """The services first, each once: the table below has the rest."""
    names = [
        each.what.split(":")[0].split(",")[0]
        for each in ceilings(cost, world)
        if each.conversations < one.conversations
    ]
    return ", ".join(dict.fromkeys(names)) or "nothing"


def _ends(cost: Costs, world: World) -> str:
    rows = [(_number(one.conversations), one.what, one.limit, one.turn) for one in ceilings(cost, world)]
    return _table(("ends at, a day", "what", "with", "what helps"), rows)


def _sockets(cost: Costs, world: World) -> str:
    rows = []
    for size in SIZES:
        for name, keep in (("kept 120 s", True), ("one a turn", False)):
            one = plan(size, cost, world, keep=keep)
            sessions = _number(one.sessions_each)
            rows.append(
                (
                    f"{size:,}",
                    name,
                    _number(one.sockets),
                    _number(one.fresh),
                    f"{one.processor}",
                    sessions,
                    f"{one.partitions}",
                )
            )
    return _table(
        ("a day", "sockets", "open", "new a second", "processors", "`AGENT_MAX_SESSIONS`", "partitions"), rows
    )


def _queues(cost: Costs, world: World) -> str:
    rows = []
    for size in SIZES:
        one = plan(size, cost, world)
        whole, less = simulate(one, cost, world), simulate(one, cost, world, lost=LOST)
        lean = simulate(plan(size, cost, world, keep=False), cost, world)
        pairs = [f"{each.p50:.2f} / {each.p99:.2f} s" for each in (whole, less, lean)]
        rows.append((f"{size:,}", *pairs, f"{whole.busiest:.0%}"))
    heads = ("a day", "as proposed", "a tenth of the processes lost", "a socket a turn", "busiest processor")
    return _table(heads, rows) + f"\nCosts of {cost.at[:10]}, p50 / p99.\n"


def _curve(_cost: Costs, world: World) -> str:
    factor = world.peak_share * 24 * world.burst
    return (
        f"The busiest hour has {world.peak_share:.1%} of a day's messages (`CURVE` in `tests/bench/scale/costs.py`), "
        f"its worst minute {world.burst:g} times the hour's mean: {factor:.2f} times the mean of the day.\n"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _number(value: float) -> str:
    """Three digits say enough."""
    if value >= 1000:
        digits = 3 - len(str(int(value)))
        return f"{round(value, digits):,.0f}"
    return f"{value:.3g}"


QUICK: dict[str, Make] = {
    "measured": _measured,
    "curve": _curve,
    "sizes": _sizes,
    "sockets": _sockets,
    "ends": _ends,
}
SLOW: dict[str, Make] = {"queues": _queues}
