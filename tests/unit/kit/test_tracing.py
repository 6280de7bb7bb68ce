"""Spans: ids that go on from service to service, recorded only where somebody wants them."""

import asyncio
import re
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from kit.tracing import NOW, SpanKind, inner, links, origin, outgoing, record, span

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


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


@pytest.fixture
def recorded() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    record(provider)
    yield exporter
    record(None)


def test_a_recorded_span_is_the_one_that_is_carried(recorded: InMemorySpanExporter) -> None:
    with span("outer", {"traceparent": PARENT}, kind=SpanKind.SERVER, attributes={"a": 1}):
        carried = outgoing()["traceparent"]
    (one,) = recorded.get_finished_spans()
    assert one.context
    assert one.parent
    assert (one.name, one.kind, dict(one.attributes or {})) == ("outer", SpanKind.SERVER, {"a": 1})
    assert carried == f"00-{one.context.trace_id:032x}-{one.context.span_id:016x}-01"
    assert f"{one.parent.span_id:016x}" == PARENT.split("-")[2]


def test_below_an_unsampled_span_nothing_is_recorded(recorded: InMemorySpanExporter) -> None:
    with span("outer", {"traceparent": PARENT[:-2] + "00"}) as outer, inner("step") as step:
        assert not outer.is_recording()
        assert not step.is_recording()
    assert recorded.get_finished_spans() == ()


def test_of_new_traces_a_share_is_recorded_and_of_a_sampled_one_all(recorded: InMemorySpanExporter) -> None:
    assert NOW.tracer
    NOW.roots = 0.0
    with span("new"):
        assert outgoing()["traceparent"].endswith("-00")
    with span("below", {"traceparent": PARENT}):
        assert outgoing()["traceparent"].endswith("-01")
    assert [one.name for one in recorded.get_finished_spans()] == ["below"]


def test_a_step_is_below_the_span_and_the_origin_stays_the_span(recorded: InMemorySpanExporter) -> None:
    with span("outer"):
        above = outgoing()
        with inner("step"):
            assert outgoing() != above
            assert origin() == above
    step, outer = recorded.get_finished_spans()
    assert step.parent == outer.context


def test_a_step_may_belong_elsewhere(recorded: InMemorySpanExporter) -> None:
    """What a turn has decided is published in the turn's trace, by whoever finishes it."""
    with span("outer"), inner("send", {"traceparent": PARENT}):
        assert outgoing()["traceparent"].split("-")[1] == PARENT.split("-")[1]


def test_without_a_recorder_a_step_is_nothing() -> None:
    with span("outer"):
        above = outgoing()
        with inner("step") as step:
            assert outgoing() == above
        assert not step.is_recording()


def test_of_an_error_only_its_class_is_told(recorded: InMemorySpanExporter) -> None:
    def fail() -> None:
        with span("outer"), inner("step"):
            raise ValueError("+34600111222")

    with pytest.raises(ValueError, match="600"):
        fail()
    for one in recorded.get_finished_spans():
        assert (dict(one.attributes or {}), one.events) == ({"error.type": "ValueError"}, ())
        assert (one.status.status_code, one.status.description) == (StatusCode.ERROR, None)


def test_links_name_the_other_causes() -> None:
    (link,) = links([{"traceparent": PARENT}, {"traceparent": "nonsense"}, {}])
    assert f"{link.context.span_id:016x}" == PARENT.split("-")[2]


async def test_later_lines_of_a_task_name_the_trace_too() -> None:
    async def work() -> tuple[str, str | None]:
        with span("outer", stay=True):
            inside = outgoing()["traceparent"].split("-")[1]
        return inside, structlog.contextvars.get_contextvars().get("trace_id")

    inside, after = await asyncio.create_task(work())
    assert inside == after
    assert "trace_id" not in structlog.contextvars.get_contextvars()
