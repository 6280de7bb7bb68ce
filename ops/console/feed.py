"""The live side: a record comes in, and every page that shows its contact gets what changed of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kit.clock import Clock
from kit.errors import StoreDown
from kit.logs import get_log
from ops.console.board import Board
from ops.console.looking import Looking, Person
from ops.console.overlay import Overlay
from ops.console.pending import Ask
from ops.console.rendering import Pages
from ops.console.sessions import Session
from ops.console.texts import saying
from schemas.attributes import Envelope
from schemas.events import EraseRequested, EraseSends, Event

__all__ = ["Feed", "Listener"]

LOOKS_S = (0.0, 0.25, 0.8, 2.5)  # the log is ahead of the stores: look again so long after the look before
FIRST_S = 0.12  # what a first look may take; then the log's own words are shown, and the stores' later
MANY = 100  # contacts at once; above it only the last look is taken
BEAT_S = 10.0
QUEUE = 200  # patches that a page may be behind; then it is cut, and loads again
PERSONAL = ("chat-name", "chat-actions", "scroll", "saying", "aside")  # of an open chat, once its person is erased


@dataclass(eq=False, slots=True)
class Listener:
    """One open page."""

    session: Session
    language: str
    chat: str
    queue: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    shown: dict[str, int] = field(default_factory=dict)
    """Element → hash of what it looks like there."""


class Feed:
    def __init__(self, looking: Looking, overlay: Overlay, board: Board, pages: Pages, clock: Clock) -> None:
        self._looking = looking
        self._overlay = overlay
        self._board = board
        self._board.changed = self.state_changed
        self._pages = pages
        self._clock = clock
        self._up: Callable[[], bool] = lambda: True
        self._asks: Callable[[str], Sequence[Ask]] = lambda _: ()
        self._lasts: Callable[[Session], bool] = lambda _: True
        self._listeners: set[Listener] = set()
        self._following: dict[str, asyncio.Event] = {}
        """Contacts that are looked at, each with what wakes it when there is more."""
        self._erasing: set[str] = set()
        """Contacts whom the stores may still know, though the log has erased them."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._beat: asyncio.Task[None] | None = None
        self._log = get_log("feed")

    def watch(
        self, up: Callable[[], bool], asks: Callable[[str], Sequence[Ask]], lasts: Callable[[Session], bool]
    ) -> None:
        """`up`: whether Kafka is heard; `asks`: what operators asked for; `lasts`: whether who reads still may."""
        self._up, self._asks, self._lasts = up, asks, lasts

    async def start(self) -> None:
        self._beat = asyncio.create_task(self._beats(), name="beat")

    async def stop(self) -> None:
        """Ends every page's connection: a server that waits for them would wait for ever."""
        tasks = [*self._tasks, *([self._beat] if self._beat else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in list(self._listeners):
            _end(listener)

    def heard(self, envelope: Envelope[Event]) -> None:
        self._overlay.hear(envelope)
        if isinstance(envelope.data, EraseRequested | EraseSends):
            self._erasing.add(envelope.contact)
            for conversation in self._board.of(envelope.contact):
                self._board.drop(conversation)
                self._tell_all(conversation)
        self.changed(envelope.contact)

    def changed(self, contact: str) -> None:
        if contact in self._following:
            self._following[contact].set()
            return
        more = self._following[contact] = asyncio.Event()
        task = asyncio.create_task(self._follow(contact, more))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def state_changed(self) -> None:
        for listener in self._listeners:
            self._push(
                listener,
                {"banner": self._pages.banner(listener.language, kafka=self._up(), store=self._board.store_up)},
            )

    async def listen(self, session: Session, language: str, chat: str) -> AsyncIterator[str]:
        """Server-sent events, until the page goes or we do."""
        listener = Listener(session, language, chat)
        self._listeners.add(listener)
        try:
            yield self._clock_event()
            self.state_changed()
            while (event := await listener.queue.get()) is not None:
                yield event
        finally:
            self._listeners.discard(listener)

    async def _follow(self, contact: str, more: asyncio.Event) -> None:
        """Looks now and again, until the stores must have it; what comes meanwhile begins it anew."""
        try:
            look = 0
            while look < len(LOOKS_S):
                hurried = bool(self._listeners) and len(self._following) < MANY
                if not hurried:
                    look = len(LOOKS_S) - 1
                if hurried and await _woken(more, LOOKS_S[look]):
                    look = 0
                elif not hurried:
                    await asyncio.sleep(LOOKS_S[look])
                more.clear()
                await self._show(contact, quick=look == 0, last=look == len(LOOKS_S) - 1)
                look += 1
        finally:
            del self._following[contact]

    async def _show(self, contact: str, *, quick: bool, last: bool) -> None:
        if contact in self._erasing and not last:
            return
        self._erasing.discard(contact)
        try:
            async with asyncio.timeout(FIRST_S if quick else 10):
                person = await self._looking.person(contact)
        except (StoreDown, TimeoutError) as error:
            if isinstance(error, StoreDown):
                self._board.doubt()
            if not quick:
                return
            person = self._looking.heard(contact, self._board.open_of(contact))
        for conversation in person.places:
            await self._tell(person, conversation)

    async def _tell(self, person: Person, conversation: str) -> None:
        entry = person.entry(conversation, self._board.get(conversation))
        if entry:
            self._board.put(entry)
        readers = [one for one in self._listeners if one.chat == conversation]
        bubbles = await self._bubbles(person, conversation) if readers else []
        if not readers:
            self._looking.settled(person)
        counts = self._board.counts()
        for one in list(self._listeners):
            patches = self._pages.counts(one.language, counts)
            if entry:
                patches |= self._pages.entries(one, [entry])
            if one.chat == conversation:
                patches |= self._pages.chat_parts(one, person, conversation, bubbles, self._asks(conversation))
            self._push(one, patches)

    async def _bubbles(self, person: Person, conversation: str) -> list[Any]:
        try:
            async with asyncio.timeout(1):
                return list(await self._looking.recent(person, conversation))
        except (StoreDown, TimeoutError):
            return person.heard_in(conversation)

    def _tell_all(self, conversation: str) -> None:
        entry = f"entry-{conversation}"
        for one in self._listeners:
            reads = one.chat == conversation
            patches = {name: self._pages.gone(name) for name in (entry, *(PERSONAL if reads else ()))}
            if reads:
                patches["chat-asks"] = self._pages.asks(one.language, (), saying(one.language)("chat.unknown"))
            self._push(one, patches)

    def _push(self, listener: Listener, patches: dict[str, str]) -> None:
        """Only what looks different there. A page that does not keep up is cut: it loads again, whole."""
        fresh = {name: text for name, text in patches.items() if listener.shown.get(name) != hash(text)}
        if not fresh:
            return
        listener.shown |= {name: hash(text) for name, text in fresh.items()}
        try:
            listener.queue.put_nowait(_event("patch", "".join(fresh.values())))
        except asyncio.QueueFull:
            _end(listener)

    async def _beats(self) -> None:
        """A comment would keep a proxy from cutting; the time lets a page count by our clock."""
        while True:
            await asyncio.sleep(BEAT_S)
            for one in list(self._listeners):
                if not self._lasts(one.session):
                    _end(one)
                elif one.queue.empty():
                    one.queue.put_nowait(self._clock_event())

    def _clock_event(self) -> str:
        return _event("clock", self._clock.now().isoformat())


async def _woken(more: asyncio.Event, seconds: float) -> bool:
    """Whether more came within that time."""
    try:
        async with asyncio.timeout(seconds):
            await more.wait()
    except TimeoutError:
        return False
    return True


def _event(name: str, data: str) -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines())
    return f"event: {name}\n{lines}\n"


def _end(listener: Listener) -> None:
    while not listener.queue.empty():
        listener.queue.get_nowait()
    listener.queue.put_nowait(None)
