"""A new version of every service under load: a new process is ready before an old one drains. None lost, none twice."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import httpx
import pytest

from kit.kafka import topics
from kit.settings import KafkaSettings
from sandbox.layout import Layout, Ports
from sandbox.stack.ports import free_ports
from sandbox.stack.stack import Stack
from tests.crash.account import Account
from tests.crash.clients import Clients
from tests.crash.evidence import Evidence
from tests.crash.fleet import SETTINGS, WORLD, Member
from tests.crash.oracle import judge
from tests.crash.plan import GROUPS, Plan
from tests.crash.world import World
from tests.running import eventually

pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]
SEED, CONTACTS, LOAD_S = 11, 30, 18.0
PREFIX = "rolling."
DRAIN_S = 60.0  # the grace that an orchestrator gives


class Front:
    """A balancer: a new connection goes to whom it is told; open ones stay where they are until they are closed."""

    def __init__(self) -> None:
        self.port = 0
        self._pipes: set[asyncio.Task[None]] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind, ahead = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.close()
            return
        for one in (pipe(reader, ahead), pipe(behind, writer)):
            task = asyncio.create_task(one)
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)

    async def stop(self) -> None:
        for task in self._pipes:
            task.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


class Deployment:
    """All services in some version, as processes; `roll` brings the next one."""

    def __init__(self, layout: Layout, front: Front, http: httpx.AsyncClient) -> None:
        self._layout = layout
        self._front = front
        self._http = http
        self._number = count(1)
        self.world = [self._member(name, name, {}) for name in WORLD]
        self.now: dict[str, tuple[Member, int]] = {}
        self.gone: list[Member] = []
        self.drains: list[float] = []

    async def start(self) -> None:
        for one in self.world:
            one.start()
        await asyncio.gather(*(self._begin(service, name) for service, names in GROUPS.items() for name in names))

    async def roll(self) -> None:
        """Services at the same time, the processes of one service one after the other."""

        async def service(kind: str) -> None:
            for name in GROUPS[kind]:
                old, _ = self.now[name]
                await self._begin(kind, name)
                self.drains.append(await old.leave(DRAIN_S))
                self.gone.append(old)

        await asyncio.gather(*map(service, GROUPS))

    async def stop(self) -> None:
        """Services drain first, so that nothing is at work when the phones are looked at."""
        for member, _ in self.now.values():
            await member.leave(DRAIN_S)
            self.gone.append(member)
        self.now = {}

    async def kill(self) -> None:
        await asyncio.gather(*(one.stop() for one in [*(one for one, _ in self.now.values()), *self.world]))

    async def _begin(self, service: str, name: str) -> None:
        (port,) = free_ports(1)
        setting = "INGRESS_PORT" if service == "ingress" else "HEALTH_PORT"
        member = self._member(f"{name}-v{next(self._number)}", service, {**SETTINGS, setting: str(port)})
        member.start()

        async def ready() -> bool:
            try:
                return (await self._http.get(f"http://127.0.0.1:{port}/ready")).is_success
            except httpx.TransportError:
                return False

        await eventually(ready, f"{member.name} ready ({member.log})", within=60)
        self.now[name] = (member, port)
        if service == "ingress":
            self._front.port = port

    def _member(self, name: str, service: str, more: dict[str, str]) -> Member:
        own = {"KAFKA_TOPIC_PREFIX": PREFIX, "MONGODB_DATABASE": "rolling", **more}
        environment = {**self._layout.environment(service), **own}
        return Member(name, self._layout.command(service), environment, Path(self._layout.data))


@asynccontextmanager
async def deployed(stack: Stack, folder: Path, http: httpx.AsyncClient) -> AsyncIterator[tuple[Deployment, Layout]]:
    servers = stack.bootstrap_servers
    await topics.create(KafkaSettings(kafka_bootstrap_servers=servers, kafka_topic_prefix=PREFIX, _env_file=None))
    layout = Layout(str(folder), Ports.free(), kafka_servers=servers, mongodb_uri=stack.mongodb_uri)
    front = Front()
    server = await asyncio.start_server(front.take, "127.0.0.1", layout.ports.ingress)
    deployment = Deployment(layout, front, http)
    try:
        await deployment.start()
        yield deployment, layout
    finally:
        await deployment.kill()
        server.close()
        await front.stop()


async def test_a_new_version_of_everything_loses_nothing_and_shows_nothing_twice(stack: Stack, tmp_path: Path) -> None:
    plan = Plan(SEED, LOAD_S, contacts=CONTACTS, called=0)
    async with (
        httpx.AsyncClient(trust_env=False, timeout=60) as http,
        deployed(stack, tmp_path, http) as (deployment, layout),
    ):
        world, clients = World(layout, http), Clients(plan, layout, http)
        await world.prepare(SEED)

        async def account() -> Account:
            return judge(Evidence(clients.sent, await world.shown(CONTACTS)))

        async def under_load() -> bool:
            return len(clients.sent) >= CONTACTS // 2

        async def answered() -> bool:
            return (await account()).lost == 0

        async with asyncio.TaskGroup() as group:
            writing = group.create_task(clients.live())
            await eventually(under_load, "enough written to be under load")
            began = time.monotonic()
            await deployment.roll()
            rolled = time.monotonic() - began
            still_written = not writing.done()
        await eventually(answered, "every message answered", within=45)
        await deployment.stop()
        found = await account()
        assert [f"{one.name}: {one.deaths}" for one in deployment.gone if one.deaths] == []
    print(f"{found.sent} in, rolled in {rolled:.1f} s, drains {[round(one, 1) for one in deployment.drains]}")  # noqa: T201
    assert still_written or rolled > LOAD_S, "the roll was over before the load had begun"
    assert (found.lost, found.doubled, found.inverted, found.refused) == (0, 0, 0, 0), found.details
    assert found.answered == found.sent > CONTACTS
