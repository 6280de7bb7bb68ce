"""What Hilo told the main backend, newest first."""

import asyncio
from collections import deque
from typing import Any

import httpx

from sandbox.phone.hub import Hub
from sandbox.phone.outside import Outside

__all__ = ["Notices"]

KEPT = 200
AGAIN_S = 0.5


class Notices:
    def __init__(self, outside: Outside, hub: Hub) -> None:
        self._outside = outside
        self._hub = hub
        self._newest: deque[dict[str, Any]] = deque(maxlen=KEPT)

    async def run(self) -> None:
        """For ever; a backend that is away is read anew when it is back: it numbers from 1 again."""
        last = 0
        while True:
            try:
                for one in await self._outside.news("backend", "/notices", last):
                    last = one["n"]
                    self._newest.appendleft(one)
                    self._hub.tell("notice", one)
            except httpx.HTTPError:
                last = 0
                self._newest.clear()
                await asyncio.sleep(AGAIN_S)

    def stories(self) -> list[dict[str, Any]]:
        return list(self._newest)
