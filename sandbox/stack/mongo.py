"""A server that speaks MongoDB's wire protocol on 127.0.0.1: a `mongod` of this machine, else the embedded one."""

import os
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.stack.child import Child
from sandbox.stack.folder import DataFolder
from sandbox.stack.jars import Progress, default_cache, jar_paths, silent
from sandbox.stack.java import java_environment
from sandbox.stack.ports import HOST, free_ports, require_free
from sandbox.stack.readiness import until_ready, with_port_retries

READY_WITHIN_S = 60  # 1.3 s on two idle cores
STOP_GRACE_S = 5  # the embedded server closes its store within 1 s
PING_MS = 2000
PROJECT = Path(__file__).parents[2]


class MongoServer:
    """A server whose documents outlive `stop()` as long as `data` is kept; see `kill()` for what that loses.

    Without `port` it takes a free one. `embedded=True` ignores a `mongod` on the PATH.
    """

    def __init__(
        self,
        data: Path,
        port: int | None = None,
        *,
        cache: Path | None = None,
        progress: Progress = silent,
        port_setting: str = "--mongo-port",
        embedded: bool = False,
    ) -> None:
        self._log = data.absolute() / "logs" / "mongo.log"
        self._wanted_port = port
        self._cache = (cache or default_cache()).absolute()
        self._progress = progress
        self._port_setting = port_setting
        self._mongod = None if embedded else shutil.which("mongod")
        # Two formats, hence two folders.
        self._folder = DataFolder(data / ("mongod" if self._mongod else "mongo"))
        self._port = 0
        self._child: Child | None = None

    @property
    def uri(self) -> str:
        return f"mongodb://{HOST}:{self._port}"

    @property
    def embedded(self) -> bool:
        """Whether this is the embedded server, without partial indexes and transactions (ADR 0011)."""
        return self._mongod is None

    @property
    def child(self) -> Child:
        """The server's process."""
        if self._child is None:
            raise RuntimeError("MongoDB has not been started")
        return self._child

    async def start(self) -> None:
        """Fetch and run what is needed; returns when the server answers. Raises `StackError`."""
        if self._child and self._child.returncode is None:
            raise RuntimeError("MongoDB runs already: stop or kill it first")
        if self._wanted_port:
            require_free(self._wanted_port, purpose="MongoDB", setting=self._port_setting)
        jars = [] if self._mongod else await jar_paths("mongo", self._cache, self._progress)
        await self._folder.claim()
        try:
            await with_port_retries(lambda: self._run(jars), lambda: self._child, fixed=self._wanted_port)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the store cleanly, or by force after the grace; harmless when it does not run."""
        await self._end(STOP_GRACE_S)

    async def restart(self) -> None:
        """Shut down cleanly and start again on the same port. Raises `StackError`."""
        await self.stop()
        self._wanted_port = self._port
        await self.start()

    async def kill(self) -> None:
        """Kill -9 and wait for the end; the embedded server loses the last 10 ms of acknowledged writes."""
        if self._child:
            self._child.kill()  # before the SIGTERM of an ordinary end, which would be a shorter shutdown
        await self._end(0)

    async def _end(self, grace: float) -> None:
        if self._child:
            await self._child.stop(grace)
        self._folder.release()

    async def _run(self, jars: list[Path]) -> None:
        self._port = self._wanted_port or free_ports(1)[0]
        command = self._mongod_command(self._mongod) if self._mongod else self._embedded_command(jars)
        python_path = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = java_environment() | {"PYTHONPATH": os.pathsep.join(python_path)}
        child = Child("MongoDB", command, log=self._log, env=environment, inherits=[self._folder.handle])
        await child.start()
        self._child = child
        await until_ready(child, self._port, self._pings, within=READY_WITHIN_S)

    def _embedded_command(self, jars: list[Path]) -> list[str]:
        where = ["--port", str(self._port), "--data", str(self._folder.path), "--jars", os.pathsep.join(map(str, jars))]
        return [sys.executable, "-m", "sandbox.stack.mongo_host", *where]

    def _mongod_command(self, mongod: str) -> list[str]:
        where = ["--bind_ip", HOST, "--port", str(self._port), "--dbpath", str(self._folder.path), "--nounixsocket"]
        return [mongod, *where, "--quiet", "--wiredTigerCacheSizeGB", "0.25"]

    async def _pings(self) -> bool:
        from pymongo import AsyncMongoClient
        from pymongo.errors import PyMongoError

        client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(
            self.uri, serverSelectionTimeoutMS=PING_MS, directConnection=True
        )
        try:
            await client.admin.command("ping")
        except PyMongoError:
            return False
        finally:
            await client.close()
        return True

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
