"""Liveness, readiness and metrics over HTTP, on a server that leaves signals alone."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from kit.connections import GuardedConnection
from kit.errors import Misconfigured
from kit.service import Service

__all__ = ["HttpServer", "open_port", "probe_routes", "probes"]

GRACE_S = 5  # an open request may still finish
BACKLOG = 2048  # connections that wait while the loop is busy
CONNECTIONS = 1000


def probe_routes(service: Service) -> list[Route]:
    """`/health` says that the loop turns, never how the broker is: its outage must not restart a healthy process."""

    async def health(_request: Request) -> Response:
        alive = all(getattr(part, "alive", True) for part in service.parts)
        state = {"status": "ok" if alive else "stuck", "service": service.tools.name}
        return JSONResponse(state, 200 if alive else 503)

    async def ready(_request: Request) -> Response:
        state = "ready" if service.ready else "not ready"
        return JSONResponse({"status": state, "service": service.tools.name}, 200 if service.ready else 503)

    async def metrics(_request: Request) -> Response:
        return Response(service.tools.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)]


def probes(service: Service) -> ASGIApp:
    return Starlette(routes=probe_routes(service))


def open_port(host: str, port: int, setting: str) -> socket.socket:
    """Raises Misconfigured, naming the setting, when the port is taken."""
    # The protocol is named because asyncio sets TCP_NODELAY only then: without it answers wait 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise Misconfigured([f"{setting} {port} is in use: stop what uses it or choose another"]) from None
    return listener


class HttpServer:
    """uvicorn as a part of a service. A port that is taken is a misconfiguration, named by its setting."""

    def __init__(
        self,
        app: ASGIApp,
        port: int,
        setting: str,
        host: str = "0.0.0.0",  # noqa: S104  # in a container
        *,
        listener: socket.socket | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        """`listener`: an open port that is used instead of opening one."""
        self._setting = setting
        self._address = (host, port)
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                app,
                http=partial(GuardedConnection, most=connections),  # type: ignore[arg-type]  # it is only called
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # nothing here asks who the client is
                lifespan="off",
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises Misconfigured when the port is taken."""
        listener = self._listener or open_port(*self._address, self._setting)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="http")
        await self._server.listening.wait()

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task:
            await self._task


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The service decides when to stop, and in which order."""
        yield
