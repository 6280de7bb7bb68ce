"""One trace per message: `traceparent` travels in record headers (W3C Trace Context).

Two kinds of spans. `span` opens one where work comes in: its ids go into every log line and on to the next service,
whether anybody records them or not. `inner` is a step inside: it exists only in a trace that is recorded. Neither
takes a contact or a word of a client, and of an error only its class: its text may hold either.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    TracerProvider,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["Attributes", "SpanKind", "inner", "links", "origin", "outgoing", "record", "span"]

Attributes = Mapping[str, str | int | float | bool]
PROPAGATOR = TraceContextTextMapPropagator()
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
NOTHING: AbstractContextManager[Span] = nullcontext(INVALID_SPAN)
ORIGIN: ContextVar[Span] = ContextVar("origin", default=INVALID_SPAN)


@dataclass(slots=True)
class _Recording:
    tracer: Tracer | None = None
    roots: float | None = 1.0
    """Share of new traces that are recorded, each of them whole or not at all; None: the provider is asked for each."""


NOW = _Recording()


def record(provider: TracerProvider | None, *, roots: float | None = 1.0) -> None:
    """From now on spans are recorded by this provider; by none, they are their ids."""
    NOW.tracer = provider.get_tracer("hilo") if provider else None
    NOW.roots = roots


@contextmanager
def span(
    name: str,
    incoming: Mapping[str, str] | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    stay: bool = False,
) -> Iterator[Span]:
    """Work that comes in, below the span in `incoming`. `stay`: later lines of this task name the trace, too."""
    parent = PROPAGATOR.extract(incoming) if incoming else Context()
    one = _started(name, parent, kind, attributes)
    about = {"trace_id": f"{one.get_span_context().trace_id:032x}"}
    token = ORIGIN.set(one)
    try:
        with structlog.contextvars.bound_contextvars(**about), _under(one):
            yield one
    finally:
        ORIGIN.reset(token)
        if stay:
            structlog.contextvars.bind_contextvars(**about)


def inner(
    name: str,
    incoming: Mapping[str, str] | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
) -> AbstractContextManager[Span]:
    """A step of the work, below the current span or the one in `incoming`; nothing where that is not recorded."""
    if NOW.tracer is None:
        return NOTHING
    parent = PROPAGATOR.extract(incoming) if incoming and "traceparent" in incoming else None
    if not trace.get_current_span(parent).get_span_context().trace_flags.sampled:
        return NOTHING
    return _under(NOW.tracer.start_span(name, context=parent, kind=kind, attributes=attributes))


@contextmanager
def _under(one: Span) -> Iterator[Span]:
    with trace.use_span(one, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield one
        except BaseException as error:
            one.set_attribute("error.type", type(error).__name__)
            one.set_status(StatusCode.ERROR)
            raise


def _started(name: str, parent: Context, kind: SpanKind, attributes: Attributes | None) -> Span:
    above = trace.get_current_span(parent).get_span_context()
    if NOW.tracer is None:
        return _unrecorded(above, above.trace_flags if above.is_valid else SAMPLED)
    if NOW.roots is not None and not _sampled(above, NOW.roots):  # asking the SDK first costs as much as half a span
        return _unrecorded(above, TraceFlags(TraceFlags.DEFAULT))
    return NOW.tracer.start_span(name, context=parent, kind=kind, attributes=attributes)


def _sampled(above: SpanContext, roots: float) -> bool:
    return above.trace_flags.sampled if above.is_valid else random.random() < roots


def _unrecorded(above: SpanContext, flags: TraceFlags) -> Span:
    trace_id = above.trace_id or random.getrandbits(128) or 1
    return NonRecordingSpan(SpanContext(trace_id, random.getrandbits(64) or 1, is_remote=False, trace_flags=flags))


def links(incoming: Sequence[Mapping[str, str]]) -> list[Link]:
    """To the spans in these headers, for work that has several causes."""
    found = (trace.get_current_span(PROPAGATOR.extract(one)).get_span_context() for one in incoming)
    return [Link(context) for context in found if context.is_valid]


def outgoing() -> dict[str, str]:
    """Headers that carry the current span to the next service; empty outside of one."""
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier)
    return carrier


def origin() -> dict[str, str]:
    """Headers of the span that this work came in with, in whatever step it is now; empty outside of one."""
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier, trace.set_span_in_context(ORIGIN.get(), Context()))
    return carrier
