"""A blocked event loop ends the process, with the stack that blocked it.

While the loop is blocked no heartbeat leaves, Kafka gives the partitions to somebody else, and nobody is told why. An
orchestrator restarts a process that has ended; one that hangs it may leave for hours.
"""

import asyncio
import faulthandler
from collections.abc import Callable

__all__ = ["Watchdog"]

BEAT_S = 1.0


class Watchdog:
    """Every second it puts off its own end by `limit_s`.

    The timer is the standard library's, a thread in C that needs neither the interpreter's lock nor a logger's: it
    writes every thread's stack to standard error and exits with code 1 even when Python itself is stuck.
    """

    def __init__(self, limit_s: float = 30.0, late: Callable[[float], None] = lambda _: None) -> None:
        """`late` is told after each beat by how many seconds it was."""
        self._limit_s = limit_s
        self._late = late
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._beat(), name="watchdog")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        faulthandler.cancel_dump_traceback_later()

    async def _beat(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            faulthandler.dump_traceback_later(self._limit_s, exit=True)
            due = clock() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self._late(max(0.0, clock() - due))
