"""The sealed child: a process of the processor's code without environment, credentials, network, or files to write."""

import asyncio
import json
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from kit.errors import HiloError
from schemas.replay import Line, Result, Setup

__all__ = ["Child", "ChildFailed", "sealed_child", "sealed_children"]

COMMAND = ("-I", "-B", "-X", "utf8", "-m", "processor.sealed")
LONGEST = 64 * 1024 * 1024  # bytes of one line
START_S = 60.0  # it imports the whole processor


class ChildFailed(HiloError):
    """The child ended before its work was done."""


class Child:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._complaints = asyncio.create_task(_all(process.stderr))
        self.sealed = ""
        """How: `no network` where the kernel took it away, else `no way out`: only Python's own refusals."""

    async def results(self, setup: Setup, lines: Iterable[Line]) -> AsyncGenerator[Result, None]:
        """Raises ChildFailed."""
        writing = asyncio.create_task(self._write(setup, lines))
        try:
            self.sealed = (await self._answer(START_S))["sealed"]
            while (answer := await self._answer()) is not None:
                yield Result.model_validate(answer)
            if await self._process.wait():
                raise await self._failed()
            await writing
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._complaints.cancel()
        await asyncio.gather(self._complaints, return_exceptions=True)

    async def _write(self, setup: Setup, lines: Iterable[Line]) -> None:
        pipe = self._process.stdin
        assert pipe  # noqa: S101
        with suppress(ConnectionError):  # its end is told by its answers
            pipe.write(setup.model_dump_json().encode() + b"\n")
            for line in lines:
                pipe.write(line.model_dump_json(exclude_none=True).encode() + b"\n")
                await pipe.drain()
            pipe.close()

    async def _answer(self, within_s: float | None = None) -> Any:
        """None at its end."""
        pipe = self._process.stdout
        assert pipe  # noqa: S101
        try:
            async with asyncio.timeout(within_s):
                line = await pipe.readline()
        except TimeoutError:
            raise ChildFailed(f"the sealed child did not start within {START_S:g} s") from None
        if not line and within_s:
            raise await self._failed()
        answer = json.loads(line) if line else None
        if answer and "fault" in answer:
            raise ChildFailed(answer["fault"])
        return answer

    async def _failed(self) -> ChildFailed:
        said = (await self._complaints).decode("utf-8", "replace").strip().splitlines()
        return ChildFailed(f"the sealed child ended: {said[-1] if said else 'it said nothing'}")


@asynccontextmanager
async def sealed_child() -> AsyncIterator[Child]:
    """In an empty folder, so that no `.env` is near, and with nothing in its environment."""
    with tempfile.TemporaryDirectory(prefix="hilo-replay-") as nowhere:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *COMMAND, stdin=PIPE, stdout=PIPE, stderr=PIPE, env={}, cwd=nowhere, limit=LONGEST,
            start_new_session=True,  # Ctrl-C is ours to handle
        )  # fmt: skip
        child = Child(process)
        try:
            yield child
        finally:
            await child.stop()


@asynccontextmanager
async def sealed_children(count: int) -> AsyncIterator[list[Child]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(sealed_child()) for _ in range(count)]


async def _all(pipe: asyncio.StreamReader | None) -> bytes:
    assert pipe  # noqa: S101
    return await pipe.read()
