"""What a record makes of a conversation: pure, values in and values out. No I/O, no clock, no chance.

| state     | event                 | becomes   |
|-----------|-----------------------|-----------|
| (none)    | message, call         | active    |
| active    | close request         | closed    |
| escalated | close request         | closed    |
| active    | take-over             | escalated |
| escalated | hand-back             | active    |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kit import ids
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

__all__ = ["HISTORY", "State", "close", "joined", "next_status", "opened", "said", "seen", "wrote"]

HISTORY = 20
WINDOW = timedelta(hours=24)  # WhatsApp: free text is allowed this long after the client's last message
TRANSITIONS: dict[tuple[Status, str], Status] = {
    ("active", "close"): "closed",
    ("escalated", "close"): "closed",
    ("active", "take_over"): "escalated",
    ("escalated", "hand_back"): "active",
}


@dataclass(frozen=True, slots=True)
class State:
    """What a decision is made on; `conversation` is the open one, if any."""

    contact: ContactDocument
    conversation: ConversationDocument | None = None
    call: CallDocument | None = None

    @property
    def seq(self) -> int:
        """Of the turn to be decided."""
        return self.contact.seq + 1


def next_status(status: Status, action: str) -> Status | None:
    """None where the table does not allow it."""
    return TRANSITIONS.get((status, action))


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
    conversation: ConversationDocument, events: Sequence[tuple[str, MessageReceived]]
) -> tuple[ConversationDocument, list[MessageDocument]]:
    """The client's messages, counted and remembered."""
    messages = [_inbound(conversation, event_id, event) for event_id, event in events]
    lines = [HistoryLine(role="client", text=one.content, at=one.timestamp, id=one.id) for one in messages]
    after = _after(conversation, messages, lines).model_copy(update={"client_wrote": True})
    return after, messages


def said(
    conversation: ConversationDocument, parts: Sequence[Part], at: datetime
) -> tuple[ConversationDocument, list[MessageDocument]]:
    """Our bubbles, counted and remembered."""
    messages = [
        MessageDocument(
            id=part.send_id,
            conversation_id=conversation.id,
            contact=conversation.contact,
            direction="outbound",
            content=part.text,
            timestamp=at,
        )
        for part in parts
    ]
    lines = [HistoryLine(role="bot", text=part.text, at=at, id=part.send_id) for part in parts]
    return _after(conversation, messages, lines), messages


def close(conversation: ConversationDocument, at: datetime) -> ConversationDocument:
    return conversation.model_copy(update={"status": "closed", "closed_at": at, "open_key": None})


def seen(contact: ContactDocument, event: MessageReceived) -> ContactDocument:
    """What a message tells about the person: name, address, window."""
    until = event.received_at + WINDOW
    windows = {**contact.windows, event.channel: max(until, contact.windows.get(event.channel, until))}
    return contact.model_copy(
        update={
            "name": event.profile_name or contact.name,
            "address": event.address,
            "addresses": list(dict.fromkeys([*contact.addresses, event.address])),
            "channel": event.channel,
            "windows": windows,
        }
    )


def _inbound(conversation: ConversationDocument, event_id: str, event: MessageReceived) -> MessageDocument:
    return MessageDocument(
        id=event_id,
        conversation_id=conversation.id,
        contact=conversation.contact,
        direction="inbound",
        content=event.text,
        whatsapp_message_id=event.message_sid,
        timestamp=event.received_at,
        kind=event.kind,
        media=event.media,
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
