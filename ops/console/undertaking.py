"""Putting letters back or dropping them, in the background: one piece of work at a time, watched by the page."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from kit.clock import Clock
from kit.errors import DependencyDown, Misconfigured
from kit.kafka.outlet import Outlet
from kit.kafka.reading import reader
from kit.logs import get_log
from kit.reads import Reads
from kit.settings import KafkaSettings
from ops.letters import Case, Done, Undertaker

__all__ = ["RATE", "Undertaking", "Work"]

RATE = 10.0  # letters a second, as `hilo deadletters redrive` does
What = Literal["redrive", "drop"]


@dataclass(slots=True)
class Work:
    what: What
    by: str
    count: int
    done: Done = field(default_factory=Done)
    failed: str = ""
    over: bool = False


class Undertaking:
    def __init__(self, settings: KafkaSettings, outlet: Outlet, reads: Reads, clock: Clock) -> None:
        self._settings = settings
        self._outlet = outlet
        self._reads = reads
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._log = get_log("undertaking")
        self.last: Work | None = None

    @property
    def busy(self) -> bool:
        return self.last is not None and not self.last.over

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """The letter at hand is done wholly; the rest stays as it was."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def begin(self, what: What, chosen: Sequence[Case], by: str, because: str = "") -> Work:
        """Only while not busy."""
        work = self.last = Work(what, by, len(chosen), Done(left=[one.letter.id for one in chosen]))
        self._log.info("letters", what=what, count=len(chosen), by=by)
        self._task = asyncio.create_task(self._work(work, chosen, because))
        return work

    async def _work(self, work: Work, chosen: Sequence[Case], because: str) -> None:
        try:
            async with reader(self._settings) as kafka:
                hands = Undertaker(kafka, self._outlet, self._reads, self._clock, by=work.by)
                if work.what == "redrive":
                    await hands.redrive(chosen, RATE, work.done)
                else:
                    await hands.drop(chosen, because, work.done)
        except (DependencyDown, Misconfigured) as error:
            work.failed = str(error)
        finally:
            work.over = True
