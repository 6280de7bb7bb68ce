"""The only place that reads a clock; everything else is handed one."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

__all__ = ["Clock", "FileClock", "SystemClock"]


class Clock(Protocol):
    """Time as the services see it."""

    def now(self) -> datetime:
        """Wall time, aware, UTC. May jump: never measure a duration with it."""
        ...

    def monotonic(self) -> float:
        """Seconds from some fixed moment; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    async def sleep_until(self, moment: datetime) -> None:
        """Until `now()` is there; a wall clock that jumps over it ends the wait."""
        ...


class SystemClock:
    GLANCE_S = 60.0
    """How often a wait for a moment looks at the wall clock again."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def sleep_until(self, moment: datetime) -> None:
        while (left := (moment - self.now()).total_seconds()) > 0:  # noqa: ASYNC110  # a jump sets no event
            await asyncio.sleep(min(left, self.GLANCE_S))


class FileClock(SystemClock):
    """Wall time plus the offset, in seconds, that a file holds (`HILO_CLOCK_FILE`).

    Sandbox only: every process reads the same file, so one write makes it "a day later" for all of them.
    Durations stay real. A missing or empty file is an offset of zero.
    """

    GLANCE_S = 0.2

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = timedelta()
        self._stamp: tuple[int, int] | None = None

    def now(self) -> datetime:
        return super().now() + self._read()

    def _read(self) -> timedelta:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return timedelta()
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            self._offset = timedelta(seconds=float(self._path.read_text().strip() or 0))
            self._stamp = stamp
        return self._offset
