"""The sandbox's time, which only goes forward."""

import asyncio
from pathlib import Path
from typing import Any

from kit.clock import Clock, FileClock, SystemClock
from sandbox.phone.hub import Hub
from sandbox.phone.outside import Outside

__all__ = ["SandboxTime"]

GLANCE_S = 0.5


class SandboxTime:
    """`hilo demo` moves the clock too: the file is what counts."""

    def __init__(self, file: Path, outside: Outside, hub: Hub) -> None:
        self._clock: Clock = FileClock(file)
        self._wall: Clock = SystemClock()
        self._outside = outside
        self._hub = hub
        self._told = 0

    async def run(self) -> None:
        while True:
            if self._ahead() != self._told:
                self._told = self._ahead()
                self._hub.tell("clock", self.story())
            await asyncio.sleep(GLANCE_S)

    async def advance(self, seconds: float) -> None:
        """Every process of the sandbox sees it, also the simulators."""
        await self._outside.do("POST", "twilio", "/clock/advance", {"seconds": seconds})

    def story(self) -> dict[str, Any]:
        return {"now": self._clock.now().isoformat(), "ahead_s": self._ahead()}

    def _ahead(self) -> int:
        return round((self._clock.now() - self._wall.now()).total_seconds())
