"""The start and the stop of aiokafka's clients, so that one that is cut off leaves no socket and no task behind.

aiokafka 0.14 leaves open the socket on which a start asks for the metadata while it is cancelled. Its consumer's stop
closes three things in turn; where the first one is cancelled or hangs, the others stay: fetches and heartbeats go on,
and the group keeps a member that reads nothing. And what it closes may swallow the cancellation of whoever waits for
it, who would then go on as if nothing had been said. So nobody awaits these in their own task.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer

from kit.kafka.dropped import dropped_requests

__all__ = ["STOP_S", "discard", "start", "stop", "within"]

STOP_S = 5.0
CUT_OFF_S = 1.0
"""For a start whose task is cancelled, to come to its end; and for what a stop has left, once and again."""
AGAIN_S = 0.1
Task = asyncio.Task[Any]


class Client(Protocol):
    async def start(self) -> None: ...


async def start(client: Client) -> None:
    """Raises KafkaError or OSError. Cancelled, it still lets the start end, CUT_OFF_S at most."""
    starting = asyncio.create_task(client.start())
    try:
        with dropped_requests():
            await asyncio.shield(starting)
    finally:
        try:
            await asyncio.wait({starting}, timeout=CUT_OFF_S)
        finally:
            await _ended(lambda: {starting})


async def within(seconds: float, closing: Coroutine[Any, Any, None]) -> bool:
    """Whether it came to a good end in that time. It is over in any case; raises nothing of its own."""
    task = asyncio.create_task(closing)
    try:
        await asyncio.wait({task}, timeout=seconds)
        return task.done() and not task.cancelled() and task.exception() is None
    finally:
        await _ended(lambda: {task})


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Some STOP_S at most, also where Kafka does not answer; raises nothing of aiokafka's."""
    try:
        await within(STOP_S, consumer.stop())
    finally:
        await discard(consumer)


async def discard(consumer: AIOKafkaConsumer | None) -> None:
    """Whatever a stop has left: nothing, if it came to its end. Two CUT_OFF_S at most."""
    if consumer is None:
        return
    consumer._closed = True  # noqa: SLF001
    try:
        await within(CUT_OFF_S, _ended(lambda: _tasks(consumer)))
    finally:
        await within(CUT_OFF_S, consumer._client.close())  # noqa: SLF001


def _tasks(consumer: AIOKafkaConsumer) -> set[Task]:
    parts: list[Any] = [consumer._coordinator, consumer._fetcher]  # noqa: SLF001
    found = {one for part in parts if part for one in vars(part).values() if isinstance(one, asyncio.Task)}
    return found | (consumer._fetcher._pending_tasks if consumer._fetcher else set())  # noqa: SLF001


async def _ended(left: Callable[[], set[Task]]) -> None:
    """Cancelled as often as it takes: aiokafka swallows some, and one that is cancelled may still begin another."""
    while held := {one for one in left() if not one.done()}:
        for task in held:
            task.cancel()
        await asyncio.wait(held, timeout=AGAIN_S)
    await asyncio.gather(*left(), return_exceptions=True)  # or asyncio would say that nobody has asked what they raised
