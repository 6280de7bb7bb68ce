"""Facts for the main backend, on `system.notices`. The record's `ce_id` is stable: a repeat has the same one."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from schemas.events import Event, Id

__all__ = [
    "AgentUnavailable",
    "CallRejected",
    "ContactOptedOut",
    "ContactThrottled",
    "ConversationClosed",
    "ConversationEscalated",
    "ConversationStarted",
    "ConversationTakenOver",
    "MessageExpired",
    "MessageUncertain",
    "MessageUndeliverable",
    "Notice",
]


class Notice(Event):
    contact: str
    at: datetime


class ConversationStarted(Notice):
    conversation_id: Id
    source: Literal["post_call", "inbound", "manual"]
    channel: str
    call_id: Id | None = None


class ConversationClosed(Notice):
    conversation_id: Id
    message_count: int
    by: str


class ConversationEscalated(Notice):
    conversation_id: Id
    reason: str
    summary: str = ""


class ConversationTakenOver(Notice):
    """From this moment no bot message older than the take-over is posted."""

    conversation_id: Id | None = None
    turn: Id
    by: str = ""


class MessageUndeliverable(Notice):
    send_id: Id
    conversation_id: Id
    code: int | None = Field(default=None, description="Twilio's error code")
    reason: str


class MessageUncertain(Notice):
    """Nobody can say whether this message was shown."""

    send_id: Id
    conversation_id: Id
    reason: str


class MessageExpired(Notice):
    send_id: Id
    conversation_id: Id


class ContactOptedOut(Notice):
    conversation_id: Id | None = None


class ContactThrottled(Notice):
    conversation_id: Id | None = None
    reason: str


class AgentUnavailable(Notice):
    """The agent did not answer in time; the client got the apology."""

    conversation_id: Id
    agent_id: str
    attempts: int
    reason: str


class CallRejected(Notice):
    """A `call.completed` record that could not be used; the record itself is in `dead.letters`."""

    contact: str = Field(default="", description="empty: the record names nobody usable")
    reason: str
    topic: str
    partition: int
    offset: int
