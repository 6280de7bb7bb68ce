"""What the pages show, as values: an entry of the list, a bubble, a chat. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from schemas.documents import ContactDocument, ConversationDocument, MessageDocument, SendDocument, TurnDocument

__all__ = [
    "SECTIONS",
    "Bubble",
    "Chat",
    "Entry",
    "Mark",
    "Section",
    "Side",
    "bubble_of",
    "entry_of",
    "mark_of",
    "section_of",
    "with_last",
]

Side = Literal["client", "bot", "operator"]
Section = Literal["waiting", "person", "active", "closed"]
Mark = Literal["", "waiting", "sent", "delivered", "read", "failed", "unclear"]
SECTIONS: tuple[Section, ...] = ("waiting", "person", "active", "closed")
LINE = 160  # characters of a last line that a list keeps
LANDED: Mapping[str, Mark] = {"sent": "sent", "delivered": "delivered", "read": "read"}
LOST = {"failed", "undelivered"}
STOPPED = {"rejected", "withheld"}
RANKS = {"sent": 1, "delivered": 2, "failed": 3, "undelivered": 3, "read": 4}


@dataclass(frozen=True, slots=True)
class Entry:
    """A conversation in the list."""

    id: str
    contact: str
    section: Section
    name: str
    last: str
    last_by: Side | Literal[""]
    at: datetime
    number: str = ""

    @property
    def order(self) -> str:
        return f"{_stamp(self.at)}|{self.id}"


@dataclass(frozen=True, slots=True)
class Bubble:
    id: str
    side: Side
    text: str
    at: datetime
    kind: str = "text"
    by: str = ""
    purpose: str = ""
    mark: Mark = ""
    why: str = ""
    """Key of the reason, or what Twilio said."""
    code: int | None = None
    heard: bool = False
    """The text is what a voice note says."""
    drafts: int = 0
    """Drafts of its turn that later bubbles made stale."""
    stored: bool = True

    @property
    def order(self) -> str:
        return f"{_stamp(self.at)}|{self.id}"


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation as a page. `conversation` is none as long as only the log knows of it."""

    id: str
    contact: str
    channel: str
    name: str
    status: str
    bubbles: Sequence[Bubble] = ()
    conversation: ConversationDocument | None = None
    about: ContactDocument | None = None
    more: bool = False
    """There are older messages than are shown."""
    turns: Sequence[TurnDocument] = field(default=())

    @property
    def window_until(self) -> datetime | None:
        return self.about.windows.get(self.channel) if self.about else None

    @property
    def last_turn(self) -> TurnDocument | None:
        """The newest one in which the agent was told something."""
        told = [turn for turn in self.turns if turn.context or turn.superseded]
        return max(told, key=lambda turn: turn.seq, default=None)

    @property
    def waits(self) -> bool:
        return self.status == "escalated" and bool(self.bubbles) and self.bubbles[-1].side == "client"


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def section_of(status: str, last_by: str) -> Section:
    if status == "closed":
        return "closed"
    if status == "escalated":
        return "waiting" if last_by == "client" else "person"
    return "active"


def entry_of(conversation: ConversationDocument, name: str | None = None, last: Bubble | None = None) -> Entry:
    """`last`: the newest bubble, where the log knows a newer one than the document."""
    line = conversation.lines[-1] if conversation.lines else None
    by: Side | Literal[""] = last.side if last else line.role if line else ""
    return Entry(
        id=conversation.id,
        contact=conversation.contact,
        section=section_of(conversation.status, by),
        name=conversation.client_name or name or "",
        last=(last.text if last else line.text if line else "")[:LINE],
        last_by=by,
        at=max(conversation.last_message_at, last.at) if last else conversation.last_message_at,
        number=conversation.phone_number,
    )


def with_last(entry: Entry, last: Bubble) -> Entry:
    """The same, with a newer last line."""
    status = {"closed": "closed", "active": "active"}.get(entry.section, "escalated")
    section = section_of(status, last.side)
    return replace(entry, section=section, last=last.text[:LINE], last_by=last.side, at=max(entry.at, last.at))


def mark_of(send: SendDocument | None, told: tuple[str, int | None] | None = None) -> dict[str, Any]:
    """Mark, reason and code. `told`: the status that the log has, and the store perhaps not yet."""
    status, code = (send.status, send.error_code) if send else ("", None)
    if told and RANKS.get(told[0], 0) > RANKS.get(status, 0):
        status, code = told[0], told[1] or code
    if status in LANDED:
        return {"mark": LANDED[status], "why": "", "code": None}
    why = (send.error_message or "") if send else ""
    if status in LOST:
        return {"mark": "failed", "why": why or status, "code": code}
    if send and send.state in STOPPED:
        return {"mark": "failed", "why": why or send.state, "code": code}
    if send and send.state in {"uncertain", "unknown"}:
        return {"mark": "unclear", "why": why or send.state, "code": code}
    return {"mark": "waiting", "why": "", "code": None}


def bubble_of(
    message: MessageDocument,
    sends: Mapping[str, SendDocument],
    told: Mapping[str, tuple[str, int | None]] | None = None,
    turns: Mapping[str, TurnDocument] | None = None,
) -> Bubble:
    base = Bubble(
        message.id, "client", message.content, message.timestamp, message.kind, heard=bool(message.transcript)
    )
    if message.direction == "inbound":
        return base
    send = sends.get(message.id)
    turn = (turns or {}).get(message.id.rpartition("-")[0])
    first = message.id.endswith("-1")
    return replace(
        base,
        side="operator" if message.by else "bot",
        by=message.by or "",
        purpose=send.purpose if send else "operator" if message.by else _purpose(turn),
        drafts=len(turn.superseded) if turn and first else 0,
        **mark_of(send, (told or {}).get(message.id)),
    )


def _purpose(turn: TurnDocument | None) -> str:
    asked = turn.outbound[-1].data.get("purpose") if turn and turn.outbound else None
    return str(asked or "reply")
