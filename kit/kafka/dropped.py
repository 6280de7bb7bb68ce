"""aiokafka cancels tasks of its own, and sometimes lets that out; it must not end the task that asked."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaConnectionError

from kit.lanes import is_ours

__all__ = ["dropped_requests"]


@contextmanager
def dropped_requests() -> Iterator[None]:
    """Raises KafkaConnectionError for a cancellation that leaks out of aiokafka; one that is meant for us goes on.

    A task that loops would otherwise be over without a word: no exception, nothing logged (aiokafka#647; the stop of a
    consumer without a group whose own task had no time to begin).
    """
    try:
        yield
    except asyncio.CancelledError:
        if is_ours():
            raise
        raise KafkaConnectionError("cancelled inside aiokafka") from None
