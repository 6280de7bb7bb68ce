"""How fast one API token may ask: a bucket of `burst` requests that fills at `per_s`."""

from dataclasses import dataclass

from kit.clock import Clock

__all__ = ["Rate"]


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Rate:
    """Kept per process and key; the keys are our tokens, so there are as many buckets as tokens."""

    def __init__(self, clock: Clock, per_s: float, burst: int) -> None:
        self._clock = clock
        self._per_s = per_s
        self._burst = burst
        self._buckets: dict[int, _Bucket] = {}

    def take(self, key: int) -> float:
        """Seconds to wait before the next try; 0 means that this one may go on, and is counted."""
        now = self._clock.monotonic()
        bucket = self._buckets.setdefault(key, _Bucket(self._burst, now))
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self._per_s)
        bucket.at = now
        if bucket.left >= 1:
            bucket.left -= 1
            return 0.0
        return (1 - bucket.left) / self._per_s
