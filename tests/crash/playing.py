"""A run on a fleet, from a terminal: to its end, or to Ctrl-C, and the account it leaves."""

import asyncio
import json
import os
import platform
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from sandbox.stack.errors import StackError
from tests.crash.fleet import Fleet

__all__ = ["Playable", "stopped", "write"]


class Playable(Protocol):
    fleet: Fleet

    async def play(self) -> None:
        """Raises StackError."""
        ...


async def stopped(run: Playable, console: Console) -> int | None:
    """Play it: the exit code where it did not come to its end, None where it did."""
    playing = asyncio.create_task(run.play())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, playing.cancel)
    try:
        await playing
    except asyncio.CancelledError:
        run.fleet.tidy()
        console.print("Stopped; nothing is left running.")
        return 130
    except StackError as error:
        console.print(f"[red]{error}[/red]")
        return 2
    return None


def write(account: Mapping[str, Any], where: Path) -> None:
    """With the machine and the time."""
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    told = {**account, "machine": machine, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
