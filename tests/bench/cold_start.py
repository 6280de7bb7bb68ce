"""How long a service takes from nothing to `/ready`, with Kafka and the store there already."""

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from sandbox.layout import Layout
from sandbox.stack.child import Child
from tests.bench.processes import cpu_s
from tests.crash.doors import answers

__all__ = ["Start", "import_cpu_s", "started"]

SERVICES = ("ingress", "processor", "sender", "janitor")
WITHIN_S = 60.0
LOOK_S = 0.01


@dataclass(frozen=True, slots=True)
class Start:
    wall_s: float
    cpu_s: float
    """What the process used until it was ready: says the same on a busy machine."""


async def started(layout: Layout, service: str, folder: Path) -> Start:
    """Start one as production does, wait until it is ready, stop it."""
    command = [str(Path(sys.executable).with_name("hilo")), service]
    environment = {**os.environ, **layout.environment(service)}
    child = Child(service, command, log=folder / f"start-{service}.log", env=environment, cwd=folder)
    async with httpx.AsyncClient(trust_env=False) as http:
        began = time.monotonic()
        await child.start()
        try:
            async with asyncio.timeout(WITHIN_S):
                while not await answers(http, f"{layout.url(service)}/ready"):  # noqa: ASYNC110  # another process
                    await asyncio.sleep(LOOK_S)
            return Start(round(time.monotonic() - began, 2), round(cpu_s(child.pid), 2))
        finally:
            await child.stop(15)


async def import_cpu_s(service: str) -> float:
    """CPU seconds that loading the service's code takes, by a process of its own."""
    code = f"import time, {service}.app; print(time.process_time())"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    told, _ = await child.communicate()
    return round(float(told), 2)
