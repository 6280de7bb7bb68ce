"""Counting, and what Prometheus scrapes. What there is to count: kit/metric_names.py."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from kit.metric_names import DEFINITIONS, Bound, Definition, MetricName

__all__ = ["DOCUMENT", "OTHER", "Metrics", "document"]

DOCUMENT = Path(__file__).parents[1] / "docs" / "metrics.md"
OTHER = "other"

# One list for all: from a commit (ms) to a reply that waited for Twilio through an outage (minutes).
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 900.0)
Collector = Counter | Gauge | Histogram


class Metrics:
    """The metrics of one process. Not shared between processes, injected like any collaborator."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._metrics: dict[str, Collector] = {name: self._make(name, one) for name, one in DEFINITIONS.items()}
        self._looks: list[Callable[[], None]] = []
        ProcessCollector(registry=self.registry)  # CPU, memory, descriptors, start

    def _make(self, name: str, definition: Definition) -> Collector:
        labels = tuple(definition.labels)
        if definition.kind == "gauge":  # of several workers the worst is what matters
            return Gauge(name, definition.about, labels, registry=self.registry, multiprocess_mode="max")
        if definition.kind == "histogram":
            return Histogram(name, definition.about, labels, registry=self.registry, buckets=BUCKETS)
        return Counter(name, definition.about, labels, registry=self.registry)

    def count(self, name: MetricName, **labels: str) -> None:
        metric = self._labelled(name, labels)
        assert isinstance(metric, Counter)  # noqa: S101  # DEFINITIONS and the caller disagree: a bug of ours
        metric.inc()

    def set(self, name: MetricName, value: float, **labels: str) -> None:
        metric = self._labelled(name, labels)
        assert isinstance(metric, Gauge)  # noqa: S101
        metric.set(value)

    def observe(self, name: MetricName, seconds: float, **labels: str) -> None:
        metric = self._labelled(name, labels)
        assert isinstance(metric, Histogram)  # noqa: S101
        metric.observe(seconds)

    def look(self, look: Callable[[], None]) -> None:
        """Called before every scrape, to set gauges that are cheaper to look up than to keep."""
        self._looks.append(look)

    def forget(self, name: MetricName, **labels: str) -> None:
        """The series of a gauge that have these labels are gone, as a partition's that was revoked are."""
        self._metrics[name].remove_by_labels(labels)

    def _labelled(self, name: MetricName, labels: dict[str, str]) -> Collector:
        metric = self._metrics[name]
        if not labels:
            return metric
        bounds = DEFINITIONS[name].labels
        return metric.labels(**{label: _bounded(bounds[label], value) for label, value in labels.items()})

    def text(self) -> bytes:
        """The exposition that Prometheus scrapes: of all workers, where a service has several (kit/workers.py)."""
        for look in self._looks:
            look()
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


def _bounded(bound: Bound, value: str) -> str:
    known = value in bound if isinstance(bound, frozenset) else bound.fullmatch(value)
    return value if known else OTHER


def document() -> str:
    """docs/metrics.md."""
    rows = [
        f"| `{name}` | {one.kind} | {'<br>'.join(_told(*label) for label in one.labels.items()) or '–'} | {one.about} |"
        for name, one in DEFINITIONS.items()
    ]
    return HEAD + "\n".join(rows) + "\n"


def _told(label: str, bound: Bound) -> str:
    values = ", ".join(f"`{one}`" for one in sorted(bound)) if isinstance(bound, frozenset) else f"`{_shape(bound)}`"
    return f"`{label}`: {values}"


def _shape(bound: re.Pattern[str]) -> str:
    return bound.pattern.replace("|", " or ")


HEAD = """\
# Metrics

Written by `python -m kit.metrics` from `kit/metric_names.py`; a test compares them. Every service answers
`GET /metrics`. A label takes the values listed, or those of the pattern; any other one is counted as `other`.
How they are put to use: [observability.md](observability.md).

Besides these there are `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_start_time_seconds` and
`process_open_fds`, but not of an ingress with several workers. ElevenLabs tells no tokens and no cost while a
conversation is open, so there is no metric of them.

| name | kind | labels | meaning |
|---|---|---|---|
"""


if __name__ == "__main__":
    DOCUMENT.write_text(document())
