"""Bootstrap of the ingress: the only place that builds its clients."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from ingress.api import Api
from ingress.bodies import MAX_BODY, Problem, problem_response
from ingress.door import Door
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

__all__ = ["build", "main"]


def port(settings: IngressSettings) -> tuple[str, int]:
    return "INGRESS_PORT", settings.ingress_port


def build(settings: IngressSettings, tools: Tools) -> Service:
    service = Service(tools)
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, tools.clock, tools.metrics)
    mongo = Mongo(settings)
    app = FastAPI(
        title="Hilo ingress", version="1", redirect_slashes=False, max_body_size=MAX_BODY, telemetry={"tracing": False}
    )
    letters = DeadLetters(outlet, tools.clock, tools.metrics)
    app.include_router(Api(settings, outlet, Reads(mongo.database), tools).router())
    app.router.routes.extend(probe_routes(service))
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    door = Door(Webhooks(settings, outlet, letters, tools).routes, app, tools)
    server = HttpServer(
        door, settings.ingress_port, "INGRESS_PORT", listener=inherited_port(), connections=settings.max_connections
    )
    service.parts = (*leashed(), outlet, server)
    return service


async def _problem(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)  # noqa: S101
    return problem_response(problem)


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
