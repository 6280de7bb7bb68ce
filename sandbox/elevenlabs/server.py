"""One port for HTTP and WebSocket, without `uvicorn.Server`: no signal handlers, no lifespan, no waiting.

uvicorn's httptools protocol parses HTTP and runs the FastAPI app; an upgrade is handed to `WireSocket` (the
class named in uvicorn's `ws` option), which alone can do what the faults need. See `socket.py`.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from sandbox.elevenlabs.socket import Door, WireSocket

__all__ = ["Server"]

_STOP_S = 1.0  # for close frames to leave; the command line promises to be gone within 2 s


class Server:
    def __init__(self, app: Any, door: Door) -> None:
        wire = cast("Any", partial(WireSocket, door))
        self._config = Config(app, ws=wire, http="httptools", lifespan="off", log_config=None, access_log=False)
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Raises OSError if the port is taken."""
        self._config.load()
        make = cast("Callable[..., asyncio.Protocol]", self._config.http_protocol_class)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: make(config=self._config, server_state=self._state, app_state={}),
            host,
            port,
            backlog=4096,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close what is open with 1001 and leave, whether or not the clients answer."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await self._server.wait_closed()
        for connection in list(self._state.connections):
            connection.transport.abort()
        for task in list(self._state.tasks):
            task.cancel()
        await asyncio.sleep(0)
        self._server = None
