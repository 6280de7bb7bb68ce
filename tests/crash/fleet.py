"""The sandbox's processes, each started again when it ends, as an orchestrator would."""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from kit.kafka import topics
from sandbox.layout import Layout, Ports
from sandbox.stack.child import Child
from sandbox.stack.ports import HOST, free_ports
from sandbox.stack.stack import Stack
from tests.crash.plan import GROUPS

__all__ = ["Fleet", "Member"]

WORLD = ("twilio", "elevenlabs", "backend")
RESTART_S = 1.0
STOP_S = 15.0
SETTINGS = {
    "KAFKA_SESSION_TIMEOUT_MS": "6000",
    "CONTACT_TURNS_PER_HOUR": "100000",  # the guard is not what is tested
    "AGENT_BACKOFF_S": "0.5",
    "GAP_EVERY_S": "60",
    "INVARIANTS_EVERY_S": "30",
}


class Member:
    """One process of a service, or of the world outside, that comes back whenever it ends."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self._command = command
        self._environment = {**os.environ, **environment}
        self._folder = folder
        self._child: Child | None = None
        self._wanted = False
        self._killed = False
        self._keeper: asyncio.Task[None] | None = None
        self.deaths: list[int] = []
        """Exit codes that nobody asked for."""

    @property
    def log(self) -> Path:
        return self._folder / "logs" / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """Of the process there is now."""
        assert self._child
        return self._child.pid

    def start(self) -> None:
        self._wanted = True
        self._keeper = asyncio.create_task(self._keep(), name=f"keeper of {self.name}")

    def signal(self, number: signal.Signals) -> bool:
        """False where there is no process now."""
        if self._child is None or self._child.returncode is not None:
            return False
        with suppress(ProcessLookupError):
            os.kill(self._child.pid, number)
            self._killed |= number == signal.SIGKILL
            return True
        return False

    def die(self) -> None:
        """kill -9, and nobody starts it again."""
        self._wanted = False
        self.signal(signal.SIGKILL)

    async def leave(self, within: float) -> float:
        """SIGTERM, and wait for its end; how long it drained. Raises TimeoutError when it hangs."""
        self._wanted = False
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        if self._keeper:
            async with asyncio.timeout(within):
                await asyncio.shield(self._keeper)
        return time.monotonic() - began

    async def stop(self) -> None:
        self._wanted = False
        if self._keeper:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._child:
            self.signal(signal.SIGCONT)
            await self._child.stop(STOP_S)

    async def _keep(self) -> None:
        while self._wanted:
            child = Child(self.name, self._command, log=self.log, env=self._environment, cwd=self._folder)
            await child.start()
            self._child, self._killed = child, False
            code = await child.exited()
            if not self._was_asked_to(code):
                self.deaths.append(code)
            if self._wanted:
                await asyncio.sleep(RESTART_S)

    def _was_asked_to(self, code: int) -> bool:
        """A kill -9 that is not ours is the kernel's, which ran out of memory."""
        return self._killed if code == -signal.SIGKILL else code == 0 and not self._wanted


class Fleet:
    """`start`, `stop`; nothing is left behind: every child dies with this process."""

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        groups: Mapping[str, Sequence[str]] = GROUPS,
        settings: Mapping[str, str] = SETTINGS,
        prefix: str = "hilo-crash-",
    ) -> None:
        """`groups`: the members of each service that there are at first."""
        self._say = say
        self._groups = groups
        self._settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix=prefix))
        self.layout = Layout(str(self.folder), Ports.free())
        self.stack = Stack(self.folder, kafka_port=self.layout.ports.kafka, mongo_port=self.layout.ports.mongo)
        self.members: dict[str, Member] = {}
        self.doors: dict[str, str] = {}
        """Where each service answers `/ready` and `/metrics`."""
        self.kills: Counter[str] = Counter()

    async def start(self) -> None:
        """Raises StackError, HiloError."""
        await self.stack.start()
        self.layout = replace(
            self.layout, kafka_servers=self.stack.bootstrap_servers, mongodb_uri=self.stack.mongodb_uri
        )
        await topics.create(self.layout.kafka)
        self._say(f"Kafka and the store are up; logs in {self.folder}/logs")
        for part in WORLD:
            self._add(part, part, {})
        for service, names in self._groups.items():
            for name in names:
                self.add(name, service)

    def add(self, name: str, service: str) -> None:
        """One more process of a service; it comes back whenever it ends."""
        (port,) = (self.layout.ports.ingress,) if service == "ingress" else free_ports(1)
        self.doors[name] = f"http://{HOST}:{port}"
        self._add(name, service, {**self._settings, "HEALTH_PORT": str(port)})

    def _add(self, name: str, service: str, more: dict[str, str]) -> None:
        environment = {**self.layout.environment(service), **more}
        self.members[name] = Member(name, self.layout.command(service), environment, self.folder)
        self.members[name].start()

    def kill(self, name: str) -> bool:
        if not self.members[name].signal(signal.SIGKILL):
            return False
        self.kills[name.partition("-")[0]] += 1
        return True

    async def restart_store(self, away_s: float) -> None:
        """By SIGTERM: kill -9 would lose its last 10 ms of acknowledged writes (ADR 0011)."""
        assert self.stack.mongo
        await self.stack.mongo.stop()
        await asyncio.sleep(away_s)
        await self.stack.mongo.start()
        self.kills["store"] += 1

    async def kill_broker(self, away_s: float) -> None:
        assert self.stack.kafka
        await self.stack.kafka.kill()
        await asyncio.sleep(away_s)
        await self.stack.kafka.start()
        self.kills["broker"] += 1

    def crashes(self) -> list[str]:
        """Ends that nobody asked for."""
        return [
            f"{name} ended by itself with {code}" for name, member in self.members.items() for code in member.deaths
        ]

    async def stop(self) -> None:
        """Harmless twice."""
        services = [member for name, member in self.members.items() if name not in WORLD]
        await asyncio.gather(*(member.stop() for member in services))
        await asyncio.gather(*(self.members[name].stop() for name in WORLD if name in self.members))
        await self.stack.stop()

    def tidy(self) -> None:
        """Not after a failure: then the logs are what is wanted."""
        shutil.rmtree(self.folder, ignore_errors=True)
