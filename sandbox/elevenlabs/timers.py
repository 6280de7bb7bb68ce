"""Named timers of one session on the simulator's clock."""

from collections.abc import Callable
from typing import Any

from sandbox.elevenlabs.clock import SimClock, Timer

__all__ = ["Timers"]


class Timers:
    """At most one timer per name; after `close` nothing is armed any more."""

    __slots__ = ("_clock", "_closed", "_timers")

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._timers: dict[str, Timer] = {}
        self._closed = False

    def after(self, seconds: float, do: Callable[[], Any], name: str) -> None:
        """Call later, or at once for zero; an older timer of the name is dropped."""
        self.disarm(name)
        if self._closed:
            return
        if seconds <= 0:
            do()
        else:
            self._timers[name] = self._clock.call_later(seconds, do)

    def disarm(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer:
            timer.cancel()

    def armed(self, name: str) -> bool:
        timer = self._timers.get(name)
        return timer is not None and timer.live

    def close(self) -> None:
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
