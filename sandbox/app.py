"""The whole product on one machine: Kafka, MongoDB, the world outside, and the four services as in production."""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import httpx

from kit.errors import HiloError
from kit.kafka import topics
from kit.settings import KafkaSettings
from sandbox.layout import Layout
from sandbox.screen import Screen
from sandbox.stack.child import Child
from sandbox.stack.errors import StackError
from sandbox.stack.ports import require_free
from sandbox.stack.stack import Stack

__all__ = ["PAGES", "SERVICES", "Sandbox"]

WORLD = ("twilio", "elevenlabs", "backend")
SERVICES = ("ingress", "processor", "sender", "janitor")
PAGES = ("console",)
READY_S = 30.0
STOP_S = 8.0  # the longest a part may take; they stop at the same time
RESTART_S = 1.0


class Sandbox:
    """`start`, `stop`; between them `layout` tells where everything is.

    A service that dies is started again, as an orchestrator would; without Kafka or MongoDB there is nothing to run,
    and `lost` says so.
    """

    def __init__(
        self,
        layout: Layout,
        screen: Screen,
        *,
        kafka: str | None = None,
        mongo: str | None = None,
        pages: tuple[str, ...] = (),
    ) -> None:
        """`pages`: those of PAGES that are wanted."""
        self.layout = layout
        self._services = (*SERVICES, *pages)
        self._say = screen.say
        self._data = Path(layout.data)
        self._stack = Stack(
            self._data,
            kafka_port=layout.ports.kafka,
            mongo_port=layout.ports.mongo,
            kafka=kafka,
            mongo=mongo,
            progress=screen.progress,
        )
        self._children: dict[str, Child] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._stopping = False
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def start(self, *, infra_only: bool = False) -> None:
        """Raises StackError, with nothing left running."""
        try:
            if not infra_only:
                self._require_ports()
            await self._infrastructure()
            if not infra_only:
                await self._provision()
                await self._all(WORLD)
                await self._all(self._services)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Everything, at most STOP_S for the services and as long again for Kafka and MongoDB. Harmless twice."""
        self._stopping = True
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await asyncio.gather(*(child.stop(STOP_S) for child in self._children.values()))
        self._children.clear()
        await self._stack.stop()

    def pid(self, part: str) -> int:
        return self._children[part].pid

    def _require_ports(self) -> None:
        for part in (*WORLD, "twilio_control", *self._services):
            setting = "--ingress-port" if part == "ingress" else "--any-ports"
            require_free(getattr(self.layout.ports, part), purpose=part, setting=setting)

    async def _infrastructure(self) -> None:
        self._say("Kafka and MongoDB: starting")
        began = time.monotonic()
        await self._stack.start()
        self.layout = replace(
            self.layout,
            pid=os.getpid(),
            kafka_servers=self._stack.bootstrap_servers,
            mongodb_uri=self._stack.mongodb_uri,
        )
        self._say(f"Kafka and MongoDB: ready after {time.monotonic() - began:.1f} s")
        for server in (self._stack.kafka, self._stack.mongo):
            if server is not None:
                self._watchers.append(asyncio.create_task(self._watch_server(server.child)))

    async def _provision(self) -> None:
        settings = KafkaSettings(kafka_bootstrap_servers=self.layout.kafka_servers, _env_file=None)
        try:
            found = await topics.create(settings)
        except HiloError as error:
            raise StackError(f"The topics could not be created: {error}.") from error
        self._say(f"Topics: {sum(one.state == 'ok' for one in found)} of {len(found)} as the table says")

    async def _all(self, parts: tuple[str, ...]) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(self._start(part))
        self._say(f"{', '.join(parts)}: ready after {time.monotonic() - began:.1f} s")

    async def _start(self, part: str) -> None:
        environment = {**os.environ, **self.layout.environment(part)}
        log = self._data / "logs" / f"{part}.log"
        # A folder of its own as working directory: no `.env` of a real installation is read by accident.
        child = Child(part, self.layout.command(part), log=log, env=environment, cwd=self._data)
        await child.start()
        self._children[part] = child
        await self._until_ready(part, child)
        self._watchers.append(asyncio.create_task(self._watch(part, child)))

    async def _until_ready(self, part: str, child: Child) -> None:
        path = {"twilio_control": "/_sim/health", "elevenlabs": "/__sim/stats", "backend": "/health"}
        place = "twilio_control" if part == "twilio" else part
        url = self.layout.url(place) + path.get(place, "/ready")
        async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
            for _ in range(int(READY_S / 0.1)):
                if child.returncode is not None:
                    raise StackError(await _obituary(part, child))
                try:
                    if (await client.get(url)).is_success:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.1)
        raise StackError(f"{part} is not ready after {READY_S:g} s; its log: {child.log}")

    async def _watch(self, part: str, child: Child) -> None:
        code = await child.exited()
        if self._stopping:
            return
        self._say(f"{part} ended with {code}: starting it again")
        await asyncio.sleep(RESTART_S)
        try:
            await self._start(part)
        except StackError as error:
            self._lose(str(error))

    async def _watch_server(self, child: Child) -> None:
        await child.exited()
        if not self._stopping:
            self._lose(await _obituary(child.name, child))

    def _lose(self, sentence: str) -> None:
        if not self.lost.done():
            self.lost.set_result(sentence)


async def _obituary(part: str, child: Child) -> str:
    last = (await child.tail(1) or ["nothing"])[-1]
    return f"{part} ended with {child.returncode}; its last words: {last} (log: {child.log})"
