"""Every conversation that the list may show, in memory: an inbox of ten thousand is answered without a scan."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from kit.clock import Clock
from kit.errors import StoreDown
from kit.logs import get_log
from kit.reads import Reads
from ops.console.shapes import SECTIONS, Entry, Section, entry_of

__all__ = ["PAGE", "Board"]

MOST = 20_000  # the newest conversations, open or not; about 1 kB each
AGAIN_S = 900.0  # the feed keeps it fresh; this is for what nobody foresaw
RETRY_S, LONGEST_S = 1.0, 10.0
PAGE = 50
READ = 1000  # documents asked for at once
FEWEST_DIGITS = 3


class Board:
    """Read at the start and now and then; between these the feed puts in what changes."""

    def __init__(self, reads: Reads, clock: Clock) -> None:
        self._reads = reads
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._known: dict[str, str] = {}
        """Contact → name, as it was when it was first asked for; the feed tells newer ones."""
        self._log = get_log("board")
        self._task: asyncio.Task[None] | None = None
        self._changed: set[str] = set()
        self.loaded = asyncio.Event()
        self.store_up = True
        self.changed: Callable[[], None] = lambda: None
        """Called when the store goes, and when it comes back."""
        self._doubted = asyncio.Event()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name="board")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def doubt(self) -> None:
        """Somebody met a store that is away: look at once, and say so."""
        self._tell(up=False)
        self._doubted.set()

    def _tell(self, *, up: bool) -> None:
        before, self.store_up = self.store_up, up
        if before != up:
            self.changed()

    def put(self, entry: Entry) -> bool:
        """Whether it changes anything."""
        self._changed.add(entry.id)
        if self._entries.get(entry.id) == entry:
            return False
        self._entries[entry.id] = entry
        return True

    def drop(self, conversation: str) -> None:
        self._changed.add(conversation)
        if gone := self._entries.pop(conversation, None):
            self._known.pop(gone.contact, None)

    def get(self, conversation: str) -> Entry | None:
        return self._entries.get(conversation)

    def open_of(self, contact: str) -> str | None:
        """The newest open conversation of a contact."""
        found = [one for one in self._entries.values() if one.contact == contact and one.section != "closed"]
        return max(found, key=lambda one: one.order).id if found else None

    def of(self, contact: str) -> list[str]:
        return [one.id for one in self._entries.values() if one.contact == contact]

    def counts(self) -> dict[Section, int]:
        counted = Counter(one.section for one in self._entries.values())
        return {section: counted.get(section, 0) for section in SECTIONS}

    def page(self, section: Section, before: str = "", limit: int = PAGE) -> list[Entry]:
        """Newest first; those behind `before`, which is an entry's `order`."""
        found = [one for one in self._entries.values() if one.section == section and (not before or one.order < before)]
        return sorted(found, key=lambda one: one.order, reverse=True)[:limit]

    def search(self, text: str, limit: int = PAGE) -> list[Entry]:
        """By name, number or last line."""
        words = text.casefold().strip()
        digits = "".join(one for one in text if one.isdecimal())
        by_number = len(digits) >= FEWEST_DIGITS and not any(one.isalpha() for one in text)
        found = [
            one
            for one in self._entries.values()
            if words in one.name.casefold()
            or words in one.last.casefold()
            or (by_number and (digits in one.number or digits in one.contact))
        ]
        return sorted(found, key=lambda one: one.order, reverse=True)[:limit]

    async def load(self) -> None:
        """What is open first: then the list can be shown. Raises StoreDown."""
        self._changed.clear()
        found = await self._reads.open_ones(MOST)
        fresh = {one.id: entry_of(one) for one in found}
        if not self.loaded.is_set():
            self._take(fresh)
            self.loaded.set()
        found += await self._reads.closed_ones(MOST - len(found)) if len(found) < MOST else []
        names = await self._names([one.contact for one in found if not one.client_name])
        self._take({one.id: entry_of(one, names.get(one.contact)) for one in found})

    def _take(self, fresh: dict[str, Entry]) -> None:
        """What changed while it was read is newer than what was read."""
        kept = {name: self._entries[name] for name in self._changed if name in self._entries}
        gone = self._changed - set(kept)  # erased meanwhile
        self._entries = {**{name: one for name, one in fresh.items() if name not in gone}, **kept}

    async def _names(self, contacts: Sequence[str]) -> dict[str, str]:
        names = self._known
        wanted = [one for one in dict.fromkeys(contacts) if one not in names]
        for begin in range(0, len(wanted), READ):
            names |= await self._reads.named(wanted[begin : begin + READ])
        return names

    async def _keep(self) -> None:
        retry = RETRY_S
        while True:
            try:
                await self.load()
                pause, retry = AGAIN_S, RETRY_S
                self._tell(up=True)
            except StoreDown as error:
                if retry == RETRY_S:
                    self._log.warning("MongoDB not reached", error=str(error))
                pause, retry = retry, min(2 * retry, LONGEST_S)
                self._tell(up=False)
            except Exception:  # noqa: BLE001  # one unreadable document must not end the list for good
                self._log.exception("the conversations could not be read")
                pause = LONGEST_S
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        """Cut short by a doubt, but for the pauses of an outage that is known."""
        if seconds < AGAIN_S:
            await asyncio.sleep(seconds)
            return
        self._doubted.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._doubted.wait()
                await asyncio.sleep(RETRY_S)  # while it comes and goes, too, it is not read without a pause
