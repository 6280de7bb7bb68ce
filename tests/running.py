"""Run things inside a test and wait for what they do, without ever sleeping a guessed time."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from kit.errors import BrokerDown
from kit.kafka.broker import client_options, prefixed
from kit.kafka.groupless import groupless
from kit.kafka.outlet import Outlet
from kit.service import Service, Tools
from kit.settings import KafkaSettings
from schemas.attributes import WireRecord

__all__ = ["connected", "eventually", "records", "running", "taken"]


async def eventually(seen: Callable[[], Awaitable[bool]], what: str, within: float = 15.0) -> None:
    """Fails after `within` seconds; looks every 50 ms."""
    deadline = time.monotonic() + within
    while not await seen():
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[Service]:
    """The service, ready; stopped as by SIGTERM afterwards."""
    stopping = asyncio.Event()
    task = asyncio.create_task(service.run(stopping))

    async def ready() -> bool:
        if task.done():
            await task
        return service.ready

    try:
        await eventually(ready, f"{service.tools.name} ready", within=30)
        yield service
    finally:
        stopping.set()
        await task


@asynccontextmanager
async def connected(settings: KafkaSettings, tools: Tools) -> AsyncIterator[Outlet]:
    """An outlet that has reached Kafka."""
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, tools.clock, tools.metrics)
    await outlet.start()
    try:
        await outlet.wait_ready(10)
        yield outlet
    finally:
        await outlet.stop()


async def records(
    settings: KafkaSettings, topic: str, count: int = 1, within: float = 15.0
) -> list[ConsumerRecord[bytes, bytes]]:
    """All records of a topic, once there are at least `count`; in order per partition."""
    async with groupless(settings, auto_offset_reset="earliest") as consumer:
        name = prefixed(settings, topic)
        partitions = [TopicPartition(name, number) for number in await _partitions(consumer, name)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        found: list[ConsumerRecord[bytes, bytes]] = []
        deadline = time.monotonic() + within
        while len(found) < count and time.monotonic() < deadline:
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found += batch
        assert len(found) >= count, f"{len(found)} of {count} records in {topic} within {within:g} s"
        return found


async def taken(outlet: Outlet, topic: str, record: WireRecord, deadline: float = 5.0) -> bool:
    """Whether a send is acknowledged now."""
    try:
        await outlet.publish_record(topic, record, deadline=deadline)
    except BrokerDown:
        return False
    return True


async def _partitions(consumer: AIOKafkaConsumer, name: str) -> set[int]:
    consumer._client.add_topic(name)
    await consumer._client.force_metadata_update()
    return set(consumer.partitions_for_topic(name) or ())
