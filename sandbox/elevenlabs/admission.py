"""Who may talk: a handshake counts against the total first, then the conversation against its own pool."""

from collections import Counter, deque
from datetime import date
from typing import Protocol

from sandbox.elevenlabs.agents import Limits
from sandbox.elevenlabs.clock import SimClock
from sandbox.elevenlabs.stats import Stats

__all__ = ["Admission", "Guest"]


class Guest(Protocol):
    """A session, as far as admission knows it."""

    @property
    def agent_id(self) -> str: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def text_only(self) -> bool: ...

    def on_admitted(self) -> None: ...


class Admission:
    """Counts over all agents; compares with the limits of the agent asked for."""

    def __init__(self, clock: SimClock, stats: Stats) -> None:
        self._clock = clock
        self._stats = stats
        self._holding: set[Guest] = set()
        self._seated: dict[Guest, bool] = {}
        self._per_agent: Counter[str] = Counter()
        self._chat = 0
        self._today: tuple[date, Counter[str]] = (date.min, Counter())
        self._queue: deque[Guest] = deque()

    def hold(self, guest: Guest) -> bool:
        """Count a handshake. False: over the limit (it is not counted then)."""
        if 0 <= guest.limits.workspace_voice <= len(self._holding) + len(self._seated) - self._chat:
            return False
        self._holding.add(guest)
        self._stats.handshake(+1)
        return True

    def release(self, guest: Guest) -> None:
        """The handshake is over. Harmless to repeat."""
        if guest in self._holding:
            self._holding.discard(guest)
            self._stats.handshake(-1)
            self._call_next()

    def enter(self, guest: Guest) -> bool:
        """Take a seat in the pool of the guest's kind, if there is one."""
        if not self._has_room(guest):
            return False
        self._seated[guest] = guest.text_only
        self._chat += guest.text_only
        self._per_agent[guest.agent_id] += 1
        self._daily()[guest.agent_id] += 1
        return True

    def wait(self, guest: Guest) -> None:
        self._queue.append(guest)

    def leave(self, guest: Guest) -> None:
        """Give everything back. Harmless to repeat."""
        if guest in self._queue:
            self._queue.remove(guest)
        self.release(guest)
        chat = self._seated.pop(guest, None)
        if chat is not None:
            self._chat -= chat
            self._per_agent[guest.agent_id] -= 1
            self._call_next()

    def new_day(self) -> None:
        """Forget the daily counts."""
        self._today = (date.min, Counter())

    def _has_room(self, guest: Guest) -> bool:
        limits = guest.limits
        pool, most = (
            (self._chat, limits.workspace_chat)
            if guest.text_only
            else (len(self._seated) - self._chat, limits.workspace_voice)
        )
        counts = (
            (pool, most),
            (self._per_agent[guest.agent_id], limits.agent),
            (self._daily()[guest.agent_id], limits.daily),
        )
        return all(limit < 0 or count < limit for count, limit in counts)

    def _daily(self) -> Counter[str]:
        today = self._clock.now().date()
        if self._today[0] != today:
            self._today = (today, Counter())
        return self._today[1]

    def _call_next(self) -> None:
        while self._queue and self.enter(self._queue[0]):
            self._queue.popleft().on_admitted()
