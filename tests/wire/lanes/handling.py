"""What tests of a subscriber need: records, a handler that notes them, consumers with short bounds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from kit.kafka.broker import client_options, prefixed
from kit.kafka.consumers import Consumers
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.delivery import Delivery
from kit.kafka.lanes import POLICY, Handler, Subscription
from kit.kafka.outlet import Outlet
from kit.kafka.subscriber import Timing
from kit.lanes import Limits, Run
from kit.service import Tools
from kit.settings import KafkaSettings
from schemas.topics import CALL_COMPLETED
from tests.running import eventually

__all__ = [
    "TIMING",
    "Consume",
    "Seen",
    "committed",
    "consuming",
    "counted",
    "produce",
    "started",
    "until",
    "until_committed",
]

GOOD = b'{"phone_number": "+5215512345678", "client_name": "Ana"}'
PARTITIONS = 3
TIMING = Timing(poll=0.1, poll_error=0.2, revoke_grace=1.0, drain=2.0, stop=1.0)
Consume = Callable[..., Consumers]


class Seen:
    """A handler that notes what it began and what it finished, and waits while its gate is closed."""

    def __init__(self) -> None:
        self.began: list[tuple[int, int]] = []
        self.offsets: list[tuple[int, int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, run: Run[Delivery]) -> None:
        places = [(one.position.partition, one.position.offset) for one in run.records]
        self.began += places
        await self.gate.wait()
        self.offsets += places

    async def until_begun(self, count: int) -> None:
        await until(lambda: len(self.began) == count, f"{count} handlers at work")

    async def until(self, count: int, within: float = 15.0) -> None:
        await until(lambda: len(set(self.offsets)) >= count, f"{count} records handled", within)


def consuming(settings: KafkaSettings, outlet: Outlet, tools: Tools) -> Consume:
    letters = DeadLetters(outlet, tools.clock, tools.metrics)

    def consumers(handler: Handler, timing: Timing = TIMING, limits: Limits | None = None) -> Consumers:
        policy = replace(POLICY, first=0.01)
        wanted = Subscription(CALL_COMPLETED, handler, policy=policy, limits=limits or Limits())
        return Consumers(settings, [wanted], letters, tools, timing)

    return consumers


@asynccontextmanager
async def started(consumers: Consumers) -> AsyncIterator[Consumers]:
    await consumers.start()
    try:
        yield consumers
    finally:
        await consumers.stop()


async def produce(settings: KafkaSettings, count: int) -> None:
    """In turn to every partition, each with a key of its own."""
    producer = AIOKafkaProducer(**client_options(settings), linger_ms=20)
    await producer.start()
    topic = prefixed(settings, CALL_COMPLETED.name)
    for number in range(count):
        await producer.send(topic, GOOD, key=b"%d" % number, partition=number % PARTITIONS)
    await producer.stop()


async def committed(settings: KafkaSettings) -> int:
    """Over all partitions."""
    group, topic = prefixed(settings, CALL_COMPLETED.group or ""), prefixed(settings, CALL_COMPLETED.name)
    consumer = AIOKafkaConsumer(**client_options(settings), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        found = [await consumer.committed(TopicPartition(topic, number)) for number in range(PARTITIONS)]
        return sum(offset or 0 for offset in found)
    finally:
        await consumer.stop()


async def until(seen: Callable[[], bool], what: str, within: float = 15.0) -> None:
    async def look() -> bool:
        return seen()

    await eventually(look, what, within)


async def until_committed(settings: KafkaSettings, records: int, within: float = 15.0) -> None:
    async def enough() -> bool:
        return await committed(settings) == records

    await eventually(enough, f"{records} records committed", within)


def counted(tools: Tools, name: str, **labels: str) -> float:
    return tools.metrics.registry.get_sample_value(name, labels) or 0.0
