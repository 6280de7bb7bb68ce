"""What OpenTelemetry's own settings make of traces."""

from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from kit import tracing
from kit.metrics import Metrics
from kit.otlp import Hushed, exported, provider
from kit.settings import ServiceSettings


def settings(**given: Any) -> ServiceSettings:
    return ServiceSettings(otel_exporter_otlp_endpoint="http://127.0.0.1:9", _env_file=None, **given)


def test_without_an_endpoint_nothing_is_recorded() -> None:
    with exported(ServiceSettings(_env_file=None), "sender", Metrics()):
        assert tracing.NOW.tracer is None


@pytest.mark.parametrize(
    ("sampler", "share", "roots"),
    [
        ("parentbased_always_on", 0.05, 1.0),
        ("parentbased_always_off", 0.05, 0.0),
        ("parentbased_traceidratio", 0.05, 0.05),
        ("traceidratio", 0.05, None),
        ("always_on", 1.0, None),
    ],
)
def test_a_sampler_is_what_its_name_says(sampler: str, share: float, roots: float | None) -> None:
    with exported(settings(otel_traces_sampler=sampler, otel_traces_sampler_arg=share), "sender", Metrics()):
        assert tracing.NOW.roots == roots
    assert tracing.NOW.tracer is None


def test_a_resource_says_whose_spans_they_are() -> None:
    made = provider(settings(otel_resource_attributes="deployment.environment.name=a%20b,x=1"), "sender", Metrics())
    about = dict(made.resource.attributes)
    made.shutdown()
    assert (about["service.name"], about["service.namespace"]) == ("sender", "hilo")
    assert (about["deployment.environment.name"], about["x"]) == ("a b", "1")


class Collector(SpanExporter):
    def __init__(self) -> None:
        self.answers: list[SpanExportResult | Exception] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_collector_that_is_away_is_one_line_and_a_count(caplog: pytest.LogCaptureFixture) -> None:
    metrics, inside = Metrics(), Collector()
    good, bad = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
    inside.answers = [good, bad, ValueError("+34600111222"), bad, good, good]
    hushed = Hushed(inside, metrics)
    span: Any = object()
    for _ in range(6):
        hushed.export([span, span])
    assert [one.levelname for one in caplog.records] == ["WARNING", "INFO"]
    assert metrics.registry.get_sample_value("hilo_spans_total", {"result": "lost"}) == 6
    assert metrics.registry.get_sample_value("hilo_spans_total", {"result": "exported"}) == 6
