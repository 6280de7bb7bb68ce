"""One service in several processes behind one port: for what one core cannot do.

The parent opens the port and keeps it; the workers inherit it and accept from it in turn, so a port that is taken is
found once, and no connection is refused while a worker starts. Their metrics are added up through files in a folder
that the parent makes (prometheus_client's multiprocess mode): whichever worker is scraped answers for all.

Workers live and die together: when one ends, the others drain and the parent ends with its exit code, as a service in
one process does. So an orchestrator sees every crash (ADR 0020).
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TypeVar

from pydantic import Field

from kit import service
from kit.errors import Misconfigured
from kit.probes import open_port
from kit.service import Part, Service, Tools
from kit.settings import ServiceSettings, load

__all__ = ["Leash", "WorkerSettings", "inherited_port", "leashed", "run"]

PORT, LEASH, METRICS = "HILO_WORKER_PORT", "HILO_WORKER_LEASH", "PROMETHEUS_MULTIPROC_DIR"


class WorkerSettings(ServiceSettings):
    uvicorn_workers: int = Field(default=1, ge=1, le=64, description="processes behind the one port")


S = TypeVar("S", bound=WorkerSettings)


def run(name: str, kind: type[S], build: Callable[[S, Tools], Service], port: Callable[[S], tuple[str, int]]) -> int:
    """Like `kit.service.run`, in as many processes as UVICORN_WORKERS says. `port` gives the setting and its value."""
    with suppress(Misconfigured):  # said by the service itself
        settings = load(kind)
        if LEASH not in os.environ and settings.uvicorn_workers > 1:
            return _run_workers(name, settings.uvicorn_workers, *port(settings))
    return service.run(name, kind, build)


def _run_workers(name: str, count: int, setting: str, port: int) -> int:
    try:
        listener = open_port("0.0.0.0", port, setting)  # noqa: S104  # in a container
    except Misconfigured as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201  # as the service would
        return 2
    with listener, tempfile.TemporaryDirectory(prefix=f"{name}-metrics-") as folder:
        return _Family(name, listener, Path(folder)).run(count)


class _Family:
    """The parent's side."""

    def __init__(self, name: str, listener: socket.socket, metrics: Path) -> None:
        self._command = [sys.executable, "-m", name]
        self._held, self._kept = os.pipe()  # closes with us, however we end: that is the leash
        self._inherited = (listener.fileno(), self._held)
        self._environment = {METRICS: str(metrics), PORT: str(listener.fileno()), LEASH: str(self._held)}
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._stopping = False

    def run(self, count: int) -> int:
        """Until all have ended; returns the exit code of the first that did."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        for _ in range(count):
            if not self._stopping:
                self._start()
        ended: list[int] = []
        while self._children:
            pid, status = os.wait()
            child = self._children.pop(pid, None)
            if child is None:
                continue  # as process 1 of a container we inherit those whose parent is gone
            child.returncode = code = os.waitstatus_to_exitcode(status)
            ended.append(code if code >= 0 else 1)  # killed by a signal: a crash
            self._stop()
        return ended[0] if ended else 0

    def _start(self) -> None:
        child = subprocess.Popen(  # noqa: S603  # ourselves
            self._command, env={**os.environ, **self._environment}, pass_fds=self._inherited
        )
        self._children[child.pid] = child

    def _stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        self._stopping = True
        for child in self._children.values():
            child.terminate()


def inherited_port() -> socket.socket | None:
    """The open port of a worker; None in a service of one process."""
    number = os.environ.get(PORT)
    return socket.socket(fileno=int(number)) if number else None


def leashed() -> tuple[Part, ...]:
    """What ties a worker to its parent; nothing in a service of one process."""
    number = os.environ.get(LEASH)
    return (Leash(int(number)),) if number else ()


class Leash:
    """When the parent is gone, killed even, the worker drains and ends: nobody is left who would stop it."""

    def __init__(self, number: int) -> None:
        self._number = number

    async def start(self) -> None:
        asyncio.get_running_loop().add_reader(self._number, self._torn)

    def _torn(self) -> None:
        asyncio.get_running_loop().remove_reader(self._number)
        os.kill(os.getpid(), signal.SIGTERM)

    async def stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self._number)
