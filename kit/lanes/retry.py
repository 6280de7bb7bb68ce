"""From an exception to what becomes of the record."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

__all__ = ["Fate", "RetryPolicy", "Verdict"]

Classes = tuple[type[Exception], ...]


class Fate(Enum):
    RETRY = "retry"
    """Try again later; an attempt is spent."""
    WAIT = "wait"
    """Its time has not come; nothing is spent, nobody else is held."""
    HOLD = "hold"
    """A dependency is down; nothing is spent, and the throttle closes."""
    BURY = "bury"
    """It can never be handled."""


@dataclass(frozen=True, slots=True)
class Verdict:
    fate: Fate
    delay: float = 0.0
    """Seconds until the next attempt."""
    reason: str = ""
    """Short, to group by; of a burial only."""


@dataclass(frozen=True)
class RetryPolicy:
    """Capped exponential backoff with jitter; the classes of the caller's errors decide the rest.

    An exception may carry `after` (seconds, or None) and, if it is poison, `reason`. What belongs to no class is of
    unknown cause: retried `attempts` times, then buried as "exhausted".
    """

    poison: Classes = ()
    down: Classes = ()
    wait: Classes = ()
    attempts: int = 6
    """With the delays below about 12 s in all."""
    first: float = 0.5
    """Seconds before the second attempt."""
    shortest: float = 0.05
    """No wait that spends nothing is shorter, in seconds: it would be a loop."""
    longest: float = 20.0
    """No delay is longer, in seconds."""
    probe_every: float = 2.0
    """Seconds between looks at a dependency that is down."""
    jitter: Callable[[], float] = random.random
    """From 0 to 1; a herd that failed together shall not return together."""

    def judge(self, error: Exception, attempt: int) -> Verdict:
        """`attempt` counts from 0."""
        after: float | None = getattr(error, "after", None)
        if isinstance(error, self.poison):
            return Verdict(Fate.BURY, reason=getattr(error, "reason", type(error).__name__))
        pause = self.probe_every if after is None else max(self.shortest, after)
        if isinstance(error, self.wait):
            return Verdict(Fate.WAIT, pause)
        if isinstance(error, self.down):
            return Verdict(Fate.HOLD, pause)
        if attempt + 1 >= self.attempts:
            return Verdict(Fate.BURY, reason="exhausted")
        base = min(self.longest, self.first * 2.0 ** min(attempt, 64)) if after is None else after
        return Verdict(Fate.RETRY, base * (0.5 + self.jitter() / 2))
