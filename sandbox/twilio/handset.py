"""The user's phone: what was really seen on it, in the order it was seen."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class Bubble:
    n: int
    at: str
    author: str
    """us, user"""
    sid: str
    body: str
    kind: str
    sender: str
    """Our number's address."""
    tick: str
    """Ours: delivered, read. The user's: delivered, read (blue since our read mark)."""
    auto: bool = False
    """Twilio made it out of a webhook's answer: nobody meant to send it."""
    reply_to: str | None = None
    buttons: tuple[str, ...] = ()
    media: tuple[str, ...] = ()


@dataclass(slots=True)
class TypingSpan:
    since: str
    message_sid: str
    until: str | None = None
    ended_by: str | None = None
    """message, timeout; None while it shows"""


class Handset:
    """Bubbles as ordered on the screen, and the events that made them so, numbered from 1."""

    def __init__(self, address: str, keep: int) -> None:
        self.address = address
        self._bubbles: dict[str, Bubble] = {}
        self._keep = keep
        self._events: deque[dict[str, Any]] = deque(maxlen=keep * 4)
        self._last = 0
        self._shown = 0
        self._waiting: list[asyncio.Future[None]] = []
        self.typing: deque[TypingSpan] = deque(maxlen=keep)

    @property
    def bubbles(self) -> list[Bubble]:
        return list(self._bubbles.values())

    @property
    def replies(self) -> list[Bubble]:
        """Only what came from the business."""
        return [bubble for bubble in self._bubbles.values() if bubble.author == "us"]

    @property
    def texts(self) -> list[str]:
        return [bubble.body for bubble in self._bubbles.values() if bubble.author == "us"]

    def show(self, at: datetime, **facts: Any) -> None:
        self._shown += 1
        bubble = Bubble(n=self._shown, at=at.isoformat(), **facts)
        self._bubbles[bubble.sid] = bubble
        if len(self._bubbles) > self._keep:
            del self._bubbles[next(iter(self._bubbles))]
        if bubble.author == "us":
            self.end_typing(at, "message")
        self._tell(at, "bubble", bubble={name: getattr(bubble, name) for name in Bubble.__slots__})

    def tick(self, at: datetime, sid: str, mark: str) -> None:
        bubble = self._bubbles.get(sid)
        if bubble and bubble.tick != mark:
            bubble.tick = mark
            self._tell(at, "tick", sid=sid, tick=mark)

    def read_until(self, at: datetime, sid: str) -> None:
        """Our read mark on one of the user's bubbles turns it and all older ones blue."""
        for bubble in list(self._bubbles.values()):
            if bubble.author == "user":
                self.tick(at, bubble.sid, "read")
            if bubble.sid == sid:
                return

    def start_typing(self, at: datetime, sid: str) -> TypingSpan:
        self.end_typing(at, "timeout")
        span = TypingSpan(at.isoformat(), sid)
        self.typing.append(span)
        self._tell(at, "typing", on=True, sid=sid)
        return span

    def end_typing(self, at: datetime, by: str) -> None:
        if self.typing and self.typing[-1].until is None:
            self.typing[-1].until, self.typing[-1].ended_by = at.isoformat(), by
            self._tell(at, "typing", on=False, sid=self.typing[-1].message_sid)

    def events(self, after: int = 0) -> Iterator[dict[str, Any]]:
        return (event for event in self._events if event["n"] > after)

    async def wait(self, after: int, seconds: float) -> list[dict[str, Any]]:
        """Events newer than `after`; blocks until there is one or the time is over."""
        if self._last <= after and seconds > 0:
            news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(news)
            await asyncio.wait([news], timeout=seconds)
            news.cancel()
        return list(self.events(after))

    def wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def _tell(self, at: datetime, event: str, **facts: Any) -> None:
        self._last += 1
        self._events.append({**facts, "n": self._last, "at": at.isoformat(), "event": event})
        if self._waiting:
            self.wake()

    def story(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "last_event": self._last,
            "bubbles": [asdict(bubble) for bubble in self._bubbles.values()],
            "typing": [asdict(span) for span in self.typing],
        }
