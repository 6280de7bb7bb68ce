"""Is a series flat? Pure.

A line is fitted by least squares to what was measured after the warm-up. What it gains from its beginning to its end
may be at most a share of its mean, or a small absolute amount where the mean is small. The fit and not the last value:
memory and sockets breathe with the load, and one sample more or less must not decide. The allowances are what an hour
showed as breathing; a leak shows itself in an hour: 8 MB in 40 minutes at 12 turns/s are 290 bytes a turn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["ALLOWED", "Allowance", "Trend", "trend"]

WARM_UP = 1 / 3  # of the run: pools fill, caches reach their bounds, the allocator its size


@dataclass(frozen=True, slots=True)
class Allowance:
    share: float
    least: float


ALLOWED: Mapping[str, Allowance] = {
    "memory_mb": Allowance(0.05, 8.0),
    "handles": Allowance(0.10, 6.0),
    "sockets": Allowance(0.10, 6.0),
    "tasks": Allowance(0.10, 20.0),
    "threads": Allowance(0.0, 10.0),  # motor's pool starts one when all are busy, five a core at most
}


@dataclass(frozen=True, slots=True)
class Trend:
    first: float
    last: float
    mean: float
    gain: float
    """Of the fitted line, from the end of the warm-up to the end of the run."""
    allowed: float

    @property
    def flat(self) -> bool:
        return self.gain <= self.allowed


def trend(points: Sequence[tuple[float, float]], allowance: Allowance) -> Trend:
    """`points` are (second, value), from the beginning of the run; at least three after the warm-up."""
    begin = points[0][0] + (points[-1][0] - points[0][0]) * WARM_UP
    judged = [(at, value) for at, value in points if at >= begin]
    if len(judged) < 3:
        raise ValueError("too short a run: three samples after the warm-up are the least")
    mean = sum(value for _, value in judged) / len(judged)
    return Trend(
        first=judged[0][1],
        last=judged[-1][1],
        mean=round(mean, 2),
        gain=round(_slope(judged) * (judged[-1][0] - judged[0][0]), 2),
        allowed=round(max(allowance.least, allowance.share * mean), 2),
    )


def _slope(points: Sequence[tuple[float, float]]) -> float:
    count = len(points)
    middle = sum(at for at, _ in points) / count
    mean = sum(value for _, value in points) / count
    spread = sum((at - middle) ** 2 for at, _ in points)
    return sum((at - middle) * (value - mean) for at, value in points) / spread
