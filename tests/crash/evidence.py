"""What a run leaves behind for the oracle: what was written, what was seen on handsets, and what we told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.crash.clients import Sent
from tests.crash.operators import Shift

__all__ = ["Evidence", "Excuse", "Shown", "turn_of"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A bubble of ours on a handset; `posted`: when Twilio got it; `send`: which one, by its callback's URL."""

    contact: int
    place: int
    posted: datetime
    body: str
    send: str = ""


@dataclass(frozen=True, slots=True)
class Excuse:
    """A notice that says a reply was not shown, or perhaps shown twice. What came after it, it cannot speak of."""

    kind: str
    at: datetime
    send: str = ""
    """Empty where no reply was decided at all."""


@dataclass
class Evidence:
    sent: Sequence[Sent]
    shown: Sequence[Shown]
    shifts: Sequence[Shift] = ()
    excuses: Mapping[int, Sequence[Excuse]] = field(default_factory=dict)
    """By contact."""
    blows: Sequence[tuple[datetime, str]] = ()
    """When something was killed or paused, and what."""


def turn_of(send: str) -> str:
    return send.rpartition("-")[0]
