"""The sandbox's wall clock, which may be advanced; and the waits that are only as long as `speed` says."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from kit.clock import FileClock, SystemClock


class AdvanceableClock(SystemClock):
    """Wall time plus an offset of its own, or the one every sandbox process shares through a file."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._shared = FileClock(file) if file else None
        self._offset = timedelta()

    def now(self) -> datetime:
        return self._shared.now() if self._shared else super().now() + self._offset

    def advance(self, seconds: float) -> None:
        """Move every reader of the clock file, or this process only when there is none."""
        if self._file is None:
            self._offset += timedelta(seconds=seconds)
            return
        text = self._file.read_text().strip() if self._file.exists() else ""
        # Renamed into place: a reader must never see a half-written number.
        fresh = self._file.with_name(self._file.name + ".new")
        fresh.write_text(str(float(text or 0) + seconds))
        fresh.replace(self._file)


class Agenda:
    """What will happen later. Plain loop timers: a task for each of 2,000 waits a second would cost too much."""

    def __init__(self, speed: Callable[[], float]) -> None:
        self._speed = speed
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next = 0

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        if seconds <= 0:
            act()
            return
        self._next = key = self._next + 1

        def fire() -> None:
            self._timers.pop(key, None)
            act()

        loop = asyncio.get_running_loop()
        self._timers[key] = loop.call_later(seconds / self._speed(), fire)

    def track(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def pending(self) -> int:
        return len(self._timers) + len(self._tasks)

    async def settle(self) -> None:
        """Wait until nothing is due or under way any more."""
        while self.pending:
            if self._tasks:
                await asyncio.wait(self._tasks)
            else:
                loop = asyncio.get_running_loop()
                due = min(timer.when() for timer in self._timers.values())
                await asyncio.sleep(max(0, due - loop.time()))

    async def clear(self) -> None:
        """Forget every wait and cancel what is under way."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
