"""How every service runs: settings, logs, parts in order, a drain on SIGTERM, an exit code that means something.

Exit codes: 0 stopped as asked · 1 crashed · 2 misconfigured, each fault on a line of its own.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

import uvloop

from kit import logs
from kit.clock import Clock
from kit.errors import Misconfigured
from kit.metrics import Metrics
from kit.settings import ServiceSettings, load, masked
from kit.watchdog import Watchdog

__all__ = ["Part", "Service", "Tools", "calm_collector", "run"]

S = TypeVar("S", bound=ServiceSettings)


class Part(Protocol):
    """Something with a life: a client, a consumer, a server."""

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Bounded by itself; never raises for what is away."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What every service is handed instead of taking it from the world."""

    name: str
    clock: Clock
    metrics: Metrics


class Service:
    """Parts that start in order and stop in reverse. `ready` between the last start and the first stop."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.parts: Sequence[Part] = ()
        self.ready = False
        self._log = logs.get_log("service")

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set, or a part fails to start."""
        started: list[Part] = []
        try:
            for part in self.parts:
                await self._start(part, stopping)
                started.append(part)
            self.ready = not stopping.is_set()
            self._log.info("ready")
            await self._until(stopping)
        finally:
            self.ready = False
            self._log.info("stopping")
            for part in reversed(started):
                await part.stop()
            self._log.info("stopped")

    async def _until(self, stopping: asyncio.Event) -> None:
        """Raises what a part calls a failure: then the process ends with code 1, and is started again."""
        stop = asyncio.create_task(stopping.wait())
        failures = [failure for part in self.parts for failure in getattr(part, "failures", ())]
        await asyncio.wait({stop, *failures}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        for failure in failures:
            if failure.done():
                raise failure.result()

    async def _start(self, part: Part, stopping: asyncio.Event) -> None:
        """A part may wait for its dependency; a signal ends that wait."""
        if stopping.is_set():
            return
        start, stop = asyncio.create_task(part.start()), asyncio.create_task(stopping.wait())
        await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not start.done():
            start.cancel()
        with suppress(asyncio.CancelledError):
            await start


def calm_collector() -> None:
    """Collect garbage rarely: with thousands of turns in flight each round walks all of them, and finds little."""
    gc.freeze()  # what is loaded by now lives as long as the process
    gc.set_threshold(20_000, 50, 100)
    gc.enable()  # off while everything was loaded (ops/main.py)


def run(name: str, kind: type[S], build: Callable[[S, Tools], Service]) -> int:
    """Run one service until SIGTERM or SIGINT; returns the exit code."""
    try:
        settings = load(kind)
        logs.configure(name, settings.log_level, settings.log_format)
        log = logs.get_log("service")
        log.info("starting", settings=masked(settings))
        calm_collector()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, name, build))
    except Misconfigured as error:
        for fault in error.faults:
            print(f"{name}: {fault}", file=sys.stderr)  # noqa: T201  # logs may not be set up yet
        return 2
    except Exception:  # noqa: BLE001  # the last line of defence: say what happened, exit 1
        logs.get_log("service").exception("crashed")
        return 1
    return 0


async def _serve(settings: S, name: str, build: Callable[[S, Tools], Service]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    service = build(settings, Tools(name, settings.clock(), Metrics()))
    metrics = service.tools.metrics
    metrics.set("hilo_info", 1, service=name, prefix=getattr(settings, "kafka_topic_prefix", "") or "-")
    metrics.look(lambda: metrics.set("hilo_tasks", len(asyncio.all_tasks(loop))))
    watchdog = Watchdog(late=lambda seconds: metrics.observe("hilo_loop_lag_seconds", seconds))
    await watchdog.start()
    try:
        with _exported(settings, name, metrics):
            await service.run(stopping)
    finally:
        await watchdog.stop()


def _exported(settings: S, name: str, metrics: Metrics) -> AbstractContextManager[None]:
    """OpenTelemetry's SDK is loaded only where its spans go somewhere: it is a twentieth of a cold start."""
    if not settings.otel_exporter_otlp_endpoint:
        return nullcontext()
    from kit.otlp import exported

    return exported(settings, name, metrics)
