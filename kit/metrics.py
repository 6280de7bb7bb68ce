"""Every metric there is: name, kind, labels, meaning. A call with another name is a type error.

Label values are bounded: topics, outcomes, states, codes; never a contact, never an id.
"""

import os
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["DEFINITIONS", "Definition", "MetricName", "Metrics"]

MetricName = Literal[
    "hilo_webhooks_total",
    "hilo_publish_seconds",
    "hilo_publish_failures_total",
    "hilo_records_total",
    "hilo_handler_seconds",
    "hilo_lane_wait_seconds",
    "hilo_partitions_frozen_total",
    "hilo_commits_total",
    "hilo_rebalances_total",
    "hilo_given_back_total",
    "hilo_dead_letters_total",
    "hilo_turns_total",
    "hilo_turn_seconds",
    "hilo_drafts_stale_total",
    "hilo_voice_notes_total",
    "hilo_typing_total",
    "hilo_agent_attempts_total",
    "hilo_agent_seconds",
    "hilo_agent_sockets_total",
    "hilo_agent_unsolicited_total",
    "hilo_sends_total",
    "hilo_statuses_total",
    "hilo_send_alarms_total",
    "hilo_sends_repeated_total",
    "hilo_reconciled_total",
    "hilo_close_requests_total",
    "hilo_sweep_seconds",
    "hilo_repaired_total",
    "hilo_invariant_broken",
]


@dataclass(frozen=True, slots=True)
class Definition:
    kind: Literal["counter", "gauge", "histogram"]
    about: str
    labels: tuple[str, ...] = ()


DEFINITIONS: dict[MetricName, Definition] = {
    "hilo_webhooks_total": Definition("counter", "webhooks by route and answer", ("route", "status")),
    "hilo_publish_seconds": Definition("histogram", "from send to the broker's acknowledgement", ("topic",)),
    "hilo_publish_failures_total": Definition("counter", "sends the broker did not acknowledge in time", ("topic",)),
    "hilo_records_total": Definition(
        "counter", "records settled or put off: ok, buried, retry, wait, hold", ("topic", "outcome")
    ),
    "hilo_handler_seconds": Definition("histogram", "one attempt of a handler", ("topic",)),
    "hilo_lane_wait_seconds": Definition("histogram", "from admission to the start of a run", ("topic",)),
    "hilo_partitions_frozen_total": Definition("counter", "partitions stopped by the burial budget", ("topic",)),
    "hilo_commits_total": Definition("counter", "commits: ok, failed, fenced by a rebalance", ("result",)),
    "hilo_rebalances_total": Definition("counter", "revocations of partitions", ("group",)),
    "hilo_given_back_total": Definition("counter", "records given back in a hand-over", ("group",)),
    "hilo_dead_letters_total": Definition("counter", "records buried, by reason", ("topic", "reason")),
    "hilo_turns_total": Definition("counter", "turns decided, by outcome", ("outcome",)),
    "hilo_turn_seconds": Definition("histogram", "from taking a run to its turn being done", ("outcome",)),
    "hilo_drafts_stale_total": Definition("counter", "drafts thrown away because the thought went on", ()),
    "hilo_voice_notes_total": Definition("counter", "voice notes: heard, silent, failed", ("result",)),
    "hilo_typing_total": Definition("counter", "typing indicators shown, by result", ("result",)),
    "hilo_agent_attempts_total": Definition("counter", "attempts to ask the agent, by result", ("result",)),
    "hilo_agent_seconds": Definition("histogram", "one answered attempt", ()),
    "hilo_agent_sockets_total": Definition(
        "counter", "sockets to the agent: opened, reused, evicted, waited for", ("event",)
    ),
    "hilo_agent_unsolicited_total": Definition("counter", "replies of the agent that nobody asked for", ()),
    "hilo_sends_total": Definition("counter", "parts posted to Twilio, by outcome", ("outcome",)),
    "hilo_statuses_total": Definition("counter", "status callbacks applied, by status", ("status",)),
    "hilo_send_alarms_total": Definition("counter", "refusals by Twilio that a person has to look at", ("code",)),
    "hilo_sends_repeated_total": Definition(
        "counter", "parts posted again, or lost sight of, after no answer", ("end",)
    ),
    "hilo_reconciled_total": Definition("counter", "messages asked after at Twilio, by what came of it", ("result",)),
    "hilo_close_requests_total": Definition("counter", "close requests emitted by the janitor", ()),
    "hilo_sweep_seconds": Definition("histogram", "one sweep of the janitor", ()),
    "hilo_repaired_total": Definition("counter", "messages found in Twilio's list whose webhook never came", ()),
    "hilo_invariant_broken": Definition("gauge", "what breaks an invariant of the data now", ("invariant",)),
}


class Metrics:
    """The metrics of one process. Not shared between processes, injected like any collaborator."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._metrics: dict[str, Counter | Gauge | Histogram] = {
            name: self._make(name, definition) for name, definition in DEFINITIONS.items()
        }

    def _make(self, name: str, definition: Definition) -> Counter | Gauge | Histogram:
        kinds: dict[str, type[Counter | Gauge | Histogram]] = {
            "counter": Counter,
            "gauge": Gauge,
            "histogram": Histogram,
        }
        return kinds[definition.kind](name, definition.about, definition.labels, registry=self.registry)

    def count(self, name: MetricName, **labels: str) -> None:
        metric = self._metrics[name]
        assert isinstance(metric, Counter)  # noqa: S101  # DEFINITIONS and the caller disagree: a bug of ours
        (metric.labels(**labels) if labels else metric).inc()

    def set(self, name: MetricName, value: float, **labels: str) -> None:
        metric = self._metrics[name]
        assert isinstance(metric, Gauge)  # noqa: S101
        (metric.labels(**labels) if labels else metric).set(value)

    def observe(self, name: MetricName, seconds: float, **labels: str) -> None:
        metric = self._metrics[name]
        assert isinstance(metric, Histogram)  # noqa: S101
        (metric.labels(**labels) if labels else metric).observe(seconds)

    def text(self) -> bytes:
        """The exposition that Prometheus scrapes: of all workers, where a service has several (kit/workers.py)."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
