"""A consumer outside any group, started and stopped within bounds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from kit.kafka.broker import client_options
from kit.kafka.dropped import dropped_requests
from kit.settings import KafkaSettings

__all__ = ["groupless"]

START_S = 10.0
STOP_S = 5.0


@asynccontextmanager
async def groupless(settings: KafkaSettings, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """Commits nothing. Raises KafkaError, OSError or TimeoutError when the broker is not reached."""
    consumer = AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False, **options)
    try:
        with dropped_requests():
            async with asyncio.timeout(START_S):
                await consumer.start()
            yield consumer
    finally:
        # One that is stopped soon after its start raises its own task's cancellation.
        with suppress(KafkaError, TimeoutError), dropped_requests():
            async with asyncio.timeout(STOP_S):
                await consumer.stop()
