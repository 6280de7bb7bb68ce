"""Every bound of the lanes, with its unit and its reason."""

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    concurrency: int = 512
    """Runs at work at once; the agent's own limit is the other bound."""
    buffered: int = 2048
    """Records admitted and not settled, over all sources: enough to find `concurrency` different keys among them."""
    window: int = 3000
    """Records of one source behind its mark; then it is not polled: one stuck record cannot fill the memory."""
    lane: int = 64
    """Records of one key that wait; a flood of one contact stops its source there, until it is worked off."""
    handler_s: float = 60.0
    """Seconds a handler may work on a run, lingering not counted; above the agent's deadline over all attempts (40)."""
    bury_s: float = 6.0
    """Seconds for the acknowledgement of a burial; above the outlet's own deadline (5)."""

    @classmethod
    def for_concurrency(cls, concurrency: int, handler_s: float = 60.0) -> "Limits":
        """With as many records in hand for each run as there are with the defaults, never fewer than those."""
        usual = cls()
        buffered = usual.buffered * max(1.0, concurrency / usual.concurrency)
        return cls(concurrency, int(buffered), handler_s=handler_s)
