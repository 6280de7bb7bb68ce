"""Webhooks: our route, which keeps the message in Kafka, against a bare handler that only checks the signature."""

import asyncio
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sandbox.stack.ports import free_ports
from tests.bench.harness import Figure, bench
from tests.bench.kafka import Bench, kafka
from tests.bench.processes import cpu_s
from tests.bench.webhooks import ACCOUNT, CONNECTIONS, NUMBER, PUBLIC, TOKEN

ROUNDS, SECONDS, SHARE = 9, 3.0, 0.4
PARTITIONS = 24  # as in production
NODE_PER_S = (2530, 2990)  # Express with a signature check, reference/baseline.md


@dataclass
class Arm:
    """One server and what its rounds measured."""

    port: int
    pids: list[int]
    flat_out: list[dict[str, float]] = field(default_factory=list)
    steady: list[dict[str, float]] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    @property
    def details(self) -> dict[str, Any]:
        return {
            "cpu_us_a_request": round(statistics.median(self.cpu_us), 1),
            "p50_ms_flat_out": middle(self.flat_out, "p50_ms"),
            "p99_ms_flat_out": middle(self.flat_out, "p99_ms"),
            "p99_ms_steady": middle(self.steady, "p99_ms"),
            "per_s_rounds": [one["per_s"] for one in self.flat_out],
            "p99_ms_steady_rounds": [one["p99_ms"] for one in self.steady],
            "failed": sum(one["failed"] for one in [*self.flat_out, *self.steady]),
        }

    def cpu(self) -> float:
        """Seconds used so far by the server's processes."""
        return sum(map(cpu_s, self.pids))


def middle(rounds: list[dict[str, float]], name: str) -> float:
    return round(statistics.median(one[name] for one in rounds), 2)


class Client:
    """The process that plays Twilio."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(self, arm: Arm, rate: float = 0) -> dict[str, float]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{arm.port} {SECONDS} {rate}\n".encode())
        found: dict[str, float] = json.loads(await self._process.stdout.readline())
        return found


@bench
async def ingress_vs_bare() -> Figure:
    """Webhooks/s of one process each, and of two; CPU a request; p99 at 40 % of the better one's maximum."""
    async with kafka(PARTITIONS) as one, playing_twilio() as client:
        single = await _compare(one, client, workers=1, rounds=ROUNDS)
        double = await _compare(one, client, workers=2, rounds=3)
    ours, bare = single
    return Figure(
        unit="webhooks/s",
        ours=middle(ours.flat_out, "per_s"),
        other=middle(bare.flat_out, "per_s"),
        other_is="bare FastAPI: request.form() and the package's RequestValidator, nothing kept",
        details={
            "connections": CONNECTIONS,
            "rounds": ROUNDS,
            "steady_share_of_maximum": SHARE,
            "ours": ours.details,
            "bare": bare.details,
            "node_per_s": NODE_PER_S,
            "two_workers": {
                "ours_per_s": middle(double[0].flat_out, "per_s"),
                "bare_per_s": middle(double[1].flat_out, "per_s"),
                "ours": double[0].details,
                "bare": double[1].details,
            },
        },
    )


async def _compare(one: Bench, client: Client, *, workers: int, rounds: int) -> tuple[Arm, Arm]:
    """The arms take turns, so that what else the machine does hits both."""
    async with AsyncExitStack() as stack:
        arms = (
            await stack.enter_async_context(ingress(one, workers)),
            await stack.enter_async_context(_bare(workers)),
        )
        for arm in arms:
            await client.run(arm)  # code paths, connections to Kafka, the branch predictor
        for number in range(rounds):
            for arm in arms[:: -1 if number % 2 else 1]:
                await flat_out(client, arm)
            rate = SHARE * max(arm.flat_out[-1]["per_s"] for arm in arms)
            for arm in arms:
                arm.steady.append(await client.run(arm, rate))
        return arms


async def flat_out(client: Client, arm: Arm) -> None:
    before = arm.cpu()
    found = await client.run(arm)
    arm.flat_out.append(found)
    arm.cpu_us.append((arm.cpu() - before) / found["requests"] * 1e6)


@asynccontextmanager
async def ingress(one: Bench, workers: int, more: Mapping[str, str] | None = None) -> AsyncIterator[Arm]:
    (port,) = free_ports(1)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": one.settings.kafka_bootstrap_servers,
        "KAFKA_TOPIC_PREFIX": one.settings.kafka_topic_prefix,
        "INGRESS_PORT": str(port),
        "UVICORN_WORKERS": str(workers),
        "PUBLIC_BASE_URL": PUBLIC,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_WHATSAPP_NUMBERS": NUMBER,
        "API_TOKEN": "bench",
        **(more or {}),
    }
    async with _server(["-m", "ingress"], port, environment) as arm:
        yield arm


@asynccontextmanager
async def _bare(workers: int) -> AsyncIterator[Arm]:
    (port,) = free_ports(1)
    async with _server(["-m", "tests.bench.bare_webhook", str(port), str(workers)], port, {}) as arm:
        yield arm


@asynccontextmanager
async def _server(command: list[str], port: int, environment: dict[str, str]) -> AsyncIterator[Arm]:
    """Its logs go into a pipe that is read, as a container's do."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, **environment}
    )
    assert process.stdout
    reading = asyncio.create_task(_drain(process.stdout))
    try:
        await _answers(port)
        yield Arm(port, _family(process.pid))
    finally:
        process.terminate()
        await process.wait()
        await reading


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(1 << 20):
        pass


async def _answers(port: int) -> None:
    async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as http:
        while True:
            try:
                response = await http.get(f"http://127.0.0.1:{port}/ready")
            except httpx.TransportError:
                response = None
            if response is not None and response.status_code in {200, 404}:  # the bare one has no probes
                return
            await asyncio.sleep(0.1)


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


@asynccontextmanager
async def playing_twilio() -> AsyncIterator[Client]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.webhooks", stdin=pipe, stdout=pipe
    )
    assert process.stdin
    assert process.stdout
    await process.stdout.readline()  # its requests are signed
    try:
        yield Client(process)
    finally:
        process.stdin.close()
        await process.wait()
