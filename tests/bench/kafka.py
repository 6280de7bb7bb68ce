"""A Kafka of its own for a benchmark, a topic, and records in it."""

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer

from kit.clock import SystemClock
from kit.kafka import topics
from kit.kafka.broker import client_options, prefixed
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.outlet import Outlet
from kit.metrics import Metrics
from kit.service import Tools
from kit.settings import KafkaSettings
from sandbox.stack.kafka import KafkaServer
from schemas.topics import CALL_COMPLETED

__all__ = ["TOPIC", "Bench", "kafka", "produce"]

TOPIC = CALL_COMPLETED
VALUE = b'{"phone_number": "+5215512345678", "client_name": "Ana", "call_summary": "la cita del martes"}'


@dataclass
class Bench:
    settings: KafkaSettings
    tools: Tools
    letters: DeadLetters


@asynccontextmanager
async def kafka(partitions: int) -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory() as data:
        async with KafkaServer(Path(data)) as server:
            settings = KafkaSettings(
                kafka_bootstrap_servers=server.bootstrap_servers,
                kafka_topic_prefix=f"b{uuid.uuid4().hex[:6]}.",
                _env_file=None,
            )
            await topics.create(settings, partitions)
            tools = Tools("bench", SystemClock(), Metrics())
            outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, tools.clock, tools.metrics)
            await outlet.start()
            await outlet.wait_ready(10)
            yield Bench(settings, tools, DeadLetters(outlet, tools.clock, tools.metrics))
            await outlet.stop()


async def produce(bench: Bench, records: int, keys: int) -> None:
    """`records` calls over `keys` keys, as fast as the broker takes them."""
    producer = AIOKafkaProducer(**client_options(bench.settings), linger_ms=5)
    await producer.start()
    pending: list[asyncio.Future[object]] = []
    for number in range(records):
        key = b"key-%d" % (number % keys)
        pending.append(await producer.send(prefixed(bench.settings, TOPIC.name), VALUE, key=key))
        if len(pending) == 5000:
            await asyncio.gather(*pending)
            pending.clear()
    await asyncio.gather(*pending)
    await producer.stop()
