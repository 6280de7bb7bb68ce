"""How many runs may be at work, and who is next."""

import asyncio
from collections import deque
from typing import Protocol

from kit.lanes.throttle import Throttle

__all__ = ["Permits"]


class Holder(Protocol):
    holding: bool
    probing: bool


class Permits:
    """A run holds one while it works. One that lingers gives it back, and returns before any new run starts."""

    def __init__(self, concurrency: int, throttle: Throttle) -> None:
        self.in_flight = 0
        self._probing = 0
        self._concurrency = concurrency
        self._throttle = throttle
        self._returning: deque[tuple[Holder, asyncio.Future[None]]] = deque()

    def free(self) -> bool:
        """While a dependency is down one probe at a time is let through, whatever else is still at work."""
        if self.in_flight >= self._concurrency:
            return False
        return not self._throttle.tripped or (self._probing == 0 and self._throttle.half_open)

    def take(self, holder: Holder) -> None:
        self.in_flight += 1
        holder.holding = True
        if self._throttle.tripped:
            holder.probing = True
            self._probing += 1

    def give(self, holder: Holder) -> None:
        """Harmless for one that holds none: a task may end while it lingers."""
        if not holder.holding:
            return
        self.in_flight -= 1
        self._probing -= holder.probing
        holder.holding = holder.probing = False

    def queue(self, holder: Holder) -> asyncio.Future[None]:
        """Done once `holder` has a permit again; the caller pumps."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._returning.append((holder, waiting))
        return waiting

    def serve(self) -> None:
        """Give permits to those who return, in their order."""
        while self._returning and self.free():
            holder, waiting = self._returning.popleft()
            if not waiting.done():  # else it was cancelled meanwhile
                self.take(holder)
                waiting.set_result(None)
