"""One soak: every service under a steady load, and what the kernel says of its processes every ten seconds."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from kit.errors import BrokerDown
from kit.kafka.lag import GroupLag, lags
from tests.bench.dying import Dying
from tests.bench.processes import Footprint, cpu_s, footprint
from tests.crash.fleet import WORLD, Fleet
from tests.crash.left import buried
from tests.soak.flat import ALLOWED, Trend, trend
from tests.soak.load import Load

__all__ = ["SAMPLE_S", "Soak"]

SAMPLE_S = 10.0
CALM_S = 120.0  # for the last answers; the agent takes 3 s
GROUPS: Mapping[str, Sequence[str]] = {name: (name,) for name in ("ingress", "processor", "sender", "janitor")}
SETTINGS = {
    "CONTACT_TURNS_PER_HOUR": "100000",  # the guard is not what is tested
}
AGENT_S, TWILIO_S = 3.0, 0.2


@dataclass
class Sample:
    at: float
    written: int
    answered: int
    lag: int
    disk_mb: dict[str, float]
    processes: dict[str, Footprint]
    tasks: dict[str, float]

    def of(self, name: str, what: str) -> float | None:
        """None for what nobody tells of this process."""
        found = self.tasks.get(name) if what == "tasks" else getattr(self.processes[name], what)
        return None if found is None else float(found)


@dataclass
class Soak:
    """`play`, then `problems` and `told`."""

    per_s: float
    seconds: float
    say: Callable[[str], None]
    samples: list[Sample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    trends: dict[str, dict[str, Trend]] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fleet = Fleet(self.say, groups=GROUPS, settings=SETTINGS, prefix="hilo-soak-")

    async def play(self) -> None:
        """Raises StackError."""
        try:
            await self.fleet.start()
            async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
                await Dying(self.fleet, http).up()
                self._load, self._http = Load(self.fleet.layout, http, self.per_s), http
                await self._load.prepare(agent_s=AGENT_S, twilio_s=TWILIO_S)
                await self._soak()
                await self._calm()
                self._judge()
        finally:
            await self.fleet.stop()

    async def _soak(self) -> None:
        self._began = asyncio.get_running_loop().time()
        writing = asyncio.create_task(self._load.write(self.seconds))
        try:
            while not writing.done():
                await self._sample()
                await asyncio.wait({writing}, timeout=SAMPLE_S)
            await writing
        finally:
            writing.cancel()

    async def _calm(self) -> None:
        """Until all is answered and committed, which ends it early; not sampled: an idle process says nothing."""
        loop = asyncio.get_running_loop()
        until = loop.time() + CALM_S
        while True:
            await self._load.look()
            lag = await self._lag()
            if not (self._load.unanswered or lag) or loop.time() > until:
                break
            await asyncio.sleep(1.0)
        self.problems += [f"lag {lag} at the end"] if lag else []
        found = {"not answered": self._load.unanswered, "answered twice, or no answer": self._load.unasked}
        found |= {"refused by the ingress": self._load.refused}
        self.problems += [f"{count} messages {what}" for what, count in found.items() if count]
        self.problems += buried(await self._lags())
        self.problems += self.fleet.crashes()
        self.cpu = {name: round(cpu_s(pid), 1) for name, pid in self._pids().items()}

    async def _sample(self) -> None:
        written, answered = await self._load.look()
        sample = Sample(
            at=round(asyncio.get_running_loop().time() - self._began, 1),
            written=written,
            answered=answered,
            lag=await self._lag(),
            disk_mb=_disk(self.fleet.folder),
            processes={name: footprint(pid) for name, pid in self._pids().items()},
            tasks={name: await self._tasks(name) for name in GROUPS},
        )
        self.samples.append(sample)
        ours = ", ".join(f"{name} {sample.processes[name].memory_mb:.0f} MB" for name in GROUPS)
        self.say(f"{sample.at:6.0f} s  {written} written, {answered} answered, lag {sample.lag}; {ours}")

    def _pids(self) -> dict[str, int]:
        stack = self.fleet.stack
        servers = {"kafka": stack.kafka, "mongo": stack.mongo}
        return {name: member.pid for name, member in self.fleet.members.items()} | {
            name: one.child.pid for name, one in servers.items() if one
        }

    async def _tasks(self, name: str) -> float:
        told = (await self._http.get(f"{self.fleet.doors[name]}/metrics")).raise_for_status().text
        return next(float(line.split()[1]) for line in told.splitlines() if line.startswith("hilo_tasks "))

    async def _lag(self) -> int:
        try:
            return sum(one.waiting for one in await self._lags())
        except BrokerDown:
            return -1

    async def _lags(self) -> list[GroupLag]:
        return await lags(self.fleet.layout.kafka)

    def _judge(self) -> None:
        for name in (*GROUPS, *WORLD, "kafka", "mongo"):
            self.trends[name] = {
                what: trend(points, allowance)
                for what, allowance in ALLOWED.items()
                if (points := [(one.at, found) for one in self.samples if (found := one.of(name, what)) is not None])
            }
            if name in GROUPS:  # the world outside keeps what it saw, up to a bound of its own
                self.problems += [
                    f"{name}: {_grown(what, one)}" for what, one in self.trends[name].items() if not one.flat
                ]

    def told(self) -> dict[str, Any]:
        return {
            "verdict": "failed" if self.problems else "ok",
            "problems": self.problems,
            "seconds": self.seconds,
            "per_s": self.per_s,
            "written": self._load.written,
            "answered": self._load.answered,
            "highest_lag": max(one.lag for one in self.samples),
            "cpu_s": self.cpu,
            "trends": {name: {what: asdict(one) for what, one in found.items()} for name, found in self.trends.items()},
            "judged": list(GROUPS),
            "disk_mb": {"first": self.samples[0].disk_mb, "last": self.samples[-1].disk_mb},
            "samples": [asdict(one) for one in self.samples],
        }


def _grown(what: str, one: Trend) -> str:
    return f"{what} grew by {one.gain:g} (allowed {one.allowed:g}; {one.first:g} to {one.last:g})"


def _disk(folder: Path) -> dict[str, float]:
    """By part of the data folder."""
    sizes: dict[str, int] = {}
    for file in folder.rglob("*"):
        try:
            if file.is_file():
                part = file.relative_to(folder).parts[0]
                sizes[part] = sizes.get(part, 0) + file.stat().st_blocks * 512
        except FileNotFoundError:  # Kafka and the store drop files when they like
            continue
    return {part: round(size / 2**20, 1) for part, size in sorted(sizes.items())}
