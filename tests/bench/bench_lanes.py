"""Keyed lanes against FastStream's own subscriber, on real Kafka."""

import asyncio
import statistics
import time
from dataclasses import replace
from typing import Any

from aiokafka import ConsumerRecord
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from kit.kafka.broker import prefixed
from kit.kafka.consumers import Consumers
from kit.kafka.delivery import Delivery, decoder
from kit.kafka.lanes import Subscription
from kit.lanes import LaneExecutor, Limits, RetryPolicy, Run
from tests.bench.harness import Figure, bench, cpu_seconds
from tests.bench.kafka import TOPIC, Bench, kafka, produce

TURN_S = 3.0
PARTITIONS = 12
WIDE = Limits(concurrency=6000, buffered=24_000, window=24_000, lane=64)


@bench
async def lanes_vs_serial() -> Figure:
    """Turns of 3 s on 12 partitions: one process of ours against FastStream at its best that commits after the work."""
    async with kafka(PARTITIONS) as one:
        await produce(one, records=60_000, keys=20_000)
        serial = await _serial(one, seconds=12.5)
        ours, peak = await _lanes(one, seconds=15.0)
    return Figure(
        unit="turns/s of 3 s each",
        ours=ours,
        other=serial,
        other_is=f"stock FastStream, max_workers={PARTITIONS}, one consumer a partition, ack after the work",
        details={"in_flight_peak": peak, "partitions": PARTITIONS, "turn_s": TURN_S, "keys": 20_000},
    )


async def _serial(one: Bench, seconds: float) -> float:
    broker = KafkaBroker(one.settings.kafka_bootstrap_servers, logger=None, graceful_timeout=0.1)
    done: list[float] = []

    @broker.subscriber(
        prefixed(one.settings, TOPIC.name),
        group_id="serial",
        max_workers=PARTITIONS,
        ack_policy=AckPolicy.ACK,
        auto_offset_reset="earliest",
    )
    async def handle(_body: Any) -> None:
        await asyncio.sleep(TURN_S)
        done.append(time.monotonic())

    await broker.start()
    await asyncio.sleep(seconds + TURN_S)
    await broker.stop()
    return _rate(done)


async def _lanes(one: Bench, seconds: float) -> tuple[float, int]:
    done: list[float] = []
    active = peak = 0

    async def handle(_run: Run[Delivery]) -> None:
        nonlocal active, peak
        active += 1
        peak = max(peak, active)
        await asyncio.sleep(TURN_S)
        active -= 1
        done.append(time.monotonic())

    consumers = Consumers(one.settings, [Subscription(TOPIC, handle, limits=WIDE)], one.letters, one.tools)
    await consumers.start()
    await asyncio.sleep(seconds + TURN_S)
    rate = _rate(done)
    await consumers.stop()
    return rate, peak


def _rate(done: list[float]) -> float:
    """Per second from the first completion to the last; the first wave belongs to its start, so it is not counted."""
    if len(done) < 2:
        return 0.0
    first = [moment for moment in done if moment - done[0] < 0.05]
    return (len(done) - len(first)) / (done[-1] - done[0])


@bench
async def lanes_overhead() -> Figure:
    """CPU of a record with a handler that does nothing: our whole subscriber against FastStream's serial one."""
    async with kafka(PARTITIONS) as one:
        await produce(one, records=40_000, keys=5_000)
        pairs = [(await _our_cpu(one, f"ours{n}"), await _stock_cpu(one, f"stock{n}")) for n in range(3)]
    rounds = [{keys: await _alone(keys) for keys in (1_000, 10_000, 100_000)} for _ in range(5)]
    alone = {keys: min(one[keys] for one in rounds) for keys in rounds[0]}  # other load only ever adds
    return Figure(
        unit="µs CPU a record",
        ours=statistics.median(ours for ours, _ in pairs),
        other=statistics.median(stock for _, stock in pairs),
        other_is="stock FastStream, one worker, ack after the work, same decoding",
        details={
            "pairs": pairs,
            "lanes_alone_us_by_keys": alone,
            "lanes_alone_rounds": rounds,
            "start_p99_ms_at_1000_per_s": await _start_p99(),
            "bytes_in_flight": await _memory(),
        },
        less_is_better=True,
    )


async def _our_cpu(one: Bench, group: str) -> float:
    done = asyncio.Event()
    seen = 0

    async def handle(run: Run[Delivery]) -> None:
        nonlocal seen
        seen += len(run.records)
        if seen == 40_000:
            done.set()

    topic = replace(TOPIC, group=group)
    consumers = Consumers(one.settings, [Subscription(topic, handle)], one.letters, one.tools)
    before = cpu_seconds()
    await consumers.start()
    await done.wait()
    used = cpu_seconds() - before
    await consumers.stop()
    return round(used / 40_000 * 1e6, 1)


async def _stock_cpu(one: Bench, group: str) -> float:
    """With `apply_types` off and the same decoding, so that only the machinery differs."""
    broker = KafkaBroker(one.settings.kafka_bootstrap_servers, logger=None, graceful_timeout=0.1, apply_types=False)
    done = asyncio.Event()
    deliver, seen = decoder(TOPIC), 0

    async def decode(message: Any) -> Delivery:
        raw: ConsumerRecord[bytes, bytes] = message.raw_message
        return deliver(raw)

    @broker.subscriber(
        prefixed(one.settings, TOPIC.name),
        group_id=f"{one.settings.kafka_topic_prefix}{group}",
        ack_policy=AckPolicy.ACK,
        auto_offset_reset="earliest",
        decoder=decode,
    )
    async def handle(_body: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == 40_000:
            done.set()

    before = cpu_seconds()
    await broker.start()
    await done.wait()
    used = cpu_seconds() - before
    await broker.stop()
    return round(used / 40_000 * 1e6, 1)


def _executor(handle: Any, limits: Limits) -> LaneExecutor[bytes, bytes]:
    async def bury(_burial: Any) -> None:
        raise AssertionError("nothing is buried here")

    def crash(error: BaseException) -> None:
        raise error

    return LaneExecutor(
        handle,
        decode=lambda raw: raw,
        bury=bury,
        policy=RetryPolicy(),
        clock=time.monotonic,
        crash=crash,
        limits=limits,
    )


async def _alone(keys: int, records: int = 100_000) -> float:
    """µs CPU a record through the lanes alone."""
    seen = 0

    async def handle(_run: Run[bytes]) -> None:
        nonlocal seen
        seen += 1

    executor = _executor(handle, Limits(concurrency=512, buffered=4096, window=10**6, lane=10**6))
    executor.open("s")
    before = cpu_seconds()
    offset = 0
    while seen < records:
        for _ in range(min(executor.room, records - offset)):
            executor.admit("s", offset, offset % keys, b"x")
            offset += 1
        executor.pump()
        await asyncio.sleep(0)
    used = cpu_seconds() - before
    await executor.close(["s"], 1)
    return round(used / records * 1e6, 1)


async def _start_p99(rate: int = 1000, seconds: int = 5) -> float:
    """ms from admission to the handler's first line, at a steady rate."""
    waits: list[float] = []

    async def handle(run: Run[bytes]) -> None:
        waits.append(time.monotonic() - run.slots[0].arrived)
        await asyncio.sleep(0.1)

    executor = _executor(handle, Limits(concurrency=5000, buffered=10_000, window=10**6))
    executor.open("s")
    began = time.monotonic()
    for number in range(rate * seconds):
        ahead = began + number / rate - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        executor.admit("s", number, number, b"x")
        executor.pump()
    await executor.close(["s"], 5)
    return round(statistics.quantiles(waits, n=100)[98] * 1000, 3)


async def _memory(records: int = 5000) -> int:
    """Bytes for each record in flight."""
    import gc
    import tracemalloc

    release = asyncio.Event()

    async def handle(_run: Run[bytes]) -> None:
        await release.wait()

    executor = _executor(handle, Limits(concurrency=records, buffered=records, window=10**6))
    executor.open("s")
    gc.collect()
    tracemalloc.start()
    for number in range(records):
        executor.admit("s", number, number, b"x")
    executor.pump()
    await asyncio.sleep(0)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    release.set()
    await executor.close(["s"], 5)
    return used // records
