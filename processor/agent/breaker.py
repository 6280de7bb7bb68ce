"""Stops asking a host that is down, so that a client hears an apology in seconds and the host can recover."""

from collections import deque

from kit.clock import Clock
from processor.agent.errors import AgentError

__all__ = ["Breaker"]

FAILURES, WITHIN_S, REST_S, QUOTA_REST_S = 5, 30.0, 10.0, 300.0


class Breaker:
    """Opens after `FAILURES` transient errors within `WITHIN_S` and no answer between them; at once for a quota.

    The answer resets the count: among thousands of turns five errors in half a minute are noise, five in a row are not.
    After its rest questions go through again; the first failure among them reopens it. What becomes of questions that
    were under way when the quota ended says nothing of it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: deque[float] = deque(maxlen=FAILURES)
        self._opened: AgentError | None = None
        self._until = 0.0

    def check(self) -> None:
        """Raises AgentError while it is open."""
        if self._opened is None or self._clock.monotonic() >= self._until:
            return
        kind = self._opened.kind
        raise AgentError(kind, "connect", f"not asked, {'quota is spent' if kind == 'quota' else 'host is failing'}")

    def succeeded(self) -> None:
        if self._spent():
            return
        self._failures.clear()
        self._opened = None

    def failed(self, error: AgentError) -> None:
        now = self._clock.monotonic()
        if error.kind == "quota":
            self._open(error, now + QUOTA_REST_S)
        elif self._spent():
            return
        elif error.kind == "transient" or (error.kind == "timeout" and error.phase in {"connect", "init"}):
            self._failures.append(now)
            full = len(self._failures) == FAILURES and now - self._failures[0] <= WITHIN_S
            if full or self._opened is not None:
                self._open(error, now + REST_S)

    def _spent(self) -> bool:
        return self._opened is not None and self._opened.kind == "quota" and self._clock.monotonic() < self._until

    def _open(self, error: AgentError, until: float) -> None:
        self._opened, self._until = error, until
