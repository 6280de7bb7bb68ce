"""How fast: WhatsApp takes 80 messages a second from a number, and one in six seconds to one person, after a burst."""

from dataclasses import dataclass

from kit.clock import Clock

__all__ = ["Pacer"]

BURST_S = 0.1  # of a number's rate, which may go out at once
SPACING_S = 1.0  # between two messages to one person: closer ones may arrive swapped
PAIR_S, PAIR_BURST = 6.0, 10  # Meta's limit of a pair: one in 6 s, after a burst (error 131056)
REMEMBERED = 10_000  # persons and places, before those that no longer matter are forgotten


@dataclass(slots=True)
class _Pair:
    free_at: float = 0.0
    spent_until: float = 0.0
    """The bucket is full again then."""


class Pacer:
    """Gives every send a place in the queue of its number; nobody sleeps in it, and a place is asked for by its id."""

    def __init__(self, clock: Clock, per_s: float) -> None:
        self._clock = clock
        self._every_s = 1 / per_s
        self._numbers: dict[str, float] = {}
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._places: dict[str, float] = {}

    def wait(self, number: str, contact: str, send_id: str) -> float:
        """Seconds until it is this one's turn. 0 uses the turn up; asking earlier keeps the place."""
        now = self._clock.monotonic()
        at = self._places.get(send_id)
        if at is None:
            at = self._place(number, contact, now)
        if at > now:
            self._places[send_id] = at
            return at - now
        self._places.pop(send_id, None)
        self._forget(now)
        return 0.0

    def _place(self, number: str, contact: str, now: float) -> float:
        pair = self._pairs.setdefault((number, contact), _Pair())
        at = max(now, pair.free_at, pair.spent_until - PAIR_S * (PAIR_BURST - 1))
        pair.free_at = at + SPACING_S
        pair.spent_until = max(pair.spent_until, at) + PAIR_S
        free = max(self._numbers.get(number, 0.0), now - BURST_S)
        self._numbers[number] = free + self._every_s
        return max(at, free)

    def _forget(self, now: float) -> None:
        if len(self._pairs) > REMEMBERED:
            self._pairs = {who: pair for who, pair in self._pairs.items() if pair.spent_until > now}
        if len(self._places) > REMEMBERED:
            self._places = {who: at for who, at in self._places.items() if at > now - 60}
