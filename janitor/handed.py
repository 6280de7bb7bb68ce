"""What the sender has settled lately, read from the log: no store has to be searched by time for it."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import datetime

from kit.kafka.lag import partition_lags
from kit.kafka.reading import Stored, reader
from kit.settings import KafkaSettings
from schemas.attributes import Undecodable, decode
from schemas.events import SendRequested
from schemas.topics import MESSAGE_OUTBOUND

__all__ = ["handed_over"]

OUTBOUND = MESSAGE_OUTBOUND.name
AT_ONCE = 1000


async def handed_over(settings: KafkaSettings, since: datetime, until: datetime) -> AsyncGenerator[list[str]]:
    """Ids of parts that were published between the two, and whose records the sender has committed.

    A thousand or so at once. What it has not come to, or holds, is another question. Raises BrokerDown, Misconfigured.
    """
    parts: list[str] = []
    settled = {one.partition: one.committed for one in await partition_lags(settings) if one.topic == OUTBOUND}
    async with reader(settings) as kafka:
        spans = await kafka.between(OUTBOUND, since, until)
        spans = [replace(one, end=min(one.end, settled.get(one.partition.partition, 0))) for one in spans]
        async for stored in kafka.read(spans):
            parts += _parts(stored)
            if len(parts) >= AT_ONCE:
                yield parts
                parts = []
    yield parts


def _parts(stored: Stored) -> list[str]:
    """Fences and erasures show nothing; what cannot be read is buried, and told there."""
    try:
        event = decode(stored.record, MESSAGE_OUTBOUND.events).data
    except Undecodable:
        return []
    return [part.send_id for part in event.parts] if isinstance(event, SendRequested) else []
