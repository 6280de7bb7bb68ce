"""The whole product on one machine: Kafka, MongoDB, the world outside, and the four services as in production."""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import httpx

from kit.errors import HiloError, Misconfigured
from kit.kafka import topics
from sandbox.layout import Layout
from sandbox.lives import Lives
from sandbox.phone.app import Phone
from sandbox.screen import Screen
from sandbox.stack.child import Child
from sandbox.stack.errors import StackError
from sandbox.stack.kafka import KafkaServer
from sandbox.stack.mongo import MongoServer
from sandbox.stack.ports import require_free
from sandbox.stack.stack import Stack

__all__ = ["SERVICES", "Sandbox"]

WORLD = ("twilio", "elevenlabs", "backend")
SERVICES = ("ingress", "processor", "sender", "janitor")
READY_S = 30.0
STOP_S = 8.0  # the longest a part may take; they stop at the same time
RESTART_S = 1.0


class Sandbox:
    """`start`, `stop`; between them `layout` tells where everything is.

    A service that dies is started again, as an orchestrator would; without Kafka or MongoDB there is nothing to run,
    and `lost` says so, unless their restart was asked for.
    """

    def __init__(
        self,
        layout: Layout,
        screen: Screen,
        *,
        kafka: str | None = None,
        mongo: str | None = None,
        pages: bool = True,
    ) -> None:
        self.layout = layout
        self._pages = pages
        self._services = (*SERVICES, *(["console"] if pages else []))
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
        self._phone: Phone | None = None
        self.lives = Lives()
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
                if self._pages:
                    await self._open_phone()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Everything, at most STOP_S for the services and as long again for Kafka and MongoDB. Harmless twice."""
        self._stopping = True
        if self._phone:
            await self._phone.stop()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await asyncio.gather(*(child.stop(STOP_S) for child in self._children.values()))
        self._children.clear()
        await self._stack.stop()

    def pid(self, part: str) -> int:
        return self._children[part].pid

    def kill(self, part: str) -> None:
        """Kill -9 of a service; it is started again. Raises KeyError for what is no service."""
        if part not in SERVICES:
            raise KeyError(part)
        if self.lives.up(part):
            self._children[part].kill()

    async def restart(self, part: str) -> None:
        """Kafka or MongoDB, by SIGTERM; returns when it answers again, at once when it is under way.

        Raises KeyError for what is not ours to restart.
        """
        server = self._servers()[part]
        if not self.lives.up(part):
            return
        self.lives.fell(part)
        try:
            await server.restart()
        except StackError as error:
            self._lose(str(error))
            return
        self._up(part, server)

    def _servers(self) -> dict[str, KafkaServer | MongoServer]:
        found = {"kafka": self._stack.kafka, "mongo": self._stack.mongo}
        return {name: server for name, server in found.items() if server is not None}

    def _up(self, part: str, server: KafkaServer | MongoServer) -> None:
        self.lives.rose(part)
        self._watchers.append(asyncio.create_task(self._watch_server(part, server.child)))

    def _require_ports(self) -> None:
        for part in (*WORLD, "twilio_control", *self._services, *(["phone"] if self._pages else [])):
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
        for part, server in self._servers().items():
            self._up(part, server)

    async def _provision(self) -> None:
        try:
            found = await topics.create(self.layout.kafka)
        except HiloError as error:
            raise StackError(f"The topics could not be created: {error}.") from error
        self._say(f"Topics: {sum(one.state == 'ok' for one in found)} of {len(found)} as the table says")

    async def _all(self, parts: tuple[str, ...]) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(self._start(part))
        self._say(f"{', '.join(parts)}: ready after {time.monotonic() - began:.1f} s")

    async def _open_phone(self) -> None:
        self._phone = Phone(self.layout, self)
        try:
            await self._phone.start()
        except Misconfigured as error:
            raise StackError(str(error)) from error

    async def _start(self, part: str) -> None:
        environment = {**os.environ, **self.layout.environment(part)}
        log = self._data / "logs" / f"{part}.log"
        # A folder of its own as working directory: no `.env` of a real installation is read by accident.
        child = Child(part, self.layout.command(part), log=log, env=environment, cwd=self._data)
        await child.start()
        self._children[part] = child
        await self._until_ready(part, child)
        self.lives.rose(part)
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
        self.lives.fell(part)
        self._say(f"{part} ended with {code}: starting it again")
        await asyncio.sleep(RESTART_S)
        try:
            await self._again(part)
        except StackError as error:
            self._lose(str(error))

    async def _again(self, part: str) -> None:
        """Start it, once more where Kafka or MongoDB was restarted under it."""
        while True:
            await self.lives.whole.wait()
            try:
                return await self._start(part)
            except StackError:
                if self.lives.whole.is_set():
                    raise
                await self._children[part].stop(STOP_S)

    async def _watch_server(self, part: str, child: Child) -> None:
        await child.exited()
        if not self._stopping and self.lives.up(part):
            self._lose(await _obituary(child.name, child))

    def _lose(self, sentence: str) -> None:
        if not self.lost.done():
            self.lost.set_result(sentence)


async def _obituary(part: str, child: Child) -> str:
    last = (await child.tail(1) or ["nothing"])[-1]
    return f"{part} ended with {child.returncode}; its last words: {last} (log: {child.log})"
