"""Benchmarks in pairs: both arms in one run, on one machine, and a ratio. Above 1 means that ours is better."""

import json
import os
import platform
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["BENCHES", "Figure", "Result", "bench", "cpu_seconds", "record"]

RESULTS = Path(__file__).parent / "results"
Bench = Callable[[], Awaitable["Figure"]]
BENCHES: dict[str, Bench] = {}


@dataclass
class Figure:
    """What a benchmark measured."""

    unit: str
    ours: float
    other: float
    other_is: str
    details: dict[str, Any] = field(default_factory=dict)
    less_is_better: bool = False

    @property
    def ratio(self) -> float:
        better, worse = (self.other, self.ours) if self.less_is_better else (self.ours, self.other)
        return better / worse if worse else 0.0


@dataclass
class Result:
    """One line of `tests/bench/results`; the keys are stable."""

    name: str
    unit: str
    ours: float
    other: float
    other_is: str
    ratio: float
    details: dict[str, Any]
    machine: str
    at: str


def bench(work: Bench) -> Bench:
    """Register a benchmark under its function's name."""
    BENCHES[work.__name__] = work
    return work


def record(name: str, figure: Figure) -> Result:
    result = Result(
        name=name,
        unit=figure.unit,
        ours=round(figure.ours, 4),
        other=round(figure.other, 4),
        other_is=figure.other_is,
        ratio=round(figure.ratio, 3),
        details=figure.details,
        machine=f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        at=datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(asdict(result), indent=2, ensure_ascii=False) + "\n")
    return result


def cpu_seconds() -> float:
    """User and system time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
