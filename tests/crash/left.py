"""What is left in Kafka when all is calm: on no handset shows that a group stands still, or what was buried."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from kit.kafka.lag import GroupLag
from schemas.topics import DEAD_LETTERS

__all__ = ["buried", "left"]

Look = Callable[[], Awaitable[Sequence[GroupLag]]]


async def left(look: Look, within_s: float, every_s: float = 1.0) -> list[str]:
    """Asks until nothing waits, at most so long. Raises BrokerDown."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    rows = await look()
    while any(one.waiting for one in rows) and loop.time() < until:
        await asyncio.sleep(every_s)
        rows = await look()
    late = [f"{one.waiting} records of {one.topic} wait for {one.group}" for one in rows if one.waiting]
    return [*late, *buried(rows)]


def buried(rows: Sequence[GroupLag]) -> list[str]:
    """Nobody sends poison here, so a record that was buried is a loss, even where its client heard an apology."""
    return [f"{one.records} records in {one.topic}" for one in rows if one.topic == DEAD_LETTERS.name and one.records]
