"""Numbered events that somebody waits for."""

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Any


class Feed:
    """A ring of events, numbered from 1: a reader who was away too long sees a gap in the numbers."""

    def __init__(self, keep: int) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=keep)
        self._waiting: list[asyncio.Future[None]] = []
        self.last = 0

    def add(self, event: dict[str, Any]) -> None:
        self.last += 1
        self._events.append({**event, "n": self.last})
        if self._waiting:
            self.wake()

    def events(self, after: int = 0) -> Iterator[dict[str, Any]]:
        return (event for event in self._events if event["n"] > after)

    async def wait(self, after: int, seconds: float) -> list[dict[str, Any]]:
        """Events newer than `after`; blocks until there is one or the time is over."""
        if self.last <= after and seconds > 0:
            news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(news)
            await asyncio.wait([news], timeout=seconds)
            news.cancel()
        return list(self.events(after))

    def wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()
