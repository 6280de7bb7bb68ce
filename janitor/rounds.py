"""Work that comes round: one round at a time, each so long after the start of the one before."""

import asyncio
from abc import ABC, abstractmethod
from datetime import timedelta

from kit.errors import DependencyDown
from kit.logs import get_log
from kit.service import Tools

__all__ = ["Rounds"]


class Rounds(ABC):
    """A part of the service. A round that fails is put off to the next one; none ends them all."""

    def __init__(self, name: str, every: timedelta, tools: Tools) -> None:
        self._name = name
        self._every = every
        self._tools = tools
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def once(self) -> int:
        """One round; how much there was to do. May raise DependencyDown."""

    async def start(self) -> None:
        self._tools.metrics.set("hilo_round_every_seconds", self._every.total_seconds(), round=self._name)
        self._ended()
        self._task = asyncio.create_task(self._loop(), name=self._name)

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _ended(self) -> None:
        self._tools.metrics.set("hilo_round_ended", self._tools.clock.now().timestamp(), round=self._name)

    async def _loop(self) -> None:
        log = get_log(self._name)
        while True:
            due = self._tools.clock.now() + self._every
            try:
                await self.once()
                self._ended()
            except DependencyDown as error:
                log.warning("put off", error=str(error))
            except Exception:  # one unreadable document must not end all rounds
                log.exception("round failed")
            await self._tools.clock.sleep_until(due)
