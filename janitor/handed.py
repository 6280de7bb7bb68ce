"""What was handed to the sender lately, read from the log: no store has to be searched by time for it."""

from collections.abc import AsyncGenerator
from datetime import datetime

from kit.kafka.reading import Stored, reader
from kit.settings import KafkaSettings
from schemas.attributes import Undecodable, decode
from schemas.events import SendRequested
from schemas.topics import MESSAGE_OUTBOUND

__all__ = ["handed_over"]

AT_ONCE = 1000


async def handed_over(settings: KafkaSettings, since: datetime, until: datetime) -> AsyncGenerator[list[str]]:
    """Ids of parts that were published between the two, at most a thousand or so at once. Raises BrokerDown."""
    parts: list[str] = []
    async with reader(settings) as kafka:
        async for stored in kafka.read(await kafka.between(MESSAGE_OUTBOUND.name, since, until)):
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
