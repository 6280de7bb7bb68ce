"""An OpenTelemetry collector as small as it can be: OTLP over HTTP, decoded, kept."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kit.probes import HttpServer
from sandbox.stack.ports import free_ports

__all__ = ["Collector", "Seen", "collecting"]


@dataclass(frozen=True)
class Seen:
    """A span as it came over the wire."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    attributes: dict[str, Any]
    failed: bool
    events: int


@dataclass
class Collector:
    url: str
    spans: list[Seen] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)

    def of(self, trace: str) -> list[Seen]:
        return [one for one in self.spans if one.trace == trace]

    async def take(self, request: Request) -> Response:
        assert request.headers["content-type"] == "application/x-protobuf"
        told = ExportTraceServiceRequest()
        told.ParseFromString(await request.body())
        for resource in told.resource_spans:
            self.resources.append(_values(resource.resource.attributes))
            self.spans += [_seen(span) for scope in resource.scope_spans for span in scope.spans]
        return Response(b"", media_type="application/x-protobuf")


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    (port,) = free_ports(1)
    collector = Collector(f"http://127.0.0.1:{port}")
    app = Starlette(routes=[Route("/v1/traces", collector.take, methods=["POST"])])
    server = HttpServer(app, port, "PORT", "127.0.0.1")
    await server.start()
    yield collector
    await server.stop()


def _seen(span: Span) -> Seen:
    return Seen(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=tuple(link.trace_id.hex() for link in span.links),
        attributes=_values(span.attributes),
        failed=span.status.code == 2,
        events=len(span.events),
    )


def _values(pairs: Any) -> dict[str, Any]:
    return dict(_named(pairs))


def _named(pairs: Any) -> Iterator[tuple[str, Any]]:
    for one in pairs:
        kind = one.value.WhichOneof("value")
        yield one.key, getattr(one.value, kind)
