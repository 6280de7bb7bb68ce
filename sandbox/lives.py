"""Which part of the sandbox runs, and how long it was away the last time."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Life", "Lives"]

SERVERS = ("kafka", "mongo")


@dataclass(frozen=True, slots=True)
class Life:
    part: str
    state: Literal["up", "down"]
    since: float
    """Monotonic."""
    away_s: float | None = None
    """How long it was down before it came back."""

    def story(self, now: float) -> dict[str, Any]:
        return {"part": self.part, "state": self.state, "for_s": round(now - self.since, 1), "away_s": self.away_s}


class Lives:
    """`changed` is called with each new state. `whole` is set while Kafka and MongoDB both run."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lives: dict[str, Life] = {}
        self.whole = asyncio.Event()
        self.whole.set()
        self.changed: Callable[[dict[str, Any]], None] = lambda _: None

    def rose(self, part: str) -> None:
        before, now = self._lives.get(part), self._monotonic()
        fell = before.since if before and before.state == "down" else None
        self._put(Life(part, "up", now, None if fell is None else round(now - fell, 1)))

    def fell(self, part: str) -> None:
        """Harmless twice: the first moment counts."""
        if not self.up(part):
            return
        self._put(Life(part, "down", self._monotonic()))

    def up(self, part: str) -> bool:
        life = self._lives.get(part)
        return life is not None and life.state == "up"

    def stories(self) -> list[dict[str, Any]]:
        now = self._monotonic()
        return [life.story(now) for life in self._lives.values()]

    def _put(self, life: Life) -> None:
        self._lives[life.part] = life
        down = any(one.state == "down" for one in self._lives.values() if one.part in SERVERS)
        (self.whole.clear if down else self.whole.set)()
        self.changed(life.story(self._monotonic()))
