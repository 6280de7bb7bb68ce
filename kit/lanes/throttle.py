"""A dependency that is down closes the lanes; one probe at a time finds out when it is back."""

from collections.abc import Callable

__all__ = ["Throttle"]


class Throttle:
    """Closed: full concurrency. Tripped: nothing for a while, then one at a time, until a success reopens it.

    Only a success that *started* after the trip counts: hundreds of answers may be on their way when a dependency dies.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tripped: float | None = None
        self._until = 0.0

    @property
    def tripped(self) -> bool:
        return self._tripped is not None

    def allowed(self, full: int) -> int:
        """How many may run now."""
        if self._tripped is None:
            return full
        return 0 if self._clock() < self._until else 1

    def trip(self, delay: float) -> None:
        """The dependency is away; look again after `delay` seconds."""
        self._tripped = self._clock()
        self._until = self._tripped + delay

    def ok(self, started: float) -> None:
        """Something that started at `started` succeeded."""
        if self._tripped is not None and started > self._tripped:
            self._tripped = None
