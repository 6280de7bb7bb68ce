"""Spans to an OpenTelemetry collector, over HTTP. Nothing waits for it: what does not fit into its queue is lost.

Off without OTEL_EXPORTER_OTLP_ENDPOINT. Further names of OpenTelemetry's own (OTEL_EXPORTER_OTLP_HEADERS, …_TIMEOUT,
OTEL_BSP_…) are read from the environment by its SDK.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from urllib.parse import unquote

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased

from kit import tracing
from kit.logs import get_log
from kit.metrics import Metrics
from kit.settings import ServiceSettings

__all__ = ["Hushed", "exported", "provider"]

FLUSH_S = 3.0  # at the end; a collector that is away must not hold up a stop


@contextmanager
def exported(settings: ServiceSettings, service: str, metrics: Metrics) -> Iterator[None]:
    """While this lasts spans go to the collector, if one is set; at most FLUSH_S later it ends."""
    if not settings.otel_exporter_otlp_endpoint:
        yield
        return
    recording = provider(settings, service, metrics)
    tracing.record(recording, roots=_roots(settings))
    try:
        yield
    finally:
        tracing.record(None)
        flush = threading.Thread(target=recording.shutdown, name="traces", daemon=True)
        flush.start()
        flush.join(FLUSH_S)


def provider(settings: ServiceSettings, service: str, metrics: Metrics) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    for name in ("opentelemetry", "urllib3"):  # a line for each try of each batch
        logging.getLogger(name).setLevel(logging.CRITICAL)
    address = f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces"
    made = TracerProvider(_sampler(settings), _resource(settings, service), shutdown_on_exit=False)
    made.add_span_processor(BatchSpanProcessor(Hushed(OTLPSpanExporter(address), metrics)))
    return made


class Hushed(SpanExporter):
    """One line when the collector goes away, one when it is back; what it did not take is counted.

    It runs in a thread of its own.
    """

    def __init__(self, inside: SpanExporter, metrics: Metrics) -> None:
        self._inside = inside
        self._metrics = metrics
        self._away = False
        self._log = get_log("traces")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._inside.export(spans)
        except Exception:  # noqa: BLE001  # whatever a library makes of a collector that answers nonsense
            result = SpanExportResult.FAILURE
        lost = result is not SpanExportResult.SUCCESS
        if lost is not self._away:
            self._away = lost
            tell = self._log.warning if lost else self._log.info
            tell("traces are lost: the collector does not take them" if lost else "traces are taken again")
        for _ in spans:
            self._metrics.count("hilo_spans_total", result="lost" if lost else "exported")
        return result

    def shutdown(self) -> None:
        self._inside.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._inside.force_flush(timeout_millis)


def _roots(settings: ServiceSettings) -> float | None:
    """What `parentbased_…` samples of new traces, drawn by ourselves: the SDK's own way costs what is not recorded."""
    shares = {"always_on": 1.0, "always_off": 0.0, "traceidratio": settings.otel_traces_sampler_arg}
    by_parent = settings.otel_traces_sampler.startswith("parentbased_")
    return shares[settings.otel_traces_sampler.removeprefix("parentbased_")] if by_parent else None


def _sampler(settings: ServiceSettings) -> Sampler:
    ratio = TraceIdRatioBased(settings.otel_traces_sampler_arg)
    samplers = {"always_on": ALWAYS_ON, "always_off": ALWAYS_OFF, "traceidratio": ratio}
    return samplers.get(settings.otel_traces_sampler, ParentBased(ALWAYS_ON))


def _resource(settings: ServiceSettings, service: str) -> Resource:
    pairs = (one.partition("=") for one in settings.otel_resource_attributes.split(",") if "=" in one)
    given = {name.strip(): unquote(value.strip()) for name, _, value in pairs}
    ours = {"service.namespace": "hilo", "service.version": version("hilo"), "service.name": service}
    named = {"service.name": settings.otel_service_name} if settings.otel_service_name else {}
    return Resource.create({**ours, **given, **named})
