"""Hours in milliseconds: an event loop that never waits but jumps to its next timer."""

import asyncio
import inspect
import math
import selectors
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

__all__ = ["Deadlock", "VirtualLoop", "run_virtual"]

T = TypeVar("T")
SPINS = 50_000  # iterations without a tick of the clock: something wakes itself for ever


class Deadlock(Exception):
    """Nothing is ready and nothing is scheduled, or nothing but the same moment ever is: it would hang."""


class _Task(asyncio.Task[Any]):
    """Hashed by its number instead of its address: a set of tasks is walked in the same order in every run."""

    _numbers = count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = next(_Task._numbers)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number


class _Jump(selectors.SelectSelector):
    """Instead of sleeping it moves the loop's clock."""

    now = 0.0
    spins = 0
    loop: Any

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("nothing is ready and nothing is scheduled")
        self.spins = 0 if timeout > 0 else self.spins + 1
        if self.spins > SPINS:
            raise Deadlock(f"the clock stands at {self.now} and something is always ready")
        if timeout > 0:
            self.now = self.loop._scheduled[0].when()  # not `+= timeout`, which may stop a hair before it
            self.loop._clock_resolution = math.ulp(self.now)  # and no timer fires a hair too early
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Sockets and threads never become ready on it. What nobody caught ends up in `faults`."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        _Task._numbers = count()
        self._jump.loop = self
        self.faults: list[dict[str, Any]] = []
        self.set_task_factory(lambda loop, coro, **kwargs: _Task(coro, loop=loop, **kwargs))
        self.set_exception_handler(lambda _loop, context: self.faults.append(context))

    def time(self) -> float:
        return self._jump.now


def run_virtual(main: Coroutine[Any, Any, T] | Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of `main` in virtual time, the same in every run. Raises `Deadlock` instead of hanging.

    What a callback or a forgotten task raised is raised here too: nothing is lost to a log.
    """
    loop = VirtualLoop()
    try:
        result: T = loop.run_until_complete(main if inspect.iscoroutine(main) else main())  # type: ignore[operator]
    finally:
        with suppress(Deadlock):  # of those that are left behind
            _sweep(loop)
        loop.close()
    if loop.faults:
        raise RuntimeError(f"nobody caught: {loop.faults}") from loop.faults[0].get("exception")
    return result


def _sweep(loop: VirtualLoop) -> None:
    loop._jump.spins = 0
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=60))
