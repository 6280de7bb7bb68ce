"""`docker-compose.yml`, read and executed: each service's command with its environment, against the embedded stack."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from dotenv import dotenv_values

from sandbox.stack.ports import free_ports
from sandbox.stack.stack import Stack
from schemas.topics import TOPICS
from tests.running import eventually

pytestmark = [pytest.mark.journey, pytest.mark.timeout(120)]
ROOT = Path(__file__).parents[2]
HILO = str(Path(sys.executable).with_name("hilo"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
SERVICES = ("ingress", "processor", "sender", "janitor", "console")
PORTS = {"ingress": "INGRESS_PORT", "console": "CONSOLE_PORT"}


def environment(service: str, stack: Stack, prefix: str) -> dict[str, str]:
    """What the container would see: `.env` as in `.env.example`, then its own; addresses are ours."""
    given = {name: str(value) for name, value in COMPOSE[service].get("environment", {}).items()}
    assert given["KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092"
    assert given["MONGODB_URI"] == "mongodb://mongo:27017"
    example = {name: value or "" for name, value in dotenv_values(ROOT / ".env.example").items()}
    ours = {"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers, "MONGODB_URI": stack.mongodb_uri}
    return {"PATH": os.environ["PATH"], **example, **given, **ours, "KAFKA_TOPIC_PREFIX": prefix}


async def start(service: str, settings: dict[str, str], folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        HILO, *COMPOSE[service]["command"], cwd=folder, env=settings,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_starts_with_what_compose_gives_it_and_stops_cleanly(
    service: str, stack: Stack, tmp_path: Path
) -> None:
    prefix = f"{service}."
    topics = await start("topics", environment("topics", stack, prefix), tmp_path)
    out, _ = await topics.communicate()
    assert (topics.returncode, out.decode().count(prefix)) == (0, len(TOPICS)), out.decode()

    settings = environment(service, stack, prefix)
    name = PORTS.get(service, "HEALTH_PORT")
    declared, (port,) = settings[name], free_ports(1)
    process = await start(service, settings | {name: str(port)}, tmp_path)
    async with httpx.AsyncClient(trust_env=False) as client:

        async def ready() -> bool:
            if process.returncode is not None:
                pytest.fail((await process.communicate())[0].decode())
            try:
                return (await client.get(f"http://127.0.0.1:{port}/ready")).is_success
            except httpx.TransportError:
                return False

        await eventually(ready, f"{service} ready", within=40)
        assert (await client.get(f"http://127.0.0.1:{port}/health")).json()["service"] == service
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert f"http://localhost:{declared}/health" in " ".join(COMPOSE[service]["healthcheck"]["test"])


def test_the_services_wait_for_their_topics_and_get_time_to_drain() -> None:
    for service in SERVICES:
        about = COMPOSE[service]
        assert about["depends_on"]["topics"]["condition"] == "service_completed_successfully"
        assert int(about["stop_grace_period"].removesuffix("s")) >= 45
        assert about["build"]["dockerfile"] == "deploy/Dockerfile"


def test_the_dockerfile_installs_every_package_the_project_has_but_the_sandbox() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text()
    copied = {line.split()[1] for line in text.splitlines() if line.startswith("COPY ") and line.count("/") == 0}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"sandbox", "tests"}
    assert packages <= copied
    assert "sandbox" not in copied
