"""An executor in virtual time, with a log of all that happened. Assertions belong outside the handlers: inside one
an AssertionError is an error like any other, and would be retried."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import ModuleType
from typing import Any

import kit.lanes

__all__ = ["Down", "NotYet", "Poison", "Rig", "all_of", "use"]

_package: list[ModuleType] = [kit.lanes]


def use(package: ModuleType) -> None:
    """Build from this copy of the lanes from now on: the mutants do."""
    _package[0] = package


class Poison(Exception):
    reason = "bad"


class Down(Exception):
    def __init__(self, after: float | None = None) -> None:
        self.after = after


class NotYet(Exception):
    after = 3.0


def all_of(records: Sequence[Any]) -> int:
    return len(records)


def _one(_records: Sequence[Any]) -> int:
    return 1


def _decode(raw: str) -> str:
    if raw.startswith("?"):
        raise ValueError(raw)
    return raw


class Rig:
    """Records are texts; one that begins with a question mark does not decode."""

    def __init__(
        self,
        handle: Callable[[Any], Awaitable[int | None]],
        *,
        cut: Callable[[Sequence[Any]], int] = _one,
        bury: Callable[[Any], Awaitable[None]] | None = None,
        observer: Any = None,
        attempts: int = 3,
        decode: Callable[[str], str] = _decode,
        **limits: float,
    ) -> None:
        lanes: Any = _package[0]
        self.loop = asyncio.get_running_loop()
        self.log: list[str] = []
        self.buried: list[str] = []
        self.reasons: list[str] = []
        self.crashes: list[BaseException] = []
        self._bury_first = bury
        self._next: dict[str, int] = {}
        self.executor: Any = lanes.LaneExecutor(
            handle,
            decode=decode,
            bury=self._bury,
            policy=lanes.RetryPolicy(
                poison=(Poison,), down=(Down,), wait=(NotYet,), attempts=attempts, jitter=lambda: 1.0
            ),
            clock=self.loop.time,
            limits=lanes.Limits(**limits),
            cut=cut,
            observer=observer,
            crash=self.crashes.append,
        )
        self.executor.open("s")

    def note(self, what: str) -> None:
        self.log.append(f"{self.loop.time():g} {what}")

    @property
    def done(self) -> list[str]:
        """The log without its times."""
        return [line.partition(" ")[2] for line in self.log]

    def feed(self, key: str | None, *raws: str, source: str = "s") -> None:
        for raw in raws:
            offset = self._next.get(source, 0)
            self._next[source] = offset + 1
            assert self.executor.admit(source, offset, key, raw)
        self.executor.pump()

    def rewind(self, source: str = "s", offset: int = 0) -> None:
        """The next record of the source has this offset."""
        self._next[source] = offset

    async def rest(self, seconds: float = 1000.0) -> None:
        """Until every record is settled, so many seconds at most."""
        end = self.loop.time() + seconds
        while self.executor.buffered and self.loop.time() < end:
            await self.executor.wait_room(end - self.loop.time())
        await asyncio.sleep(0)

    def mark(self, source: str = "s") -> int | None:
        mark = self.executor.dirty().get(source)
        return mark.offset if mark else None

    async def _bury(self, burial: Any) -> None:
        if self._bury_first:
            await self._bury_first(burial)
        self.buried.append(burial.raw)
        self.reasons.append(burial.reason)
        self.note(f"buried {burial.raw}")
