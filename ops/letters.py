"""Reading the dead letters, putting them back to work, letting them go."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from kit.clock import Clock
from kit.errors import HiloError, Poison
from kit.kafka.letters import Fate, Letter, Mark, back_to_work
from kit.kafka.outlet import Outlet
from kit.kafka.reading import Progress, Reader
from kit.reads import Reads
from schemas.attributes import Undecodable, header
from schemas.topics import CONTACT_LOG, DEAD_LETTERS, TOPICS

__all__ = ["Case", "Done", "Undertaker", "UnknownLetter", "Wanted", "cases", "one_case"]

REDRIVABLE = {topic.name for topic in TOPICS if topic.events}


class UnknownLetter(HiloError):
    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r}: no such letter; `hilo deadletters list` shows them as PARTITION-OFFSET")


@dataclass(frozen=True, slots=True)
class Case:
    """A letter, and what was done with it last."""

    letter: Letter
    size: int
    """Bytes of its value, which a listing does not keep."""
    mark: Mark | None = None

    @property
    def fate(self) -> Fate:
        return self.mark.fate if self.mark else "open"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters."""

    topic: str | None = None
    reason: str | None = None
    since: datetime | None = None
    settled: bool = False
    """Those too that were put back or dropped."""

    def has(self, case: Case) -> bool:
        letter = case.letter
        return (
            (self.settled or case.fate == "open")
            and self.topic in {None, letter.origin.topic}
            and self.reason in {None, letter.reason}
        )


async def cases(kafka: Reader, wanted: Wanted, progress: Progress = lambda _read, _of: None) -> list[Case]:
    """Oldest first, without their bytes: however many there are, they fit into memory. Raises BrokerDown."""
    letters: dict[str, Case] = {}
    marks: dict[str, Mark] = {}
    async for stored in kafka.read(await kafka.whole(DEAD_LETTERS.name, wanted.since), progress):
        if mark := Mark.read(stored):
            marks[mark.letter] = mark
        elif letter := Letter.read(stored):
            lean = replace(letter, record=replace(letter.record, value=None))
            letters[letter.id] = Case(lean, len(letter.record.value or b""))
    found = (replace(one, mark=marks.get(name)) for name, one in letters.items())
    return sorted(filter(wanted.has, found), key=lambda one: (one.letter.buried_at, one.letter.id))


async def one_case(kafka: Reader, name: str) -> Case:
    """With its bytes. Raises UnknownLetter, BrokerDown."""
    partition, _, offset = name.removeprefix(f"{DEAD_LETTERS.name}-").partition("-")
    if not (_is_number(partition) and _is_number(offset)):
        raise UnknownLetter(name)
    behind = [one for one in await kafka.whole(DEAD_LETTERS.name) if one.partition.partition == int(partition)]
    spans = [replace(one, begin=int(offset)) for one in behind if one.begin <= int(offset) < one.end]
    found: Case | None = None
    async for stored in kafka.read(spans):  # its marks stand behind it
        if stored.position.offset == int(offset) and (letter := Letter.read(stored)):
            found = Case(letter, len(letter.record.value or b""))
        elif found and (mark := Mark.read(stored)) and mark.letter == found.letter.id:
            found = replace(found, mark=mark)
    if found is None:
        raise UnknownLetter(name)
    return found


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) < 19


@dataclass(slots=True)
class Done:
    """What became of each letter."""

    settled: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Letter → why nothing was done."""
    left: list[str] = field(default_factory=list)
    """Not come to: interrupted, or Kafka went away."""


class Undertaker:
    """One letter after the other, each wholly or not at all: an interruption waits for the one at hand.

    A killed process may leave a letter put back and not marked. Put back again, its id makes that harmless.
    """

    def __init__(
        self, kafka: Reader, outlet: Outlet, reads: Reads, clock: Clock, *, by: str, again: bool = False
    ) -> None:
        self._kafka = kafka
        self._outlet = outlet
        self._reads = reads
        self._clock = clock
        self._by = by
        self._again = again

    async def redrive(self, chosen: Sequence[Case], rate: float, done: Done) -> None:
        """`rate` a second. `done` tells how far it came, also when this raises BrokerDown, StoreDown."""
        async for case in self._each(chosen, done, pause_s=1 / rate):
            await _undivided(self._put_back(case, done))

    async def drop(self, chosen: Sequence[Case], why: str, done: Done) -> None:
        async for case in self._each(chosen, done):
            await _undivided(self._marked(case.letter, "dropped", why, done))

    async def _each(self, chosen: Sequence[Case], done: Done, pause_s: float = 0.0) -> AsyncIterator[Case]:
        done.left = [case.letter.id for case in chosen]
        for number, case in enumerate(chosen):
            if number and pause_s:
                await self._clock.sleep(pause_s)
            if case.fate != "open" and not self._again:
                done.skipped[case.letter.id] = f"it was {case.fate} already"
            else:
                yield case
            done.left = [one.letter.id for one in chosen[number + 1 :]]

    async def _put_back(self, case: Case, done: Done) -> None:
        letter = case.letter
        if why := await self._useless(letter):
            done.skipped[letter.id] = why
            return
        whole = await self._with_bytes(letter)
        if whole is None:
            done.skipped[letter.id] = "it has aged out meanwhile"
            return
        try:
            await self._outlet.publish_record(letter.origin.topic, back_to_work(whole, self._by, self._clock.now()))
        except Poison as error:
            done.skipped[letter.id] = str(error)
            return
        await self._marked(letter, "redriven", "", done)

    async def _with_bytes(self, letter: Letter) -> Letter | None:
        async for stored in self._kafka.read(await self._kafka.around([letter.position])):
            return Letter.read(stored)
        return None

    async def _useless(self, letter: Letter) -> str:
        """Why it would do nothing to put this one back; empty if it may do something."""
        if letter.origin.topic not in REDRIVABLE:
            return f"it came from {letter.origin.topic or 'nobody knows where'}, which is no topic"
        if letter.cut is not None:
            return f"of its {letter.cut} bytes only the beginning is kept: who published it has to send less"
        event = _event_id(letter)
        if letter.origin.topic != CONTACT_LOG.name or not event:
            return ""
        decided = await self._reads.finished(event)
        return f"{decided.id} has decided it ({decided.outcome}): it would be dropped as a copy" if decided else ""

    async def _marked(self, letter: Letter, fate: Fate, why: str, done: Done) -> None:
        mark = Mark(letter.id, fate, self._by, why, self._clock.now())
        partition = letter.position.partition
        await self._outlet.publish_record(DEAD_LETTERS.name, mark.wire(), partition=partition)
        done.settled.append(letter.id)
        done.left = [one for one in done.left if one != letter.id]


def _event_id(letter: Letter) -> str | None:
    try:
        return header(letter.record.headers, "ce_id")
    except Undecodable:
        return None


async def _undivided(work: Coroutine[Any, Any, None]) -> None:
    """To its end, also when we are cancelled meanwhile; then the cancellation goes on."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
