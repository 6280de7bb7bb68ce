"""Spans of consuming, named and described as OpenTelemetry's conventions for messaging say. Never with a key."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from opentelemetry.trace import Span

from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery, Raw
from kit.lanes import Run
from kit.tracing import Attributes, SpanKind, links, span
from schemas.topics import Topic

__all__ = ["burying", "processing"]


@contextmanager
def processing(topic: Topic, group: str, run: Run[Delivery]) -> Iterator[None]:
    """Below the span of the run's first record; the others are linked. What the lanes say afterwards is of it, too."""
    first = run.records[0]
    about = {**_about(topic, group, first.position), "messaging.message.id": first.envelope.id}
    parent = first.envelope.extensions
    with span(f"process {topic.name}", parent, kind=SpanKind.CONSUMER, attributes=about, stay=True) as one:
        try:
            yield
        finally:  # by now it has grown to all that it answers
            _joined(one, run)


def burying(topic: Topic, group: str, raw: Raw, position: Position, reason: str) -> AbstractContextManager[Span]:
    about = {**_about(topic, group, position), "error.type": reason}
    headers = {name: value.decode("latin-1") for name, value in raw.headers if name == "traceparent" and value}
    return span(f"bury {topic.name}", headers, attributes=about)


def _joined(one: Span, run: Run[Delivery]) -> None:
    if one.is_recording() and len(run.records) > 1:
        one.set_attribute("messaging.batch.message_count", len(run.records))
        for link in links([delivery.envelope.extensions for delivery in run.records[1:]]):
            one.add_link(link.context)


def _about(topic: Topic, group: str, position: Position) -> Attributes:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": topic.name,
        "messaging.destination.partition.id": str(position.partition),
        "messaging.kafka.offset": position.offset,
        "messaging.consumer.group.name": group,
    }
