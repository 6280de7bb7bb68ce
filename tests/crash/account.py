"""What a run comes to: one count for each fate of a message, and the verdict."""

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Account"]


@dataclass
class Account:
    sent: int = 0
    answered: int = 0
    lost: int = 0
    doubled: int = 0
    inverted: int = 0
    after_fence: int = 0
    strange: int = 0
    """Bubbles that no message of this contact, no apology and no person explains."""
    uncertain: int = 0
    expired: int = 0
    apologised: int = 0
    taken_over: int = 0
    undeliverable: int = 0
    throttled: int = 0
    refused: int = 0
    """Twilio gave up on the webhook: nobody promised anything."""
    turned_away: int = 0
    """Of the refused, what the ingress answered with neither yes nor 'try again'."""
    recovery_p50_s: float = 0.0
    recovery_p99_s: float = 0.0
    details: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        faults = self.lost + self.doubled + self.inverted + self.after_fence + self.strange + self.turned_away
        return not faults and self.telling

    @property
    def telling(self) -> bool:
        """Most of what was written was answered: a run of excuses proves nothing."""
        return 2 * self.answered > self.sent + self.refused

    def json(self) -> dict[str, Any]:
        return asdict(self)
