"""Bootstrap of the ingress: the only place that builds its clients."""

from collections.abc import Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from ingress.api import Api
from ingress.bodies import Problem, problem_response
from ingress.door import Door
from ingress.gate import Gate
from ingress.rates import Rate
from ingress.routes import Webhooks
from ingress.settings import IngressSettings
from kit.kafka.broker import client_options
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.outlet import Outlet
from kit.mongo import Mongo
from kit.probes import HttpServer, probe_routes
from kit.reads import Reads
from kit.service import Service, Tools
from kit.workers import inherited_port, leashed, run

__all__ = ["application", "build", "main"]


def port(settings: IngressSettings) -> tuple[str, int]:
    return "INGRESS_PORT", settings.ingress_port


def build(settings: IngressSettings, tools: Tools) -> Service:
    service = Service(tools)
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, tools.clock, tools.metrics)
    app = application(settings, outlet, Reads(Mongo(settings).database), tools, probe_routes(service))
    server = HttpServer(
        app,
        settings.ingress_port,
        "INGRESS_PORT",
        listener=inherited_port(),
        connections=settings.max_connections,
    )
    service.parts = (*leashed(), outlet, server)
    return service


def application(
    settings: IngressSettings, outlet: Outlet, reads: Reads, tools: Tools, probes: Sequence[BaseRoute] = ()
) -> ASGIApp:
    """All that is behind the port: the webhooks, and the API behind its gate."""
    api = FastAPI(
        title="Hilo ingress",
        version="1",
        description="For the main backend. Calls go to Kafka; what is read comes from MongoDB.",
        redirect_slashes=False,
        telemetry={"tracing": False},  # spans of our own are enough
    )
    api.include_router(Api(settings, outlet, reads, tools).router())
    api.router.routes.extend(probes)
    handlers = {Problem: _problem, RequestValidationError: _invalid, HTTPException: _refused, Exception: _broken}
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)
    rate = Rate(tools.clock, settings.api_rate_per_s, settings.api_burst)
    gate = Gate(api, [token.get_secret_value() for token in settings.api_token], rate)
    webhooks = Webhooks(settings, outlet, DeadLetters(outlet, tools.clock, tools.metrics), tools)
    return Door(webhooks.routes, gate, tools)


async def _problem(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)  # noqa: S101
    return problem_response(problem)


async def _refused(_request: Request, error: Exception) -> Response:
    """What FastAPI itself refuses: no such route, another method, a body that is no JSON or too large."""
    assert isinstance(error, HTTPException)  # noqa: S101
    return problem_response(Problem(error.status_code, str(error.detail), headers=dict(error.headers or {})))


async def _broken(_request: Request, _error: Exception) -> Response:
    """Said in the log only."""
    return problem_response(Problem(500, "this is our fault: try again"))


async def _invalid(_request: Request, error: Exception) -> Response:
    """FastAPI's own answer repeats what was sent; ours names the field only."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    fields = {_named(fault["loc"][1:]): fault["msg"] for fault in error.errors()}
    return problem_response(Problem(422, "the request cannot be used", fields))


def _named(location: tuple[str | int, ...]) -> str:
    """The field as the documentation spells it; "body" where it is no field that is wrong."""
    return ".".join(to_camel(part) for part in location if isinstance(part, str)) or "body"


def main() -> int:
    return run("ingress", IngressSettings, build, port)
