"""The start and the stop of aiokafka's clients, so that one that is cut off leaves no socket and no task behind.

aiokafka 0.14 leaves open the socket on which a start asks for the metadata while it is cancelled. Its consumer's stop
closes three things in turn; where the first one is cancelled or hangs, the others stay: fetches and heartbeats go on,
and the group keeps a member that reads nothing.
"""

import asyncio
from contextlib import suppress
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from kit.kafka.dropped import dropped_requests

__all__ = ["STOP_S", "discard", "start", "stop"]

STOP_S = 5.0
CUT_OFF_S = 1.0
"""For a start whose task is cancelled, to come to its end."""


class Client(Protocol):
    async def start(self) -> None: ...


async def start(client: Client) -> None:
    """Raises KafkaError or OSError. Cancelled, it still lets the start end, CUT_OFF_S at most."""
    starting = asyncio.create_task(client.start())
    try:
        with dropped_requests():
            await asyncio.shield(starting)
    finally:
        await asyncio.wait({starting}, timeout=CUT_OFF_S)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)


async def stop(consumer: AIOKafkaConsumer) -> None:
    """After STOP_S at most it is gone, also where Kafka does not answer; raises nothing of aiokafka's."""
    try:
        with suppress(KafkaError, TimeoutError), dropped_requests():
            async with asyncio.timeout(STOP_S):
                await consumer.stop()
    finally:
        await discard(consumer)


async def discard(consumer: AIOKafkaConsumer | None) -> None:
    """Whatever a stop has left: nothing, if it came to its end."""
    if consumer is None:
        return
    parts: list[Any] = [consumer._coordinator, consumer._fetcher]  # noqa: SLF001
    held = {one for part in parts if part for one in vars(part).values() if isinstance(one, asyncio.Task)}
    if consumer._fetcher:  # noqa: SLF001
        held |= consumer._fetcher._pending_tasks  # noqa: SLF001
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    with suppress(KafkaError, OSError, TimeoutError), dropped_requests():
        async with asyncio.timeout(STOP_S):
            await consumer._client.close()  # noqa: SLF001
