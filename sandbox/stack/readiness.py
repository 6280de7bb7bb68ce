"""Waiting for a server to answer, or for the reason why it never will."""

import asyncio
import re
from collections.abc import Awaitable, Callable

from sandbox.stack.child import Child
from sandbox.stack.errors import StackError
from sandbox.stack.leash import CANNOT_RUN
from sandbox.stack.ports import HOST, port_taken

POLL_S = 0.02
PORT_ATTEMPTS = 3
PORT_LOST = "ddress already in use"  # Java and mongod differ in the first letter
EXCEPTION = re.compile(r"(Caused by: )?([\w$]+\.)+\w*(Exception|Error)\b")


async def until_ready(child: Child, port: int, answers: Callable[[], Awaitable[bool]], *, within: float) -> None:
    """Return once `answers()`, asked only when the port is open; raises `StackError` if it exits or takes too long."""
    answered = asyncio.ensure_future(_poll(port, answers))
    ended = asyncio.ensure_future(child.exited())
    try:
        await asyncio.wait({answered, ended}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():  # looked at first: on a port that we lost, somebody else may have answered
            raise await explain_exit(child)
        if answered.done():
            return answered.result()
    finally:
        for each in (answered, ended):
            each.cancel()
        await asyncio.gather(answered, ended, return_exceptions=True)
    raise StackError(
        f"{child.name} has not answered within {within:g} s: is the machine overloaded? Its log is {child.log}."
    )


async def _poll(port: int, answers: Callable[[], Awaitable[bool]]) -> None:
    while not (await _listening(port) and await answers()):  # noqa: ASYNC110 - another process has no Event
        await asyncio.sleep(POLL_S)


async def with_port_retries(
    run: Callable[[], Awaitable[None]], latest: Callable[[], Child | None], *, fixed: int | None
) -> None:
    """Run again, on another free port, if somebody bound the first between our looking and the server's binding."""
    for attempt in range(1, PORT_ATTEMPTS + 1):
        try:
            return await run()
        except StackError:
            child = latest()
            if child is None or attempt == PORT_ATTEMPTS or not await _lost_port(child):
                raise
            if fixed and port_taken(fixed):
                raise
    return None


async def explain_exit(child: Child) -> StackError:
    """Say in one sentence why a server ended that should be running."""
    last = _reason(await child.tail(400))
    if child.returncode == CANNOT_RUN:
        return StackError(f"{child.name} cannot start here ({last}): install the sandbox extra again.")
    return StackError(f"{child.name} ended with code {child.returncode} while starting; {child.log} says: {last}")


def _reason(lines: list[str]) -> str:
    """Return the last exception, which is the root cause, else the last line; never a frame of a stack trace."""
    speaking = [line.strip() for line in lines if not line[0].isspace()]
    causes = [line for line in speaking if EXCEPTION.match(line)]
    return (causes or speaking or ["it wrote nothing"])[-1]


async def _lost_port(child: Child) -> bool:
    return any(PORT_LOST in line for line in await child.tail(200))


async def _listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
