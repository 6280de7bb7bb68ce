"""Time of the simulated service: real, or standing still until somebody advances it."""

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

from kit.clock import Clock, SystemClock

__all__ = ["SimClock", "Timer"]

ROUNDING_S = 1e-6  # 2.9 + 0.1 is not always 3.0
_SETTLE = 4  # loop turns that a woken task needs at most before it has armed its next timer


class Timer:
    """A promise to call back once; `cancel` may be repeated and drops the reference at once."""

    __slots__ = ("_callback", "_clock", "due")

    def __init__(self, clock: "SimClock", due: float, callback: Callable[[], None]) -> None:
        self._clock = clock
        self.due = due
        self._callback: Callable[[], None] | None = callback

    @property
    def live(self) -> bool:
        return self._callback is not None

    def cancel(self) -> None:
        if self._callback is not None:
            self._callback = None  # a dead timer must not keep its session in memory until it is due
            self._clock.count_dead()

    def fire(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class SimClock:
    """A `kit.clock.Clock` with timers, which `advance` makes due in order.

    In `real` mode time runs by itself and `advance` adds to it; in `virtual` mode only `advance` moves it.
    Protocol pings do not use it: their peer lives in real time.
    """

    def __init__(self, wall: Clock | None = None) -> None:
        self._wall = wall or SystemClock()
        self._offset = 0.0
        self._frozen: tuple[datetime, float] | None = None
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._dead = 0
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def mode(self) -> Literal["real", "virtual"]:
        return "virtual" if self._frozen else "real"

    def set_mode(self, mode: Literal["real", "virtual"]) -> None:
        if mode == "virtual":
            self._frozen = self._frozen or (self._wall.now(), self._wall.monotonic())
        elif self._frozen:
            _, since = self._frozen
            self._offset -= self._wall.monotonic() - since  # thaw without a jump
            self._frozen = None
        self._set_alarm()

    def now(self) -> datetime:
        wall = self._frozen[0] if self._frozen else self._wall.now()
        return wall + timedelta(seconds=self._offset)

    def unix(self) -> int:
        return int(self.now().timestamp())

    def monotonic(self) -> float:
        base = self._frozen[1] if self._frozen else self._wall.monotonic()
        return base + self._offset

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, partial(_wake, woken))
        try:
            await woken
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], Any]) -> Timer:
        timer = Timer(self, self.monotonic() + max(0.0, seconds), callback)
        heapq.heappush(self._heap, (timer.due, next(self._order), timer))
        if self._heap[0][2] is timer:
            self._set_alarm()
        return timer

    async def advance(self, seconds: float) -> None:
        """Move time forward, firing every timer at its own moment and letting what it woke run."""
        left = seconds
        while (due := self._next_due()) is not None:
            step = max(0.0, due - self.monotonic())
            if step > left + ROUNDING_S:
                break
            self._offset += step
            left = max(0.0, left - step)
            self._fire_due()
            for _ in range(_SETTLE):
                await asyncio.sleep(0)
        self._offset += left
        self._set_alarm()

    def stop(self) -> None:
        self._heap.clear()
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None

    def count_dead(self) -> None:
        self._dead += 1
        if self._dead > 100 and self._dead * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].live]
            heapq.heapify(self._heap)
            self._dead = 0

    def _next_due(self) -> float | None:
        while self._heap and not self._heap[0][2].live:
            heapq.heappop(self._heap)
            self._dead = max(0, self._dead - 1)
        return self._heap[0][0] if self._heap else None

    def _fire_due(self) -> None:
        while (due := self._next_due()) is not None and due <= self.monotonic() + ROUNDING_S:
            heapq.heappop(self._heap)[2].fire()

    def _set_alarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        due = self._next_due()
        if due is None or self._frozen:
            return
        with contextlib.suppress(RuntimeError):  # no loop yet: `call_later` will come again inside one
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(max(0.0, due - self.monotonic()), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        try:
            self._fire_due()
        finally:  # what one timer raised must not stop the others for ever
            self._set_alarm()


def _wake(sleeper: "asyncio.Future[None]") -> None:
    if not sleeper.done():
        sleeper.set_result(None)
