"""A consumer outside any group, started and stopped within bounds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer

from kit.kafka import clients
from kit.kafka.broker import client_options
from kit.kafka.dropped import dropped_requests
from kit.settings import KafkaSettings

__all__ = ["groupless"]

START_S = 10.0


@asynccontextmanager
async def groupless(settings: KafkaSettings, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """Commits nothing. Raises KafkaError, OSError or TimeoutError when the broker is not reached."""
    consumer = AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False, **options)
    try:
        async with asyncio.timeout(START_S):
            await clients.start(consumer)
        with dropped_requests():
            yield consumer
    finally:
        await clients.stop(consumer)
