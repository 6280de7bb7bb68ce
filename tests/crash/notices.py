"""What the main backend hears, with the moment at which it was published."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from schemas.events import Event
from schemas.topics import SYSTEM_NOTICES

__all__ = ["Notices", "Told"]


@dataclass(frozen=True, slots=True)
class Told:
    id: str
    type: str
    at: datetime
    data: dict[str, Any]

    @property
    def contact(self) -> str:
        return str(self.data.get("contact", ""))


class Notices:
    """Reads on through everything; a notice that is published again counts as when it was first told."""

    def __init__(self, servers: str, partitions: int = 24) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False, request_timeout_ms=5000
        )
        self._places = [TopicPartition(SYSTEM_NOTICES.name, number) for number in range(partitions)]
        self._found: dict[str, Told] = {}
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._consumer.start()
        self._consumer.assign(self._places)
        self._reading = asyncio.create_task(self._read(), name="notices")

    async def stop(self) -> None:
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(5):
                await self._consumer.stop()

    def all(self, kind: type[Event]) -> Sequence[Told]:
        return [one for one in self._found.values() if one.type == kind.type_name()]

    def of(self, contact: str, kind: type[Event]) -> Sequence[Told]:
        return [one for one in self.all(kind) if one.contact == contact]

    async def _read(self) -> None:
        while True:
            try:
                found = await self._consumer.getmany(timeout_ms=200)
            except KafkaError:
                await asyncio.sleep(0.2)
                continue
            for records in found.values():
                for record in records:
                    told = _told(record)
                    self._found.setdefault(told.id, told)


def _told(record: ConsumerRecord[bytes, bytes]) -> Told:
    headers = {name: value.decode() for name, value in record.headers}
    at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    return Told(headers["ce_id"], headers["ce_type"], at, json.loads(record.value or b"{}"))
