"""How far each group of ours is behind, read from the broker."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition

from kit.kafka.broker import prefixed
from kit.kafka.groupless import groupless
from kit.kafka.topics import admin
from kit.settings import KafkaSettings
from schemas.topics import TOPICS, Topic

__all__ = ["GroupLag", "PartitionLag", "Waiting", "lags", "oldest_waiting", "partition_lags"]

FIRST_MS = 2000  # for the first record of a partition that is behind


@dataclass(frozen=True, slots=True)
class GroupLag:
    topic: str
    group: str | None
    records: int
    """Still in the topic."""
    completed: int
    """Committed by the group; of a topic without a group of ours, nothing."""
    waiting: int


@dataclass(frozen=True, slots=True)
class PartitionLag:
    topic: str
    group: str
    partition: int
    committed: int
    """0 where the group has committed nothing."""
    waiting: int


Offsets = dict[TopicPartition, int]


async def lags(settings: KafkaSettings) -> list[GroupLag]:
    """One row a topic. Raises BrokerDown."""
    return [_row(topic, begins, ends, done) for topic, begins, ends, done in await _offsets(settings)]


async def partition_lags(settings: KafkaSettings) -> list[PartitionLag]:
    """One row for each partition that a group of ours reads, whether anybody serves it or not. Raises BrokerDown."""
    return [
        PartitionLag(
            topic.name, topic.group, where.partition, done.get(where, 0), max(0, end - done.get(where, begins[where]))
        )
        for topic, begins, ends, done in await _offsets(settings)
        if topic.group
        for where, end in ends.items()
    ]


async def _offsets(settings: KafkaSettings) -> list[tuple[Topic, Offsets, Offsets, Offsets]]:
    """Of each topic that is there: where it begins, where it ends, what its group has committed."""
    async with admin(settings) as client:
        present = {one["topic"]: one for one in await client.describe_topics()}
        async with groupless(settings) as consumer:
            rows = []
            for topic in TOPICS:
                described = present.get(prefixed(settings, topic.name))
                if described:
                    partitions = [TopicPartition(described["topic"], p["partition"]) for p in described["partitions"]]
                    ends = await consumer.end_offsets(partitions)
                    begins = await consumer.beginning_offsets(partitions)
                    rows.append((topic, begins, ends, await _committed(client, settings, topic)))
    return rows


@dataclass(frozen=True, slots=True)
class Waiting:
    """The oldest record that a group has not settled; None where there is none."""

    partition: int = -1
    since: datetime | None = None


async def oldest_waiting(settings: KafkaSettings, topic: str, group: str) -> Waiting:
    """By the time Kafka gave it. Raises BrokerDown."""
    async with admin(settings) as client:
        (described,) = await client.describe_topics([prefixed(settings, topic)])
        partitions = [TopicPartition(described["topic"], one["partition"]) for one in described["partitions"]]
        offsets = await client.list_consumer_group_offsets(prefixed(settings, group))
        async with groupless(settings, auto_offset_reset="earliest") as consumer:
            ends, begins = await consumer.end_offsets(partitions), await consumer.beginning_offsets(partitions)
            at = {one: max(begins[one], offsets[one].offset if one in offsets else 0) for one in partitions}
            return await _oldest(consumer, {one: at[one] for one in partitions if at[one] < ends[one]})


async def _oldest(consumer: AIOKafkaConsumer, behind: dict[TopicPartition, int]) -> Waiting:
    found: list[tuple[int, int]] = []
    for where, offset in behind.items():
        consumer.assign([where])
        consumer.seek(where, offset)
        records = await consumer.getmany(timeout_ms=FIRST_MS, max_records=1)
        found += [(record.timestamp, where.partition) for record in records.get(where, [])]
    if not found:
        return Waiting()
    milliseconds, partition = min(found)
    return Waiting(partition, datetime.fromtimestamp(milliseconds / 1000, UTC))


async def _committed(client: object, settings: KafkaSettings, topic: Topic) -> Offsets:
    if topic.group is None:
        return {}
    group = prefixed(settings, topic.group)
    offsets = await client.list_consumer_group_offsets(group)  # type: ignore[attr-defined]
    return {partition: found.offset for partition, found in offsets.items() if found.offset >= 0}


def _row(
    topic: Topic,
    begins: Offsets,
    ends: Offsets,
    committed: Offsets,
) -> GroupLag:
    waiting = sum(max(0, end - committed.get(p, begins[p])) for p, end in ends.items()) if topic.group else 0
    done = sum(max(0, offset - begins.get(p, 0)) for p, offset in committed.items())
    return GroupLag(topic.name, topic.group, sum(ends[p] - begins[p] for p in ends), done, waiting)
