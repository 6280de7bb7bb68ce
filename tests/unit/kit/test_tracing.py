"""Spans: ids that go on from service to service, recorded only where somebody wants them."""

import re
import subprocess
import sys

from kit.tracing import outgoing, span

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RECORDED = """
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from kit import tracing
exporter = InMemorySpanExporter()
tracing.configure(SimpleSpanProcessor(exporter))
with tracing.span("outer", {"traceparent": "%s"}):
    carried = tracing.outgoing()["traceparent"]
(recorded,) = exporter.get_finished_spans()
print(recorded.name, carried == f"00-{recorded.context.trace_id:032x}-{recorded.context.span_id:016x}-01")
"""


def test_a_span_has_ids_of_its_own() -> None:
    with span("one"):
        first = outgoing()["traceparent"]
    with span("two"):
        second = outgoing()["traceparent"]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", first)
    assert first != second


def test_a_span_goes_on_with_the_trace_it_is_given() -> None:
    with span("below", {"traceparent": PARENT}):
        carried = outgoing()["traceparent"]
    assert carried.split("-")[1] == PARENT.split("-")[1]
    assert carried.split("-")[2] != PARENT.split("-")[2]


def test_a_trace_that_is_not_sampled_stays_so() -> None:
    with span("below", {"traceparent": PARENT[:-2] + "00"}):
        assert outgoing()["traceparent"].endswith("-00")


def test_a_traceparent_that_is_none_starts_a_trace() -> None:
    with span("below", {"traceparent": "nonsense"}):
        assert outgoing()["traceparent"].endswith("-01")


def test_outside_of_a_span_nothing_is_carried() -> None:
    assert outgoing() == {}


def test_with_an_exporter_spans_are_recorded() -> None:
    """In a process of its own: OpenTelemetry takes one provider for a process's life."""
    ran = subprocess.run([sys.executable, "-c", RECORDED % PARENT], capture_output=True, text=True, check=True)  # noqa: S603
    assert ran.stdout == "outer True\n"
