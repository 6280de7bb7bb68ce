"""`hilo sandbox` and `hilo demo`."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from kit.settings import in_sandbox
from sandbox.app import Sandbox
from sandbox.demo import Demo, report
from sandbox.layout import Layout, Ports, state_file
from sandbox.screen import Screen
from sandbox.stack.errors import StackError

__all__ = ["demo", "sandbox"]

KEEP = typer.Option(None, "--keep", metavar="DIR", help="Keep the data in this folder; the next run goes on with it.")
MOST_PORT = 65535
STATE = typer.Option(None, "--state", metavar="FILE", help="Where a running sandbox is written down.", hidden=True)


def sandbox(
    headless: bool = typer.Option(False, "--headless", help="No web pages."),
    keep: Path | None = KEEP,
    infra_only: bool = typer.Option(False, "--infra-only", help="Only Kafka and MongoDB; prints their addresses."),
    seconds: float = typer.Option(0, "--seconds", help="Stop by itself after so long."),
    any_ports: bool = typer.Option(False, "--any-ports", help="Take ports that are free instead of the usual ones."),
    kafka_port: int = typer.Option(Ports.kafka, min=0, max=MOST_PORT, help="Port of Kafka."),
    mongo_port: int = typer.Option(Ports.mongo, min=0, max=MOST_PORT, help="Port of MongoDB."),
    ingress_port: int = typer.Option(Ports.ingress, min=0, max=MOST_PORT, help="Port of the webhooks and the API."),
    state: Path | None = STATE,
) -> None:
    """Everything on this machine: Kafka, MongoDB, simulators, the four services and the console. Ctrl-C stops it all.

    `KAFKA_BOOTSTRAP_SERVERS` and `MONGODB_URI`, where set, are used instead of starting servers.
    """
    ports = Ports.free() if any_ports else Ports(kafka=kafka_port, mongo=mongo_port, ingress=ingress_port)
    with _folder(keep) as data:
        layout, written = Layout(str(data), ports), state or state_file()
        pages = not (headless or infra_only)
        _run(lambda stop: _sandbox(layout, stop, seconds, written, infra_only=infra_only, pages=pages))


def demo(
    as_json: bool = typer.Option(False, "--json", help="One JSON document instead of text."),
    state: Path | None = STATE,
) -> None:
    """The product's story in the running sandbox, or in one started for it; exit code 0 only if all of it was seen."""
    _run(lambda stop: _demo(state or state_file(), stop, as_json=as_json))


async def _sandbox(
    layout: Layout, stop: asyncio.Event, seconds: float, state: Path, *, infra_only: bool, pages: bool
) -> int:
    screen = Screen(stderr=infra_only)
    box = Sandbox(layout, screen, **_given(), pages=pages)
    if not await _started(box, stop, screen, infra_only=infra_only):
        return 0
    try:
        if infra_only:
            print(f"KAFKA_BOOTSTRAP_SERVERS={box.layout.kafka_servers}")  # noqa: T201
            print(f"MONGODB_URI={box.layout.mongodb_uri}", flush=True)  # noqa: T201
        else:
            box.layout.write(state)
            screen.welcome(box.layout, pages=pages)
        return await _until(box, stop, seconds, screen)
    finally:
        with suppress(OSError):  # the terminal may be gone
            screen.say("Stopping…")
        await box.stop()
        if not infra_only:
            box.layout.forget(state)


def _given() -> dict[str, str | None]:
    """Servers to use. In a shell that was told of another sandbox they are that one's: the groups would mix."""
    shell = {} if in_sandbox() else os.environ
    return {"kafka": shell.get("KAFKA_BOOTSTRAP_SERVERS"), "mongo": shell.get("MONGODB_URI")}


async def _started(box: Sandbox, stop: asyncio.Event, screen: Screen, *, infra_only: bool) -> bool:
    """False when it was asked to stop before it was up."""
    start, stopped = asyncio.create_task(box.start(infra_only=infra_only)), asyncio.create_task(stop.wait())
    with screen.starting():
        await asyncio.wait({start, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not start.done():
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        screen.say("Stopped before it was up; the next run goes on where this one was.")
        return False
    await start
    return True


async def _until(box: Sandbox, stop: asyncio.Event, seconds: float, screen: Screen) -> int:
    waits: set[asyncio.Future[Any]] = {asyncio.ensure_future(stop.wait()), box.lost}
    await asyncio.wait(waits, timeout=seconds or None, return_when=asyncio.FIRST_COMPLETED)
    if box.lost.done():
        screen.say(f"[red]{escape(box.lost.result())}[/red]")
        return 1
    return 0


async def _demo(state: Path, stop: asyncio.Event, *, as_json: bool) -> int:
    screen = Screen(quiet=as_json)
    layout, box = Layout.read(state), None
    if layout is None:
        with _folder(None) as data:
            box = Sandbox(Layout(str(data), Ports.free()), screen, pages=False)
            if not await _started(box, stop, screen, infra_only=False):
                return 130
            try:
                code = await _tell(box.layout, stop, screen.console, as_json=as_json)
            finally:
                await box.stop()
            raise typer.Exit(code)  # the folder wants to know
    return await _tell(layout, stop, screen.console, as_json=as_json)


async def _tell(layout: Layout, stop: asyncio.Event, console: Console, *, as_json: bool) -> int:
    story = Demo(layout, console)
    told, stopped = asyncio.create_task(story.tell()), asyncio.create_task(stop.wait())
    await asyncio.wait({told, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not told.done():
        told.cancel()
        return 130
    await told
    report(story, console, as_json=as_json)
    return 0 if story.complete else 1


class _folder:  # noqa: N801  # a context manager that reads like a word
    """The data folder: the one to keep, or a new one that goes away afterwards, unless its logs tell of a failure."""

    def __init__(self, keep: Path | None) -> None:
        self._keep = keep

    def __enter__(self) -> Path:
        self._path = self._keep.absolute() if self._keep else Path(tempfile.mkdtemp(prefix="hilo-sandbox-"))
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            print(f"--keep {self._keep}: {error.strerror}", file=sys.stderr)  # noqa: T201
            raise typer.Exit(2) from None
        return self._path

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        ended_well = error is None or (isinstance(error, typer.Exit) and error.exit_code in {0, 130})
        logs = self._path / "logs"
        if not ended_well and logs.exists():
            print(f"logs: {logs}", file=sys.stderr)  # noqa: T201
        elif not self._keep:
            shutil.rmtree(self._path, ignore_errors=True)


def _run(work: Callable[[asyncio.Event], Coroutine[Any, Any, int]]) -> None:
    """Run until done or asked to stop; a StackError is one sentence and exit code 2."""

    async def main() -> int:
        stop = asyncio.Event()
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # nohup
        for number in (signal.SIGINT, signal.SIGTERM, *([] if ignored else [signal.SIGHUP])):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return await work(stop)

    try:
        code = asyncio.run(main())
    except StackError as error:
        print(error, file=sys.stderr)  # noqa: T201
        code = 2
    except BaseExceptionGroup as group:
        print(group.exceptions[0], file=sys.stderr)  # noqa: T201
        code = 2 if isinstance(group.exceptions[0], StackError) else 1
    raise typer.Exit(code)
