"""Counters that tests and benchmarks read; names are stable."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Stats"]


@dataclass
class Stats:
    """`counts` holds sessions, handshakes, user_messages, replies, missed_pongs and so on."""

    counts: Counter[str] = field(default_factory=Counter)
    closes: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    open: int = 0
    peak: int = 0
    handshakes_in_flight: int = 0
    peak_handshakes: int = 0

    def opened(self) -> None:
        self.open += 1
        self.peak = max(self.peak, self.open)

    def handshake(self, change: int) -> None:
        self.handshakes_in_flight += change
        self.peak_handshakes = max(self.peak_handshakes, self.handshakes_in_flight)

    def clear(self) -> None:
        """Forget the past; what is open now stays counted."""
        self.counts.clear()
        self.closes.clear()
        self.warnings.clear()
        self.peak, self.peak_handshakes = self.open, self.handshakes_in_flight

    def as_json(self) -> dict[str, Any]:
        flat = {name: self.counts[name] for name in _ALWAYS}
        flat.update(self.counts)
        return {
            "open": self.open,
            "peak": self.peak,
            "handshakes_in_flight": self.handshakes_in_flight,
            "peak_handshakes": self.peak_handshakes,
            **flat,
            "closes": dict(self.closes),
            "warnings": dict(self.warnings),
        }


_ALWAYS = (
    "handshakes",
    "handshakes_rejected",
    "sessions",
    "user_messages",
    "contextual_updates",
    "replies",
    "tool_calls",
    "interruptions",
    "discarded_in_queue",
    "swallowed",
    "ignored",
    "pings",
    "pongs",
    "missed_pongs",
    "webhooks",
    "signed_urls",
    "transcriptions",
)
