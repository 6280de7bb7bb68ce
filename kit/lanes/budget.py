"""When most of a topic would have to be buried, the fault is not in its records."""

from collections import deque

__all__ = ["BurialBudget"]


class BurialBudget:
    """More than half of the last `memory` records, and at least `least`: stop instead of emptying the topic."""

    def __init__(self, memory: int = 1000, least: int = 100) -> None:
        self._least = least
        self._last: deque[bool] = deque(maxlen=memory)
        self._buried = 0

    def settled(self, count: int) -> None:
        """So many records were handled."""
        for _ in range(count):
            self._remember(buried=False)

    def buried(self) -> None:
        """One record was buried."""
        self._remember(buried=True)

    @property
    def spent(self) -> bool:
        """Whether the next burial would be one too many."""
        after = self._buried + 1
        return after >= self._least and 2 * after > len(self._last) + 1

    def _remember(self, *, buried: bool) -> None:
        if len(self._last) == self._last.maxlen:
            self._buried -= self._last[0]
        self._last.append(buried)
        self._buried += buried
