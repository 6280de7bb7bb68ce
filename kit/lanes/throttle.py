"""A dependency that is down closes the lanes; one probe at a time finds out when it is back."""

from collections.abc import Callable

__all__ = ["Throttle"]


class Throttle:
    """Closed: full concurrency. Tripped: nothing for a while, then one at a time, until a success reopens it.

    Only a success that *started* after the trip counts: hundreds of answers may be on their way when a dependency dies.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.tripped = False
        self._since = 0.0
        self._until = 0.0

    @property
    def half_open(self) -> bool:
        """Whether, of a tripped one, it is time for a probe."""
        return self._clock() >= self._until

    def trip(self, delay: float) -> None:
        """The dependency is away; look again after `delay` seconds. The longest delay told counts."""
        self.tripped = True
        self._since = self._clock()
        self._until = max(self._until, self._since + delay)

    def ok(self, started: float) -> None:
        """Something that started at `started` succeeded."""
        if self.tripped and started > self._since:
            self.tripped = False
            self._until = 0.0
