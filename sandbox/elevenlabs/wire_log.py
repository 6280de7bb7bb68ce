"""What crossed the wire, per conversation, within a fixed budget of memory."""

import json
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

__all__ = ["WireLog", "WireLogs"]

Direction = Literal["in", "out", "close", "note"]

_FRAMES = 400  # per conversation; the oldest go first
_CHARS = 4_000  # of one frame; a huge one is kept by its head and size
_PINGS = 4  # pings and pongs logged before they are only counted: they would push out what matters


class Entry(NamedTuple):
    ms: float
    direction: Direction
    phase: str
    text: str
    size: int


class WireLog:
    """Frames of one conversation both ways, with milliseconds since the handshake and the phase."""

    __slots__ = ("_entries", "_now", "_start", "chars", "keepalives")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._start = now()
        self._entries: deque[Entry] = deque()
        self.chars = 0
        self.keepalives = 0

    def add(self, direction: Direction, phase: str, text: str, *, keepalive: bool = False) -> int:
        """The change in characters kept, for the common budget."""
        if keepalive:
            self.keepalives += 1
            if self.keepalives > _PINGS:
                return 0
        before = self.chars
        ms = round((self._now() - self._start) * 1000, 1)
        self._entries.append(Entry(ms, direction, phase, text[:_CHARS], len(text)))
        self.chars += min(len(text), _CHARS) + 100
        if len(self._entries) > _FRAMES:
            self.chars -= len(self._entries.popleft().text) + 100
        return self.chars - before

    def as_json(self) -> list[dict[str, Any]]:
        return [_entry_json(entry) for entry in self._entries]


def _entry_json(entry: Entry) -> dict[str, Any]:
    shown: dict[str, Any] = {"ms": entry.ms, "dir": entry.direction, "phase": entry.phase}
    if entry.direction in ("close", "note"):
        about: dict[str, Any] = json.loads(entry.text)
        return shown | about
    try:
        return shown | {"frame": json.loads(entry.text)}
    except ValueError:
        return shown | {"raw": entry.text, "size": entry.size}


class WireLogs:
    """The logs of the newest conversations; beyond the budget the longest-known one is forgotten whole."""

    def __init__(self, now: Callable[[], float], *, conversations: int = 10_000, chars: int = 32_000_000) -> None:
        self._now = now
        self._most = conversations
        self._budget = chars
        self._chars = 0
        self._logs: OrderedDict[str, WireLog] = OrderedDict()

    def open(self, conversation_id: str) -> None:
        self._logs[conversation_id] = WireLog(self._now)
        if len(self._logs) > self._most:
            self._forget_oldest()

    def add(
        self, conversation_id: str, direction: Direction, phase: str, text: str, *, keepalive: bool = False
    ) -> None:
        log = self._logs.get(conversation_id)
        if log is None:
            return
        self._chars += log.add(direction, phase, text, keepalive=keepalive)
        while self._chars > self._budget and len(self._logs) > 1:
            self._forget_oldest()

    def get(self, conversation_id: str) -> WireLog | None:
        return self._logs.get(conversation_id)

    def clear(self) -> None:
        self._logs.clear()
        self._chars = 0

    def _forget_oldest(self) -> None:
        _, log = self._logs.popitem(last=False)
        self._chars -= log.chars
