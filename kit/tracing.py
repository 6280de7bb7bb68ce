"""One trace per message: `traceparent` travels in record headers (W3C Trace Context)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["configure", "outgoing", "span"]

PROPAGATOR = TraceContextTextMapPropagator()


def configure() -> None:
    """Make spans real, so that ids are. They are exported once an exporter is installed."""
    trace.set_tracer_provider(TracerProvider())


@contextmanager
def span(name: str, incoming: Mapping[str, str] | None = None) -> Iterator[None]:
    """A span below the one in `incoming`; its trace id stands in every log line inside. No contact in its name."""
    parent = PROPAGATOR.extract(dict(incoming or {}))
    with trace.get_tracer("hilo").start_as_current_span(name, context=parent) as current:
        trace_id = format(current.get_span_context().trace_id, "032x")
        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            yield


def outgoing() -> dict[str, str]:
    """Headers that carry the current span to the next service; empty outside of one."""
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier)
    return carrier
