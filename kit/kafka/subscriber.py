"""One consumer group on one topic, serial, committing after the work (ADR 0005: until the lanes land).

A record that cannot be decoded, or that its handler calls Poison, is buried and the partition goes on. A dependency
that is away holds the partition without spending attempts. Nothing is ever committed before its handler returned.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from kit.errors import DependencyDown, Poison, Retry, Wait
from kit.kafka.broker import prefixed
from kit.kafka.dead_letters import DeadLetters, Position
from kit.logs import get_log
from kit.service import Tools
from kit.settings import KafkaSettings
from kit.tracing import span
from schemas.attributes import Envelope, Undecodable, WireRecord, decode
from schemas.events import Event
from schemas.topics import Topic

__all__ = ["Delivery", "Handler", "Subscriber"]

ATTEMPTS = 6  # for errors of unknown cause; about 30 s in all
FIRST_S, LONGEST_S = 0.5, 20.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A decoded record and where it stood."""

    envelope: Envelope[Event]
    position: Position
    record: WireRecord


Handler = Callable[[Delivery], Awaitable[None]]
OnBuried = Callable[[Position, Poison], Awaitable[None]]


class Subscriber:
    """Feeds one handler from one topic, in order, one record at a time."""

    def __init__(
        self,
        topic: Topic,
        handler: Handler,
        settings: KafkaSettings,
        dead_letters: DeadLetters,
        tools: Tools,
        on_buried: OnBuried | None = None,
    ) -> None:
        self._topic = topic
        self._handler = handler
        self._settings = settings
        self._dead_letters = dead_letters
        self._on_buried = on_buried
        self._clock = tools.clock
        self._metrics = tools.metrics
        self._log = get_log("subscriber")
        self.group = prefixed(settings, topic.group or "")

    def attach(self, broker: KafkaBroker) -> None:
        """Register with FastStream; consuming starts with the broker."""
        broker.subscriber(
            prefixed(self._settings, self._topic.name),
            group_id=self.group,
            ack_policy=AckPolicy.ACK,
            auto_offset_reset="earliest",  # a new group must not skip; the decision absorbs a replay
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=self._settings.kafka_session_timeout_ms,
            heartbeat_interval_ms=self._settings.kafka_session_timeout_ms // 5,
            rebalance_timeout_ms=45_000,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            parser=_parse,
            decoder=_raw,
        )(self._consume)

    async def _consume(self, raw: ConsumerRecord[bytes, bytes]) -> None:
        position = Position(self._topic.name, raw.partition, raw.offset)
        record = WireRecord(raw.key, raw.value, raw.headers)
        try:
            envelope = decode(record, self._topic.events, fallback_id=str(position))
        except Undecodable as error:
            await self._bury(record, position, Poison("undecodable", str(error)), 1)
            return
        with span(f"{self._topic.name} process", envelope.extensions):
            await self._handle(Delivery(envelope, position, record))

    async def _handle(self, delivery: Delivery) -> None:
        attempt = 0
        while True:
            began = self._clock.monotonic()
            try:
                await self._handler(delivery)
            except (DependencyDown, Wait) as error:
                self._count("held")
                self._log.info("held", event_id=delivery.envelope.id, error=str(error))
                await asyncio.sleep(error.after or _backoff(3))
            except Poison as error:
                await self._bury(delivery.record, delivery.position, error, attempt + 1)
                return
            except Exception as error:  # noqa: BLE001  # unknown cause: try again, then bury
                attempt += 1
                if attempt >= ATTEMPTS:
                    await self._bury(delivery.record, delivery.position, _exhausted(error), attempt)
                    return
                self._count("retried")
                self._log.warning("retried", event_id=delivery.envelope.id, attempt=attempt, exc_info=True)
                await asyncio.sleep(error.after if isinstance(error, Retry) and error.after else _backoff(attempt))
            else:
                self._count("ok")
                self._metrics.observe("hilo_handler_seconds", self._clock.monotonic() - began, topic=self._topic.name)
                return

    async def _bury(self, record: WireRecord, position: Position, error: Poison, attempts: int) -> None:
        bury = partial(self._dead_letters.bury, record, position, group=self.group, reason=error.reason)
        while True:
            try:
                await bury(detail=str(error), attempts=attempts)
                if self._on_buried:
                    await self._on_buried(position, error)
            except DependencyDown:
                await asyncio.sleep(_backoff(3))
            else:
                self._count("buried")
                return

    def _count(self, outcome: str) -> None:
        self._metrics.count("hilo_records_total", topic=self._topic.name, outcome=outcome)


def _exhausted(error: Exception) -> Poison:
    return Poison("exhausted", f"{type(error).__name__}: {error}")


def _backoff(attempt: int) -> float:
    return min(LONGEST_S, FIRST_S * 2.0**attempt) * random.uniform(0.5, 1.0)


async def _parse(raw: ConsumerRecord[bytes, bytes], original: Any) -> KafkaMessage:
    """FastStream's own parser dies on a header that is not UTF-8; ours leaves headers to `decode`."""
    message: KafkaMessage = await original(replace(raw, headers=()))
    message.raw_message = raw
    return message


async def _raw(message: KafkaMessage) -> Any:
    return message.raw_message
