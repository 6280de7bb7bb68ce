"""How far each group of ours is behind, read from the broker."""

from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from kit.kafka.broker import client_options, prefixed
from kit.kafka.topics import admin
from kit.settings import KafkaSettings
from schemas.topics import TOPICS, Topic

__all__ = ["GroupLag", "lags"]


@dataclass(frozen=True, slots=True)
class GroupLag:
    topic: str
    group: str | None
    records: int
    """Still in the topic."""
    completed: int
    """Committed by the group; of a topic without a group of ours, nothing."""
    waiting: int


async def lags(settings: KafkaSettings) -> list[GroupLag]:
    """One row a topic. Raises BrokerDown."""
    async with admin(settings) as client:
        present = {one["topic"]: one for one in await client.describe_topics()}
        consumer = AIOKafkaConsumer(**client_options(settings))
        await consumer.start()
        try:
            rows = []
            for topic in TOPICS:
                described = present.get(prefixed(settings, topic.name))
                if described:
                    partitions = [TopicPartition(described["topic"], p["partition"]) for p in described["partitions"]]
                    ends = await consumer.end_offsets(partitions)
                    begins = await consumer.beginning_offsets(partitions)
                    rows.append(_row(topic, begins, ends, await _committed(client, settings, topic)))
        finally:
            await consumer.stop()
    return rows


async def _committed(client: object, settings: KafkaSettings, topic: Topic) -> dict[TopicPartition, int]:
    if topic.group is None:
        return {}
    group = prefixed(settings, topic.group)
    offsets = await client.list_consumer_group_offsets(group)  # type: ignore[attr-defined]
    return {partition: found.offset for partition, found in offsets.items() if found.offset >= 0}


def _row(
    topic: Topic,
    begins: dict[TopicPartition, int],
    ends: dict[TopicPartition, int],
    committed: dict[TopicPartition, int],
) -> GroupLag:
    waiting = sum(max(0, end - committed.get(p, begins[p])) for p, end in ends.items()) if topic.group else 0
    done = sum(max(0, offset - begins.get(p, 0)) for p, offset in committed.items())
    return GroupLag(topic.name, topic.group, sum(ends[p] - begins[p] for p in ends), done, waiting)
