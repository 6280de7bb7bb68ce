"""What a ledger looks like from outside, for whoever watches."""

from dataclasses import dataclass
from typing import Any

from kit.lanes.ledger import Ledger

__all__ = ["Glance", "glance"]


@dataclass(frozen=True, slots=True)
class Glance:
    lanes: int
    """Keys with work."""
    running: int
    waiting: int
    """Of these, put off: their next attempt has a time."""
    records: int
    """Not settled."""
    window: int
    """Held back behind the oldest one that is not settled, itself included."""
    choked: int
    frozen: bool
    oldest: Any
    """The oldest record that is not settled, as it was admitted; None where there is none."""


def glance(ledger: Ledger) -> Glance:
    return Glance(
        lanes=len(ledger.lanes),
        running=len(ledger.running),
        waiting=sum(lane.timer is not None for lane in ledger.lanes.values()),
        records=ledger.unfinished,
        window=len(ledger.window),
        choked=ledger.choked,
        frozen=ledger.frozen,
        oldest=ledger.window[0].raw if ledger.window else None,
    )
