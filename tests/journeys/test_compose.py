"""`docker-compose.yml`, executed: our containers with their commands, environments and health checks, as processes."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.demo import GREETING, NAME, SUMMARY
from sandbox.stack.ports import free_ports, port_taken
from sandbox.stack.stack import Stack
from schemas.topics import TOPICS
from tests.deploy.compose import ROOT, SANDBOX_ENV, Container, compose, env_file
from tests.running import eventually

pytestmark = [pytest.mark.journey, pytest.mark.timeout(120)]
SERVICES = ("ingress", "processor", "sender", "janitor", "console")
SIMULATORS = ("twilio", "elevenlabs", "backend")
PORTS = {
    "ingress": (3001,),
    "processor": (8080,),
    "sender": (8080,),
    "janitor": (8080,),
    "console": (3002,),
    "twilio": (9955, 9956),
    "elevenlabs": (9966,),
    "backend": (9977,),
}
INSTALLED = {one.name for one in entry_points(group="hilo.services")}
Process = asyncio.subprocess.Process


class Project:
    """What `docker compose up` would be, on one set of free ports."""

    def __init__(self, stack: Stack, env: Path, prefix: str, folder: Path) -> None:
        self._env = env_file(env) | {"KAFKA_TOPIC_PREFIX": prefix, "MONGODB_DATABASE": prefix.strip(".")}
        self._folder = folder
        self._services: dict[str, Any] = compose(self._env)["services"]
        inside = [f"{name}:{port}" for name, ports in PORTS.items() for port in ports]
        here = (f"127.0.0.1:{port}" for port in free_ports(len(inside)))
        kafka, mongo = stack.bootstrap_servers, stack.mongodb_uri.removeprefix("mongodb://")
        self.places = {**dict(zip(inside, here, strict=True)), "kafka:9092": kafka, "mongo:27017": mongo.rstrip("/")}
        self._running: dict[str, Process] = {}

    def container(self, name: str) -> Container:
        return Container(name, self._services[name], self.places)

    async def up(self, *names: str) -> None:
        for name in names:
            container = self.container(name)
            env = (
                self._env if "env_file" in container.about else {"KAFKA_TOPIC_PREFIX": self._env["KAFKA_TOPIC_PREFIX"]}
            )
            self._running[name] = await self._start(name, container.command, container.environment(env))

    async def run(self, name: str) -> tuple[int, str]:
        """One that ends by itself."""
        await self.up(name)
        return await self._running.pop(name).wait(), self.log(name)

    async def healthy(self, name: str) -> None:
        """As Docker finds it: by the health check's own command."""
        check = self.container(name).health_check

        async def passes() -> bool:
            if self._running[name].returncode is not None:
                pytest.fail(f"{name}: {self.log(name)}")
            port = int(self.places[f"{name}:{PORTS[name][-1]}"].rpartition(":")[2])
            return port_taken(port) and await (await self._start(f"{name}.health", check, {})).wait() == 0

        await eventually(passes, f"{name} healthy", within=40)

    async def down(self) -> dict[str, int]:
        """SIGTERM to all at once; name → exit code."""
        for process in self._running.values():
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        return {name: await process.wait() for name, process in self._running.items()}

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def url(self, place: str) -> str:
        return f"http://{self.places[place]}"

    async def _start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Process:
        with (self._folder / f"{name}.log").open("w") as log:  # a pipe that nobody reads would stop a service
            return await asyncio.create_subprocess_exec(
                *command, cwd=self._folder, env=dict(environment), stdout=log, stderr=log
            )


@pytest.fixture
def services() -> tuple[str, ...]:
    return tuple(name for name in SERVICES if name in INSTALLED)


async def test_services_start_with_what_compose_gives_them_are_healthy_and_stop_cleanly(
    services: tuple[str, ...], stack: Stack, tmp_path: Path
) -> None:
    project = Project(stack, ROOT / ".env.example", "compose.", tmp_path)
    code, told = await project.run("topics")
    assert (code, told.count("compose.")) == (0, len(TOPICS)), told
    await project.up(*services)
    try:
        await asyncio.gather(*(project.healthy(name) for name in services))
        async with httpx.AsyncClient(trust_env=False) as client:

            async def ready(name: str) -> bool:
                return (await client.get(project.url(f"{name}:{PORTS[name][0]}") + "/ready")).is_success

            for name in services:
                await eventually(partial(ready, name), f"{name} ready", within=40)
    finally:
        codes = await project.down()
    assert codes == dict.fromkeys(services, 0)


@pytest.mark.skipif("console" not in INSTALLED, reason="`hilo console` is not there yet")
async def test_the_console_is_one_of_them(services: tuple[str, ...]) -> None:
    assert "console" in services


async def test_the_profile_sandbox_is_a_whole_product_without_accounts(
    services: tuple[str, ...], stack: Stack, tmp_path: Path
) -> None:
    project = Project(stack, SANDBOX_ENV, "compose-sandbox.", tmp_path)
    assert (await project.run("topics"))[0] == 0
    await project.up(*SIMULATORS, *services)
    try:
        await asyncio.gather(*(project.healthy(name) for name in (*SIMULATORS, *services)))
        async with httpx.AsyncClient(trust_env=False) as client:
            call = {
                "phoneNumber": "+5215512345678",
                "clientName": NAME,
                "callSummary": SUMMARY,
                "agentId": "agent_sandbox",
            }
            (await client.post(project.url("backend:9977") + "/calls", json=call)).raise_for_status()

            async def shown() -> list[str]:
                phone = await client.get(project.url("twilio:9956") + "/_sim/handset/+5215512345678")
                return [one["body"] for one in phone.json()["bubbles"] if one["author"] == "us"]

            async def greeted() -> bool:
                return await shown() == [GREETING]

            await eventually(greeted, "the greeting on the phone", within=40)
            asks = {"from": "+5215512345678", "body": "Hola, ¿de qué hablamos en la llamada?"}
            (await client.post(project.url("twilio:9956") + "/_sim/inbound", json=asks)).raise_for_status()

            async def answered() -> bool:
                return len(await shown()) == 2

            await eventually(answered, "the agent's answer on the phone", within=40)
    finally:
        codes = await project.down()
    assert {codes[name] for name in services} == {0}, codes
    assert {codes[name] for name in SIMULATORS} <= {0, -signal.SIGTERM}, codes
