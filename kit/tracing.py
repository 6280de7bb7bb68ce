"""One trace per message: `traceparent` travels in record headers (W3C Trace Context)."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["configure", "outgoing", "span"]

PROPAGATOR = TraceContextTextMapPropagator()
SAMPLED = TraceFlags(TraceFlags.SAMPLED)


def configure(exporter: SpanProcessor | None = None) -> None:
    """With an exporter spans are recorded for it; without one they are their ids, which is all that anybody sees.

    A recorded span costs 40 µs, a webhook has one or more, and FastAPI adds three to each of its requests.
    """
    if exporter is not None:
        provider = TracerProvider()
        provider.add_span_processor(exporter)
        trace.set_tracer_provider(provider)


@contextmanager
def span(name: str, incoming: Mapping[str, str] | None = None) -> Iterator[None]:
    """A span below the one in `incoming`; its trace id stands in every log line inside. No contact in its name."""
    parent = PROPAGATOR.extract(incoming) if incoming else Context()
    with _started(name, parent) as trace_id, structlog.contextvars.bound_contextvars(trace_id=f"{trace_id:032x}"):
        yield


@contextmanager
def _started(name: str, parent: Context) -> Iterator[int]:
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        with trace.get_tracer("hilo").start_as_current_span(name, context=parent) as current:
            yield current.get_span_context().trace_id
        return
    unseen = _unrecorded(parent)
    with trace.use_span(unseen, record_exception=False, set_status_on_exception=False):
        yield unseen.get_span_context().trace_id


def _unrecorded(parent: Context) -> Span:
    above = trace.get_current_span(parent).get_span_context()
    trace_id = above.trace_id or random.getrandbits(128) or 1
    flags = above.trace_flags if above.is_valid else SAMPLED
    return NonRecordingSpan(SpanContext(trace_id, random.getrandbits(64) or 1, is_remote=False, trace_flags=flags))


def outgoing() -> dict[str, str]:
    """Headers that carry the current span to the next service; empty outside of one."""
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier)
    return carrier
