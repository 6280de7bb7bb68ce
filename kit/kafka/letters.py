"""What stands in `dead.letters`: letters, and marks that say what was done with one (ADR 0023).

A mark stands in the partition of its letter, behind it. Kafka forgets a partition from its old end, so no letter
outlives its mark and seems open again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self

from kit.kafka.dead_letters import PREFIX, Position
from kit.kafka.reading import Stored
from schemas.attributes import Headers, Undecodable, WireRecord, header
from schemas.topics import DEAD_LETTERS

__all__ = ["Fate", "Letter", "Mark", "back_to_work"]

Fate = Literal["open", "redriven", "dropped"]
REDRIVEN = "hilo_redriven_"
MARK, MARKED = "hilo_mark", "hilo_mark_letter"


@dataclass(frozen=True, slots=True)
class Letter:
    """A buried record. `record` is as it was in its own topic: key, bytes and headers."""

    id: str
    """Partition and offset in `dead.letters`, as `3-17`."""
    position: Position
    buried_at: datetime
    origin: Position
    group: str
    reason: str
    detail: str
    attempts: int
    redrives: int
    """How often it had been put back before this burial."""
    came_from: str | None
    """The letter of its last burial before."""
    cut: int | None
    """Bytes it had where only its beginning could be kept, without its headers."""
    record: WireRecord

    @classmethod
    def read(cls, stored: Stored) -> Self | None:
        """None for a mark. Whatever else stands there is a letter, also when nobody wrote down why."""
        headers = stored.record.headers
        if _text(headers, MARK):
            return None
        about = {name.removeprefix(PREFIX): _text(headers, name) for name, _ in headers if name.startswith(PREFIX)}
        kept = [(name, value) for name, value in headers if not name.startswith(PREFIX)]
        origin = Position(about.get("topic", ""), _number(about, "partition"), _number(about, "offset"))
        return cls(
            id=f"{stored.position.partition}-{stored.position.offset}",
            position=stored.position,
            buried_at=stored.at,
            origin=origin,
            group=about.get("group", ""),
            reason=about.get("reason", "unknown"),
            detail=about.get("detail", ""),
            attempts=_number(about, "attempts"),
            redrives=_number({"count": _text(headers, f"{REDRIVEN}count")}, "count"),
            came_from=_text(headers, f"{REDRIVEN}from") or None,
            cut=_number(about, "cut") if "cut" in about else None,
            record=WireRecord(stored.record.key, stored.record.value, kept),
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """What was done with a letter. The last one counts."""

    letter: str
    fate: Fate
    by: str
    why: str
    at: datetime

    @classmethod
    def read(cls, stored: Stored) -> Self | None:
        """None for a letter."""
        headers = stored.record.headers
        fate = _text(headers, MARK)
        if fate not in {"redriven", "dropped"}:
            return None
        try:
            about = json.loads(stored.record.value or b"{}")
        except ValueError:
            about = {}
        by, why = str(about.get("by", "")), str(about.get("why", ""))
        return cls(_text(headers, MARKED), fate, by, why, stored.at)  # type: ignore[arg-type]  # one of the two

    def wire(self) -> WireRecord:
        """Goes into the letter's own partition."""
        value = json.dumps({"by": self.by, "why": self.why, "at": self.at.isoformat()}, ensure_ascii=False).encode()
        headers = {MARK: self.fate, MARKED: self.letter, "content-type": "application/json"}
        key = f"{DEAD_LETTERS.name}-{self.letter}".encode()
        return WireRecord(key, value, [(name, text.encode()) for name, text in headers.items()])


def back_to_work(letter: Letter, by: str, at: datetime) -> WireRecord:
    """The record for its own topic: as it was, and which letter it was, how often it has been put back, by whom."""
    about = {"from": str(letter.position), "count": str(letter.redrives + 1), "by": by, "at": at.isoformat()}
    kept = [(name, value) for name, value in letter.record.headers if not name.startswith(REDRIVEN)]
    headers = [*kept, *((REDRIVEN + name, value.encode()) for name, value in about.items())]
    return WireRecord(letter.record.key, letter.record.value, headers)


def _text(headers: Headers, name: str) -> str:
    try:
        return header(headers, name) or ""
    except Undecodable:
        return ""


def _number(about: Mapping[str, str], name: str) -> int:
    text = about.get(name, "")
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 19 else 0
