"""The user's phone: what was really seen on it, in the order it was seen."""

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sandbox.twilio.feed import Feed


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


class Handset(Feed):
    """Bubbles as ordered on the screen, and the events that made them so, numbered from 1."""

    def __init__(self, address: str, keep: int, also: Callable[[dict[str, Any]], None]) -> None:
        """`also` hears every event too, without its number."""
        super().__init__(keep * 4)
        self.address = address
        self._bubbles: dict[str, Bubble] = {}
        self._keep = keep
        self._also = also
        self._shown = 0
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

    def _tell(self, at: datetime, event: str, **facts: Any) -> None:
        told = {**facts, "at": at.isoformat(), "event": event}
        self.add(told)
        self._also({**told, "address": self.address})

    def story(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "last_event": self.last,
            "bubbles": [asdict(bubble) for bubble in self._bubbles.values()],
            "typing": [asdict(span) for span in self.typing],
        }
