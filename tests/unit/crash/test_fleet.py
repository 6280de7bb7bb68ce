"""A process that ends without having been asked to is a crash, whatever its exit code."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.crash import fleet
from tests.crash.fleet import Member

KILLED, TERMINATED = -signal.SIGKILL, -signal.SIGTERM


class Process:
    """A child that ends when it is told with which code."""

    pid = 1

    def __init__(self, *_given: Any, **_more: Any) -> None:
        self.returncode: int | None = None
        self._end = asyncio.Event()
        processes.append(self)

    async def start(self) -> None:
        pass

    async def exited(self) -> int:
        await self._end.wait()
        assert self.returncode is not None
        return self.returncode

    def end(self, code: int) -> None:
        self.returncode = code
        self._end.set()

    async def stop(self, _grace: float) -> int:
        return self.returncode or 0


processes: list[Process] = []


@pytest.fixture
async def member(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Member:
    processes.clear()
    monkeypatch.setattr(fleet, "Child", Process)
    monkeypatch.setattr(fleet, "RESTART_S", 0)
    monkeypatch.setattr("os.kill", lambda _pid, _number: None)
    member = Member("sender", ["true"], {}, tmp_path)
    member.start()
    await turns()
    return member


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("code", [0, 1, 2, KILLED, TERMINATED])
async def test_an_end_that_nobody_asked_for_is_a_death(member: Member, code: int) -> None:
    processes[0].end(code)
    await turns()
    assert (member.deaths, len(processes)) == ([code], 2)
    await member.stop()


async def test_a_kill_is_asked_for_once(member: Member) -> None:
    """The second one is the kernel's: out of memory."""
    assert member.signal(signal.SIGKILL)
    processes[0].end(KILLED)
    await turns()
    assert member.deaths == []
    processes[1].end(KILLED)
    await turns()
    assert member.deaths == [KILLED]
    await member.stop()


@pytest.mark.parametrize(("code", "deaths"), [(0, []), (1, [1]), (TERMINATED, [TERMINATED]), (KILLED, [KILLED])])
async def test_who_leaves_as_asked_ends_with_0(member: Member, code: int, deaths: list[int]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(member.leave(5))
        await turns()
        processes[0].end(code)
    assert (member.deaths, len(processes)) == (deaths, 1)


async def test_a_kill_that_hits_nobody_is_none(member: Member) -> None:
    processes[0].returncode = 1
    assert not member.signal(signal.SIGKILL)
    processes[0].end(1)
    await member.stop()
