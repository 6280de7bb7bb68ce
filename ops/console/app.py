"""Bootstrap of the console: the only place that builds its clients."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from kit.kafka.broker import client_options
from kit.kafka.outlet import Outlet
from kit.mongo import Mongo
from kit.probes import HttpServer, probe_routes
from kit.reads import Reads
from kit.service import Service, Tools, run
from ops.console.acting import Acting
from ops.console.board import Board
from ops.console.desk import Desk
from ops.console.door import Door
from ops.console.entrance import Entrance
from ops.console.feed import Feed
from ops.console.health import Health
from ops.console.inbox import Inbox
from ops.console.letters import Letters
from ops.console.looking import Looking
from ops.console.overlay import Overlay
from ops.console.pending import Pending
from ops.console.rendering import Pages
from ops.console.reveals import Reveals
from ops.console.sessions import Attempts, Sessions
from ops.console.settings import ConsoleSettings
from ops.console.tail import Tail
from ops.console.undertaking import Undertaking

__all__ = ["application", "build", "desk", "main"]

HERE = Path(__file__).parent


def build(settings: ConsoleSettings, tools: Tools) -> Service:
    """It starts without Kafka and MongoDB: the pages say what is away."""
    service = Service(tools)
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, tools.clock, tools.metrics)
    mongo = Mongo(settings)
    work = desk(settings, tools, outlet, Reads(mongo.database))
    server = HttpServer(application(work, probe_routes(service)), settings.console_port, "CONSOLE_PORT")
    # The feed stops first: a server waits for what is open, and the pages' connections never end by themselves.
    parts = (outlet, work.board, work.tail, work.pending, work.undertaking, server, work.feed)
    service.parts = (_Closing(mongo), *parts)
    return service


class _Closing:
    """The store is not waited for at the start; its connections are closed at the end all the same."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo

    async def start(self) -> None:
        """Nothing: the first question opens them."""

    async def stop(self) -> None:
        await self._mongo.stop()


def desk(settings: ConsoleSettings, tools: Tools, outlet: Outlet, reads: Reads) -> Desk:
    clock = tools.clock
    token, lasts = settings.console_token.get_secret_value(), timedelta(hours=settings.console_session_h)
    overlay, board = Overlay(), Board(reads, clock)
    looking, pages = Looking(reads, overlay), Pages(clock, Reveals(clock))
    feed = Feed(looking, overlay, board, pages, clock)
    tail = Tail(settings, feed.heard, feed.state_changed)
    pending = Pending(outlet, reads, clock, feed.changed)
    sessions = Sessions(token, lasts, clock)
    feed.watch(lambda: tail.up, pending.of, sessions.lasts)
    return Desk(
        settings=settings,
        clock=clock,
        sessions=sessions,
        attempts=Attempts(clock),
        pages=pages,
        reads=reads,
        looking=looking,
        board=board,
        tail=tail,
        feed=feed,
        pending=pending,
        outlet=outlet,
        undertaking=Undertaking(settings, outlet, reads, clock),
    )


def application(work: Desk, probes: Sequence[BaseRoute] = ()) -> ASGIApp:
    """All that is behind the port, behind the door."""
    app = FastAPI(
        title="Hilo console",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False},
    )
    for views in (Entrance(work), Inbox(work), Acting(work), Letters(work), Health(work)):
        app.include_router(views.router())
    app.router.routes.extend(probes)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        words = work.say(request)("notfound") if error.status_code == 404 else str(error.detail)
        return PlainTextResponse(words, error.status_code)

    app.add_exception_handler(HTTPException, refused)
    return Door(app, work.sessions)


def main() -> int:
    return run("console", ConsoleSettings, build)
