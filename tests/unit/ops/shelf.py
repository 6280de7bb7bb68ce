"""Topics in memory, as a reader and an outlet see them."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta

from aiokafka import TopicPartition

from kit.clock import Clock
from kit.kafka.dead_letters import Position
from kit.kafka.reading import Progress, Span, Stored
from schemas.attributes import WireRecord

__all__ = ["Shelf"]

PARTITIONS = 2


class Shelf:
    def __init__(self, clock: Clock) -> None:
        self.records: dict[tuple[str, int], list[Stored]] = {}
        self.before: Callable[[str], object] = lambda _topic: None
        """Called before a record is published; it may raise, or return something to wait for."""
        self._clock = clock
        self._ticks = 0

    def of(self, topic: str) -> list[Stored]:
        return [one for number in range(PARTITIONS) for one in self.records.get((topic, number), ())]

    async def publish_record(
        self, topic: str, record: WireRecord, *, deadline: float = 5.0, partition: int | None = None
    ) -> None:
        waited = self.before(topic)
        if waited is not None:
            await waited  # type: ignore[misc]
        number = len(record.key or b"") % PARTITIONS if partition is None else partition
        shelf = self.records.setdefault((topic, number), [])
        self._ticks += 1
        at = self._clock.now() + timedelta(milliseconds=self._ticks)
        shelf.append(Stored(Position(topic, number, len(shelf)), at, record))

    async def whole(self, topic: str, since: datetime | None = None) -> list[Span]:
        spans = []
        for number in range(PARTITIONS):
            shelf = self.records.get((topic, number), [])
            begin = next((n for n, one in enumerate(shelf) if since is None or one.at >= since), len(shelf))
            spans.append(Span(TopicPartition(topic, number), begin, len(shelf)))
        return spans

    async def of_key(self, topic: str, key: bytes, since: datetime | None = None) -> list[Span]:
        return [(await self.whole(topic, since))[len(key) % PARTITIONS]]

    async def around(self, positions: Sequence[Position]) -> list[Span]:
        return [Span(TopicPartition(one.topic, one.partition), one.offset, one.offset + 1) for one in positions]

    async def read(self, spans: Sequence[Span], progress: Progress = lambda _read, _of: None) -> AsyncIterator[Stored]:
        for span in spans:
            for one in self.records.get((span.partition.topic, span.partition.partition), [])[span.begin : span.end]:
                yield one
        progress(1, 1)
