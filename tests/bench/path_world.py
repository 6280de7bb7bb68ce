"""The whole product on this machine for a benchmark, and what the world outside saw of it."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from kit.kafka import topics
from sandbox.layout import Layout, Ports
from sandbox.stack.child import Child
from sandbox.stack.stack import Stack
from tests.bench.mongo_proxy import CountingProxy, counting
from tests.bench.processes import cpu_s, footprint
from tests.crash.doors import answers

__all__ = ["AGENT_S", "TWILIO_S", "Path_", "Seen", "path", "percentile"]

AGENT_S, TWILIO_S = 3.0, 0.2
WORLD = ("twilio", "elevenlabs")
OURS = ("ingress", "processor", "sender")
WIDE = {
    "AGENT_MAX_SESSIONS": "6000",
    "CONCURRENCY": "6000",
    "CONTACT_TURNS_PER_HOUR": "1000000",  # the guard against loops is not what is measured
    "SENDS_PER_S": "1000",
    "LOG_LEVEL": "INFO",
}
READY_S = 60.0


@dataclass(frozen=True)
class Seen:
    """One message and its answer, by the Twilio simulator's clock."""

    asked: datetime
    posted: datetime

    @property
    def seconds(self) -> float:
        return (self.posted - self.asked).total_seconds()


class Path_:  # noqa: N801  # `Path` is taken
    """`write`, then `answered`; between them figures of the processes."""

    def __init__(self, layout: Layout, http: httpx.AsyncClient, children: Mapping[str, Child]) -> None:
        self._twilio = f"{layout.url('twilio_control')}/_sim"
        self._agent = f"{layout.url('elevenlabs')}/__sim"
        self._http = http
        self._children = children
        self._people, self._mark = "", 0

    async def prepare(self) -> None:
        thinking = {"first_event": {"dist": "fixed", "p50": AGENT_S * 1000}}
        agent = {"brain": "echo", "first_message": "", "latency": thinking}
        agent |= {"limits": {"workspace_chat": -1, "daily": 10_000_000}}
        (await self._http.put(f"{self._agent}/agents/agent_sandbox", json=agent)).raise_for_status()
        profile = {
            "rest_latency": {"median_ms": TWILIO_S * 1000, "sigma": 0},
            "mps": 100_000,
            "max_concurrency": 100_000,
            "webhook_concurrency": 256,
        }
        (await self._http.put(f"{self._twilio}/profile", json=profile)).raise_for_status()

    async def write(self, count: int, contacts: int, per_s: float, people: int) -> int:
        """`count` finished questions from `contacts` of these people in turn; returns how many Twilio saw accepted."""
        self._people = f"+346{people:02}"
        self._mark = max((one["n"] for one in await self._messages()), default=0)
        burst = {
            "count": count,
            "contacts": contacts,
            "within_ms": count / per_s * 1000,
            "body": "¿A qué hora abren el día {n}?",
            "first": f"{self._people}000000",
        }
        told = (await self._http.post(f"{self._twilio}/burst", json=burst, timeout=None)).raise_for_status().json()
        return int(told["accepted"])

    async def answered(self, count: int, within_s: float) -> list[Seen]:
        """The last `write`'s messages that have an answer, once `count` have or the time is over."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while True:
            seen = await self._seen()
            if len(seen) >= count or loop.time() > until:
                return seen
            await asyncio.sleep(1.0)

    async def _seen(self) -> list[Seen]:
        prefix = f"whatsapp:{self._people}"
        asked: dict[str, list[datetime]] = {}
        seen: list[Seen] = []
        for one in await self._messages(self._mark):
            at = datetime.fromisoformat(one["log"][0][1])
            if one["direction"] == "inbound" and one["from"].startswith(prefix):
                asked.setdefault(one["from"], []).append(at)
            elif one["to"].startswith(prefix) and asked.get(one["to"]):
                seen.append(Seen(asked[one["to"]].pop(0), at))
        return seen

    async def _messages(self, after: int = 0) -> list[dict[str, Any]]:
        """In their order."""
        asked = {"limit": 20_000, "after": after}
        told = (await self._http.get(f"{self._twilio}/messages", params=asked)).raise_for_status().json()
        return sorted(told["messages"], key=lambda one: int(one["n"]))

    def cpu(self) -> dict[str, float]:
        """Seconds each process has used so far."""
        return {name: cpu_s(child.pid) for name, child in self._children.items()}

    def memory_mb(self) -> dict[str, float]:
        return {name: footprint(child.pid).memory_mb for name, child in self._children.items()}


@asynccontextmanager
async def path(*, plain: bool = False, counted: bool = False) -> AsyncIterator[tuple[Path_, CountingProxy | None]]:
    """Ours, or the plain consumer behind our ingress. `counted`: through a proxy that counts Mongo's commands."""
    with tempfile.TemporaryDirectory(prefix="hilo-path-") as folder:
        layout = Layout(folder, Ports.free())
        stack = Stack(Path(folder), kafka_port=layout.ports.kafka, mongo_port=layout.ports.mongo)
        children: dict[str, Child] = {}
        await stack.start()
        try:
            async with _uri(stack.mongodb_uri, counted=counted) as (uri, proxy):
                layout = Layout(folder, layout.ports, kafka_servers=stack.bootstrap_servers, mongodb_uri=uri)
                await topics.create(layout.kafka)
                async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
                    for part in (*WORLD, *(("ingress", "plain") if plain else OURS)):
                        children[part] = await _started(layout, part, folder)
                    await _ready(layout, http, (*WORLD, *(("ingress",) if plain else OURS)))
                    if stack.mongo and stack.kafka:
                        children |= {"mongo": stack.mongo.child, "kafka": stack.kafka.child}
                    driven = Path_(layout, http, children)
                    await driven.prepare()
                    yield driven, proxy
        finally:
            await asyncio.gather(
                *(child.stop(10) for name, child in children.items() if name not in {"mongo", "kafka"})
            )
            await stack.stop()


@asynccontextmanager
async def _uri(uri: str, *, counted: bool) -> AsyncIterator[tuple[str, CountingProxy | None]]:
    if not counted:
        yield uri, None
        return
    async with counting(uri) as proxy:
        yield proxy.uri, proxy


async def _started(layout: Layout, part: str, folder: str) -> Child:
    command = [sys.executable, "-m", "tests.bench.plain_consumer"] if part == "plain" else layout.command(part)
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, **layout.environment(part), **WIDE, "PYTHONPATH": root}
    child = Child(part, command, log=Path(folder) / "logs" / f"{part}.log", env=environment, cwd=Path(folder))
    await child.start()
    return child


async def _ready(layout: Layout, http: httpx.AsyncClient, parts: tuple[str, ...]) -> None:
    paths: dict[str, str] = {"twilio": "/_sim/health", "elevenlabs": "/__sim/stats"}
    async with asyncio.timeout(READY_S):
        for part in parts:
            place = "twilio_control" if part == "twilio" else part
            while not await answers(http, layout.url(place) + paths.get(part, "/ready")):  # noqa: ASYNC110
                await asyncio.sleep(0.1)


def percentile(values: list[float], share: float) -> float:
    ordered: Any = sorted(values)
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))]) if ordered else 0.0
