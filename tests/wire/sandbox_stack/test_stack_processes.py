"""`python -m sandbox.stack` from outside: what it prints, how it ends, what it leaves behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from sandbox.stack import Child, Stack, StackError, port_taken

pytestmark = pytest.mark.stack
LEASH = Path(sys.modules[Child.__module__].__file__ or "").with_name("leash.py")
Eventually = Callable[..., Awaitable[None]]
SLEEPER = "import time; time.sleep(600)"


async def run_stack(data: Path, *arguments: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": "", "MONGODB_URI": ""}
    command = (sys.executable, "-m", "sandbox.stack", "--data", str(data), *arguments)
    return await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
    )


async def addresses(process: asyncio.subprocess.Process) -> dict[str, str]:
    assert process.stdout
    lines = [(await process.stdout.readline()).decode().strip() for _ in range(2)]
    return dict(line.split("=", 1) for line in lines)


def stats() -> Iterator[tuple[int, int, str]]:
    """Yield (process, its parent, its state) of every process."""
    listing = subprocess.check_output(("/bin/ps", "-A", "-o", "pid=,ppid=,stat="), text=True)
    for line in listing.splitlines():
        pid, parent, state = line.split()
        yield int(pid), int(parent), state


def descendants(pid: int) -> set[int]:
    parents = {child: parent for child, parent, _ in stats()}
    found = {child for child, parent in parents.items() if parent == pid}
    return found.union(*(descendants(child) for child in found))


def gone(pids: set[int]) -> Callable[[], bool]:
    return lambda: not any(pid in pids and not state.startswith("Z") for pid, _, state in stats())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_however_it_ends_nothing_is_left(how: signal.Signals, tmp_path: Path, eventually: Eventually) -> None:
    process = await run_stack(tmp_path)
    printed = await addresses(process)
    assert list(printed) == ["KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI"]
    children = descendants(process.pid)
    assert len(children) == 2

    began = time.monotonic()
    process.send_signal(how)
    await process.communicate()
    assert process.returncode == (-how if how is signal.SIGKILL else 0)
    await eventually(gone(children), "the servers are gone", within=8)
    for address in printed.values():
        port = int(address.rsplit(":", 1)[1])
        # After kill -9 a server's threads may outlive its entry in the process table by a moment.
        await eventually(lambda port=port: not port_taken(port), f"port {port} is free", within=2)
    assert time.monotonic() - began < 8


async def test_interrupted_while_starting_it_leaves_nothing(tmp_path: Path, eventually: Eventually) -> None:
    process = await run_stack(tmp_path)
    await eventually(lambda: len(descendants(process.pid)) == 2, "two children")
    children = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 0
    await eventually(gone(children), "the servers are gone", within=8)


async def test_what_exists_is_used_and_a_failed_half_stops_the_other(tmp_path: Path) -> None:
    async with Stack(tmp_path, kafka="there:1", mongo="mongodb://there:2") as stack:
        assert (stack.bootstrap_servers, stack.mongodb_uri) == ("there:1", "mongodb://there:2")

    (tmp_path / "mongo").mkdir()
    (tmp_path / "mongo" / "store.mv").write_bytes(b"not a store" * 1000)
    stack = Stack(tmp_path, mongo=None)
    with pytest.raises(StackError, match="MongoDB ended"):
        await stack.start()
    assert stack.kafka
    assert stack.kafka.child.returncode is not None


async def test_a_stubborn_child_and_its_grandchildren_are_killed(tmp_path: Path, eventually: Eventually) -> None:
    program = (
        "import signal, subprocess, sys;"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]);"
        f"print('ready', flush=True);{SLEEPER}"
    )
    child = Child("stubborn", [sys.executable, "-c", program], log=tmp_path / "stubborn.log")
    await child.start()

    async def ready() -> bool:
        return await child.tail() == ["ready"]

    await eventually(ready, "the program runs")
    family = {child.pid} | descendants(child.pid)
    assert len(family) == 2
    assert await child.stop(grace=0.1) == -signal.SIGKILL
    await eventually(gone(family), "child and grandchild are gone")
    assert await child.stop(grace=0.1) == -signal.SIGKILL


async def test_without_the_kernels_help_a_lifeline_ends_the_command(eventually: Eventually) -> None:
    """What macOS uses; the leash's other half, run here on any system."""
    theirs, ours = os.pipe()
    command = (sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), str(theirs))
    process = await asyncio.create_subprocess_exec(
        *command, sys.executable, "-c", SLEEPER, start_new_session=True, pass_fds=(theirs,)
    )
    os.close(theirs)
    await eventually(lambda: len(descendants(process.pid)) == 1, "the watcher runs")
    os.close(ours)
    assert await process.wait() == -signal.SIGKILL
