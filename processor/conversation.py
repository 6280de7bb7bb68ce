"""What a record makes of a conversation: pure, values in and values out. No I/O, no clock, no chance.

| state     | event                 | becomes   |
|-----------|-----------------------|-----------|
| (none)    | message, call, say    | active    |
| active    | close request         | closed    |
| escalated | close request         | closed    |
| active    | take-over             | escalated |
| escalated | hand-back             | active    |
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from kit import ids
from processor.wording import wording
from schemas.contact import Contact
from schemas.documents import (
    CallDocument,
    ContactDocument,
    ConversationDocument,
    HistoryLine,
    MessageDocument,
    Source,
    Status,
)
from schemas.events import MessageReceived, Part

__all__ = [
    "HISTORY",
    "State",
    "close",
    "joined",
    "moved",
    "named",
    "next_status",
    "opened",
    "remembering",
    "said",
    "seen",
    "shown",
    "silent",
    "windows",
    "wrote",
]

HISTORY = 20
LINE = 2000  # characters of a remembered line; the message itself is stored whole
WINDOW = timedelta(hours=24)  # WhatsApp: free text is allowed this long after the client's last message
TRANSITIONS: dict[tuple[Status, str], Status] = {
    ("active", "close"): "closed",
    ("escalated", "close"): "closed",
    ("active", "take_over"): "escalated",
    ("escalated", "hand_back"): "active",
}


@dataclass(frozen=True, slots=True)
class State:
    """What a decision is made on; `conversation` is the open one, if any, else `former` the last one."""

    contact: ContactDocument
    conversation: ConversationDocument | None = None
    call: CallDocument | None = None
    former: ConversationDocument | None = None

    @property
    def seq(self) -> int:
        """Of the turn to be decided."""
        return self.contact.seq + 1


def next_status(status: Status, action: str) -> Status | None:
    """None where the table does not allow it."""
    return TRANSITIONS.get((status, action))


def moved(conversation: ConversationDocument, action: str) -> ConversationDocument:
    """As the table says; unchanged where it says nothing."""
    return conversation.model_copy(update={"status": next_status(conversation.status, action) or conversation.status})


def silent(contact: ContactDocument) -> bool:
    """Whether the bot may not speak: the client said so, or a person has taken over."""
    return contact.opted_out or contact.escalated


def opened(
    contact: Contact, channel: str, event_id: str, *, source: Source, phone: str, at: datetime
) -> ConversationDocument:
    return ConversationDocument(
        id=ids.conversation_id(contact, channel, event_id),
        contact=contact,
        channel=channel,
        phone_number=phone,
        source=source,
        started_at=at,
        last_message_at=at,
        open_key=f"{contact}|{channel}",
    )


def remembering(conversation: ConversationDocument, former: ConversationDocument | None) -> ConversationDocument:
    """A new conversation knows the one before it: nobody has to introduce themselves again."""
    if former is None:
        return conversation
    return conversation.model_copy(
        update={
            "former": former.id,
            "lines": former.lines,
            "client_name": former.client_name,
            "agent_id": former.agent_id,
        }
    )


def shown(lines: Sequence[HistoryLine], unseen: Collection[str]) -> list[HistoryLine]:
    """Without our parts that never appeared on the client's phone."""
    return [line for line in lines if line.role == "client" or line.id not in unseen]


def joined(conversation: ConversationDocument, call: CallDocument) -> ConversationDocument:
    """The facts of a call become the conversation's; what the call does not know is kept."""
    return conversation.model_copy(
        update={
            "client_name": call.client_name or conversation.client_name,
            "agent_id": call.agent_id or conversation.agent_id,
            "call_summary": call.summary or conversation.call_summary,
            "elevenlabs_conversation_id": call.conversation_id or conversation.elevenlabs_conversation_id,
            "call": call.id,
        }
    )


def wrote(
    conversation: ConversationDocument,
    events: Sequence[tuple[str, MessageReceived]],
    heard: Mapping[str, str] | None = None,
) -> tuple[ConversationDocument, list[MessageDocument]]:
    """The client's messages, counted and remembered; `heard` has the words of voice notes, by event id."""
    heard = heard or {}
    messages = [_inbound(conversation, event_id, event, heard.get(event_id)) for event_id, event in events]
    lines = [HistoryLine(role="client", text=one.content[:LINE], at=one.timestamp, id=one.id) for one in messages]
    after = _after(conversation, messages, lines).model_copy(update={"client_wrote": True})
    return after, messages


def said(
    conversation: ConversationDocument, parts: Sequence[Part], at: datetime, *, by: str | None = None
) -> tuple[ConversationDocument, list[MessageDocument]]:
    """Our bubbles, counted and remembered; `by` is the operator who wrote them, if one did."""
    messages = [
        MessageDocument(
            id=part.send_id,
            conversation_id=conversation.id,
            contact=conversation.contact,
            direction="outbound",
            content=part.text,
            timestamp=at,
            by=by,
        )
        for part in parts
    ]
    role: Literal["bot", "operator"] = "operator" if by else "bot"
    lines = [HistoryLine(role=role, text=part.text, at=at, id=part.send_id) for part in parts]
    return _after(conversation, messages, lines), messages


def close(conversation: ConversationDocument, at: datetime) -> ConversationDocument:
    return conversation.model_copy(update={"status": "closed", "closed_at": at, "open_key": None})


def windows(contact: ContactDocument, event: MessageReceived) -> dict[str, datetime]:
    """Until when free text is allowed, now that this message came."""
    until = event.received_at + WINDOW
    return {**contact.windows, event.channel: max(until, contact.windows.get(event.channel, until))}


def named(contact: ContactDocument, event: MessageReceived) -> dict[str, Any]:
    """Under which user ids the contact is known, now that this message came."""
    all_of_them = dict.fromkeys(filter(None, [*contact.user_ids, contact.user_id, event.user_id]))
    return {"user_id": event.user_id or contact.user_id, "user_ids": list(all_of_them)}


def seen(contact: ContactDocument, event: MessageReceived) -> ContactDocument:
    """What a message tells about the person: name, address, window."""
    return contact.model_copy(
        update={
            "name": event.profile_name or contact.name,
            "address": event.address,
            "addresses": list(dict.fromkeys([*contact.addresses, event.address])),
            "channel": event.channel,
            "windows": windows(contact, event),
            "refused": None,
            **named(contact, event),
        }
    )


def _inbound(
    conversation: ConversationDocument, event_id: str, event: MessageReceived, heard: str | None
) -> MessageDocument:
    return MessageDocument(
        id=event_id,
        conversation_id=conversation.id,
        contact=conversation.contact,
        direction="inbound",
        content=wording(event, heard),
        whatsapp_message_id=event.message_sid,
        timestamp=event.received_at,
        kind=event.kind,
        media=event.media,
        transcript=heard,
    )


def _after(
    conversation: ConversationDocument, messages: Sequence[MessageDocument], lines: Sequence[HistoryLine]
) -> ConversationDocument:
    latest = max([conversation.last_message_at, *(one.timestamp for one in messages)])
    return conversation.model_copy(
        update={
            "message_count": conversation.message_count + len(messages),
            "lines": [*conversation.lines, *lines][-HISTORY:],
            "last_message_at": latest,
        }
    )
