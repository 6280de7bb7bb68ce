"""What the lanes of one topic look like at each scrape. Nothing is kept: a partition that was revoked has no series."""

from collections.abc import Sequence
from typing import Any

from kit.clock import Clock
from kit.kafka.delivery import Raw
from kit.lanes import Glance, LaneExecutor, glance
from kit.metric_names import MetricName
from kit.metrics import Metrics

__all__ = ["LaneGauges"]

BY_PARTITION: tuple[MetricName, ...] = (
    "hilo_lane_records",
    "hilo_lane_oldest_seconds",
    "hilo_lane_window",
    "hilo_lane_choked",
)


class LaneGauges:
    def __init__(self, topic: str, metrics: Metrics, clock: Clock) -> None:
        self._topic = topic
        self._metrics = metrics
        self._clock = clock

    def show(self, executor: LaneExecutor[Raw, Any], poll_age_s: float) -> None:
        found = {str(getattr(source, "partition", source)): glance(one) for source, one in executor.ledgers.items()}
        for name in BY_PARTITION:
            self._metrics.forget(name, topic=self._topic)
        for partition, one in found.items():
            self._partition(partition, one)
        self._whole(list(found.values()))
        self._metrics.set("hilo_throttled", executor.throttle.tripped, topic=self._topic)
        self._metrics.set("hilo_poll_age_seconds", poll_age_s, topic=self._topic)

    def _partition(self, partition: str, one: Glance) -> None:
        at = {"topic": self._topic, "partition": partition}
        self._metrics.set("hilo_lane_records", one.records, **at)
        self._metrics.set("hilo_lane_oldest_seconds", self._age(one.oldest), **at)
        self._metrics.set("hilo_lane_window", one.window, **at)
        self._metrics.set("hilo_lane_choked", one.choked, **at)

    def _whole(self, found: Sequence[Glance]) -> None:
        topic = self._topic
        self._metrics.set("hilo_lanes", sum(one.lanes for one in found), topic=topic, state="live")
        self._metrics.set("hilo_lanes", sum(one.running for one in found), topic=topic, state="running")
        self._metrics.set("hilo_lanes", sum(one.waiting for one in found), topic=topic, state="waiting")
        self._metrics.set("hilo_lane_frozen", sum(one.frozen for one in found), topic=topic)

    def _age(self, oldest: Raw | None) -> float:
        return max(0.0, self._clock.now().timestamp() - oldest.timestamp / 1000) if oldest else 0.0
