"""Starting, stopping, and dying: real processes on real Kafka, as an orchestrator would see them."""

import asyncio
import compileall
import statistics
import sysconfig
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.bench.cold_start import SERVICES, import_cpu_s, started
from tests.bench.dying import SESSION_S, Dying, after_kills
from tests.bench.harness import Figure, bench
from tests.crash.fleet import SETTINGS, Fleet

STARTS = 5
IN_FLIGHT = 1000
AGENT_MS = {"dist": "uniform", "p50": 3000, "p95": 20_000}
HURRY = {"dist": "fixed", "p50": 300}
DRAINED_S = 60.0  # the shortest grace that deploy/ gives
WRITTEN, WITHIN_S = 1800, 60.0  # faster than 100 sessions of such an agent answer: turns pile up until the drain
WIDE = {**SETTINGS, "CONCURRENCY": "2000", "SENDS_PER_S": "1000"}
Details = dict[str, Any]


@bench
async def start_and_stop() -> Figure:
    """Recovery after kill -9, cold start of each service, drain with 1,000 turns in flight."""
    details: Details = {"cold_start": await _cold_starts()}
    kills = {
        "one_kill": await after_kills(("processor", 0.0)),
        "one_kill_not_replaced": await after_kills(("processor", 0.0), replaced=False),
        "one_kill_agent_15_s": await after_kills(("processor", 0.0), agent_ms=15_000),
        "three_kills_in_a_row": await after_kills(("processor", 0.0), ("processor-2", 4.0), ("processor", 3.0)),
        "second_dies_in_the_rebalance": await after_kills(("processor", 0.0), ("processor-2", SESSION_S + 0.2)),
    }
    details["recovery"] = {name: one.told() for name, one in kills.items()}
    details["drain"] = await _drain()
    return Figure(
        unit="s from kill -9 of a processor until its last contact's turn was decided",
        ours=kills["one_kill"].last_s,
        other=SESSION_S + 3,
        other_is="no arm, the bound: session time-out (6 s here) + 3 s",
        details=details,
        less_is_better=True,
    )


async def _cold_starts() -> Details:
    found: Details = {}
    _compile()
    async with fleet({}) as one:
        for service in SERVICES:
            starts = [await started(one.layout, service, one.folder) for _ in range(STARTS)]
            found[service] = {
                "import_cpu_s": statistics.median([await import_cpu_s(service) for _ in range(STARTS)]),
                "ready_cpu_s": statistics.median(start.cpu_s for start in starts),
                "ready_wall_s": statistics.median(start.wall_s for start in starts),
            }
    return found


def _compile() -> None:
    """As in the image, where `UV_COMPILE_BYTECODE` has done so for the packages; ours are small."""
    compileall.compile_dir(sysconfig.get_path("purelib"), quiet=2, workers=0)


async def _drain() -> Details:
    """SIGTERM to the one processor with all turns in flight, while its successor starts."""
    groups = {"ingress": ("ingress",), "processor": ("processor",), "sender": ("sender",)}
    async with fleet(groups, WIDE) as one, httpx.AsyncClient(trust_env=False, timeout=60) as http:
        world = Dying(one, http)
        await world.up()
        await world.prepare(AGENT_MS)
        writing = asyncio.create_task(world.write(WRITTEN, within_s=WITHIN_S))
        in_flight = await world.until_in_flight("processor", IN_FLIGHT, 3 * WITHIN_S)
        one.add("processor-2", "processor")
        began, at = time.monotonic(), datetime.now(UTC)
        drained = await one.members["processor"].leave(DRAINED_S)
        await writing
        await world.prepare(HURRY)  # the rest is told by count, not by time
        answered = await world.until_answered(WRITTEN, 240)
        return {
            "in_flight": in_flight,
            "written": WRITTEN,
            "drain_s": round(drained, 1),
            "all_answered_s": round(time.monotonic() - began, 1),
            "answered": len(answered),
            "twice": sum(count > 1 for count in answered.values()),
            "decided_while_draining": await world.decided(at + timedelta(seconds=drained)) - await world.decided(at),
            "questions_to_the_agent": await world.questions(),
        }


@asynccontextmanager
async def fleet(groups: Mapping[str, Sequence[str]], settings: Mapping[str, str] = SETTINGS) -> AsyncIterator[Fleet]:
    one = Fleet(lambda _: None, groups=groups, settings=settings, prefix="hilo-start-")
    try:
        await one.start()
        yield one
    finally:
        await one.stop()
        one.tidy()
