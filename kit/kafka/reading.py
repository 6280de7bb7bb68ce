"""Reading topics from outside any group: nothing is committed, and it ends where the topic ended at the start."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from kit.errors import BrokerDown, Misconfigured
from kit.kafka.broker import prefixed
from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Raw, wire
from kit.kafka.dropped import dropped_requests
from kit.kafka.groupless import groupless
from kit.kafka.refusal import not_reached
from kit.settings import KafkaSettings
from schemas.attributes import WireRecord

__all__ = ["Progress", "Reader", "Span", "Stored", "missing", "partitions_of", "reader"]

ANSWER_S = 10.0  # for a question about offsets, and between two records
POLL_MS = 500
AT_ONCE = 1000  # records unpacked together, whatever the broker has sent
Progress = Callable[[int, int], None]
"""Records read, and records there are to read."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A record where it stands. `at` is the time Kafka has for it."""

    position: Position
    at: datetime
    record: WireRecord


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of one partition, from `begin` to before `end`."""

    partition: TopicPartition
    begin: int
    end: int

    @property
    def count(self) -> int:
        return max(0, self.end - self.begin)


@asynccontextmanager
async def reader(settings: KafkaSettings) -> AsyncIterator["Reader"]:
    """Raises BrokerDown when Kafka is not reached, also later; Misconfigured where it does not take us."""
    options = {
        "auto_offset_reset": "earliest",
        "fetch_max_wait_ms": 20,  # a fetch under way at the end of one reading delays what is asked next
        "retry_backoff_ms": 20,  # also before a topic's first metadata
        # By default a megabyte of each partition waits in memory; a single larger record comes all the same.
        "fetch_max_bytes": 1024 * 1024,
        "max_partition_fetch_bytes": 128 * 1024,
    }
    async with AsyncExitStack() as stack:
        try:
            consumer = await stack.enter_async_context(groupless(settings, **options))
        except (KafkaError, OSError, TimeoutError) as error:
            raise await not_reached(settings, error) from None
        yield Reader(consumer, settings)


class Reader:
    """One reading at a time."""

    def __init__(self, consumer: AIOKafkaConsumer, settings: KafkaSettings) -> None:
        self._consumer = consumer
        self._settings = settings

    async def whole(self, topic: str, since: datetime | None = None) -> list[Span]:
        """What the topic holds now, or only what came at `since` or later."""
        return await self._spans(await self._partitions(topic), since)

    async def between(self, topic: str, since: datetime, until: datetime) -> list[Span]:
        """What came at `since` or later, and before `until`."""
        partitions = await self._partitions(topic)
        ends = {one.partition: one.begin for one in await self._spans(partitions, until)}
        return [replace(one, end=ends[one.partition]) for one in await self._spans(partitions, since)]

    async def of_key(self, topic: str, key: bytes, since: datetime | None = None) -> list[Span]:
        """The one partition in which our own producers put this key."""
        partitions = await self._partitions(topic)
        numbers = [one.partition for one in partitions]
        number = DefaultPartitioner()(key, numbers, numbers)
        return await self._spans([one for one in partitions if one.partition == number], since)

    async def around(self, positions: Sequence[Position]) -> list[Span]:
        """Spans that hold these positions, as far as they are still there."""
        wanted: dict[TopicPartition, list[int]] = {}
        for one in positions:
            name = prefixed(self._settings, one.topic)
            wanted.setdefault(TopicPartition(name, one.partition), []).append(one.offset)
        there = await self._spans(list(wanted), None)
        return [
            Span(
                one.partition, max(one.begin, min(wanted[one.partition])), min(one.end, max(wanted[one.partition]) + 1)
            )
            for one in there
        ]

    async def read(self, spans: Sequence[Span], progress: Progress = lambda _read, _of: None) -> AsyncIterator[Stored]:
        """In order per partition. Raises BrokerDown, too, when it goes silent before the end."""
        left = {one.partition: one for one in spans if one.count}
        if not left:
            return
        self._consumer.assign(list(left))
        for one in left.values():
            self._consumer.seek(one.partition, one.begin)
        total, silent = sum(one.count for one in left.values()), 0
        done = 0
        while left:
            with _broker_errors(self._settings):
                found = await self._consumer.getmany(*left, timeout_ms=POLL_MS, max_records=AT_ONCE)
            silent = 0 if found else silent + POLL_MS
            if silent > ANSWER_S * 1000:
                raise BrokerDown(f"Kafka went silent after {done} of {total} records")
            for partition, records in found.items():
                for raw in records:
                    if raw.offset < left[partition].end:
                        done += 1
                        yield self._stored(raw)
            left = await self._unread(left)
            progress(done, total)

    def _stored(self, raw: Raw) -> Stored:
        topic = raw.topic.removeprefix(self._settings.kafka_topic_prefix)
        at = datetime.fromtimestamp(raw.timestamp / 1000, UTC)
        return Stored(Position(topic, raw.partition, raw.offset), at, wire(raw))

    async def _unread(self, left: Mapping[TopicPartition, Span]) -> dict[TopicPartition, Span]:
        with _broker_errors(self._settings):
            return {where: span for where, span in left.items() if await self._consumer.position(where) < span.end}

    async def _partitions(self, topic: str) -> list[TopicPartition]:
        """Raises Misconfigured where there is no such topic: its partitions would be waited for, as in an outage."""
        name = prefixed(self._settings, topic)
        with _broker_errors(self._settings):
            async with asyncio.timeout(ANSWER_S):
                if name in await self._consumer.topics():
                    return await partitions_of(self._consumer, name)
        raise Misconfigured([missing([name])])

    async def _spans(self, partitions: Sequence[TopicPartition], since: datetime | None) -> list[Span]:
        moment = max(0, int(since.timestamp() * 1000)) if since else 0
        with _broker_errors(self._settings):
            async with asyncio.timeout(ANSWER_S):
                ends, begins, times = await asyncio.gather(
                    self._consumer.end_offsets(partitions),
                    self._consumer.beginning_offsets(partitions),
                    self._consumer.offsets_for_times(dict.fromkeys(partitions, moment)),
                )
        if since is not None:
            begins = {one: found.offset if (found := times.get(one)) else ends[one] for one in partitions}
        return [Span(one, begins[one], ends[one]) for one in partitions]


async def partitions_of(consumer: AIOKafkaConsumer, name: str) -> list[TopicPartition]:
    """All of a topic's, in order; `name` has its prefix. Raises KafkaError, and waits as long as the client does."""
    await consumer.end_offsets([TopicPartition(name, 0)])  # so that the topic is known here
    return [TopicPartition(name, one) for one in sorted(consumer.partitions_for_topic(name) or ())]


def missing(names: Sequence[str]) -> str:
    """What to say of topics that are not there; `names` have their prefix."""
    return f"KAFKA_TOPIC_PREFIX: no topic {', '.join(names)}: is it wrong, or was `hilo topics create` never run?"


@contextmanager
def _broker_errors(settings: KafkaSettings) -> Iterator[None]:
    try:
        with dropped_requests():
            yield
    except (KafkaError, OSError, TimeoutError) as error:
        where = settings.kafka_bootstrap_servers
        raise BrokerDown(f"Kafka at {where}: {type(error).__name__} (KAFKA_BOOTSTRAP_SERVERS)") from None
