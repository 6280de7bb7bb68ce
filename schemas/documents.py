"""Shapes of the stored documents, one writer per collection. Readers go through `kit/reads.py`.

`rev` is unique in its collection and changes with every write: a conditional update is one look-up by it, which both
MongoDB and the embedded server answer from an index. `seq` is the contact's turn number a document reflects: a document
never goes back to a lower one.
"""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from schemas.events import Line, Media

__all__ = [
    "Attempt",
    "CallDocument",
    "ContactDocument",
    "ConversationDocument",
    "Document",
    "EventDocument",
    "FenceDocument",
    "HaltDocument",
    "HistoryLine",
    "MessageDocument",
    "SendDocument",
    "Source",
    "Status",
    "TurnDocument",
]

Source = Literal["post_call", "inbound", "manual"]
Status = Literal["active", "escalated", "closed"]


class Document(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore")

    id: str = Field(alias="_id")

    def to_mongo(self) -> dict[str, Any]:
        """Unset optional fields are left out: sparse indexes must not see them."""
        return self.model_dump(by_alias=True, exclude_none=True)

    @classmethod
    def from_mongo(cls, document: dict[str, Any]) -> Self:
        return cls.model_validate(document)


class ContactDocument(Document):
    """Writer: processor. `_id` is the contact."""

    seq: int = 0
    rev: str = ""
    name: str | None = None
    address: str | None = Field(default=None, description="last seen in From: replies go here")
    addresses: list[str] = []
    channel: str | None = Field(default=None, description="the one last used with this contact")
    windows: dict[str, datetime] = Field(default={}, description="channel → until when free text is allowed")
    language: str | None = Field(default=None, description="of the last call that told one")
    wrote_in: str | None = Field(default=None, description="of the contact's own messages, as far as it shows")
    opted_out: bool = False
    escalated: bool = Field(default=False, description="the bot is silent until a hand-back, closings notwithstanding")
    refused: int | None = Field(default=None, description="Twilio's code since nothing reaches it; until it writes")
    fence: int = 0
    apologies: int = Field(default=0, description="in a row")
    last_call: str | None = None
    last_conversations: dict[str, str] = Field(default={}, description="channel → the newest conversation there")
    user_id: str | None = Field(default=None, description="business-scoped user id, once seen together with the number")
    user_ids: list[str] = Field(default=[], description="all of them: a portfolio of numbers has one each")
    turns_left: float | None = Field(default=None, description="of the hourly budget; none: never used")
    turns_left_at: datetime | None = None
    throttled: bool = Field(default=False, description="the last turn was not answered: a loop, or over its budget")


class HistoryLine(BaseModel):
    """One of the last twenty lines of a conversation."""

    role: Literal["client", "bot", "operator"]
    text: str
    at: datetime
    id: str = Field(description="event id or part id")


class ConversationDocument(Document):
    """Writer: processor. `open_key` exists only while it is not closed: unique and sparse."""

    contact: str
    channel: str
    phone_number: str
    client_name: str | None = None
    elevenlabs_conversation_id: str | None = None
    agent_id: str | None = None
    call_summary: str | None = None
    call: str | None = Field(default=None, description="the last call that joined")
    former: str | None = Field(default=None, description="the conversation before it; its last lines are known here")
    status: Status = "active"
    source: Source
    started_at: datetime
    last_message_at: datetime
    closed_at: datetime | None = None
    client_wrote: bool = False
    message_count: int = 0
    lines: list[HistoryLine] = []
    open_key: str | None = None
    seq: int = 0
    rev: str = ""


class MessageDocument(Document):
    """Writer: processor. `_id` is the event id of an inbound message, the part id of an outbound one."""

    conversation_id: str
    contact: str
    direction: Literal["inbound", "outbound"]
    content: str
    whatsapp_message_id: str | None = None
    timestamp: datetime
    kind: str = "text"
    media: list[Media] = []
    transcript: str | None = Field(default=None, description="of a voice note")
    by: str | None = Field(default=None, description="the operator who wrote it")


class CallDocument(Document):
    """Writer: processor. What was said on the phone."""

    contact: str
    client_name: str | None = None
    summary: str | None = None
    agent_id: str | None = None
    conversation_id: str | None = Field(default=None, description="of the call, at ElevenLabs")
    language: str | None = None
    transcript: list[Line] | None = None
    at: datetime
    seq: int = 0
    rev: str = ""


class EventDocument(BaseModel):
    """An event as decided, for the sender or the main backend; published with this id."""

    id: str
    type: str
    data: dict[str, Any]


class TurnDocument(Document):
    """Writer: processor. The decision: everything that follows from it can be repeated with the same result."""

    contact: str
    seq: int
    slot: str = Field(description="contact and seq: unique, and one field, so that it is answered from an index")
    events: list[str] = Field(description="ids; each belongs to exactly one turn")
    positions: list[str] = Field(default=[], description="topic-partition-offset of each record")
    kind: str = Field(description="event name of the run")
    outcome: str
    context: dict[str, Any] = Field(default={}, description="what the agent was given")
    raw_reply: list[str] = []
    agent: dict[str, Any] = Field(default={}, description="agent id, its conversation id, attempts, timings")
    superseded: list[dict[str, Any]] = Field(default=[], description="drafts that later bubbles made stale")
    contact_after: dict[str, Any]
    conversation_after: dict[str, Any] | None = None
    messages: list[dict[str, Any]] = []
    call: dict[str, Any] | None = None
    outbound: list[EventDocument] = Field(default=[], description="events for message.outbound")
    notices: list[EventDocument] = []
    decided_at: datetime
    trace: dict[str, str] = {}
    done: bool = False
    undone: str | None = Field(default=None, description="time#id, gone once it is done: what stays is overdue")
    rev: str = ""


class Attempt(BaseModel):
    """One POST to Twilio."""

    number: int
    at: datetime
    outcome: str
    sid: str | None = None
    code: int | None = None
    detail: str | None = None


class SendDocument(Document):
    """Writer: sender. The effect ledger: one row per part, written before the part can become visible."""

    contact: str
    turn: str
    seq: int
    conversation_id: str
    purpose: str
    to: str
    channel: str
    body_hash: str
    template: bool = Field(default=False, description="posted as a template: what Twilio lists is its own rendering")
    state: str = "intent"
    status: str = Field(default="", description="the highest status Twilio told")
    sid: str | None = None
    lease_until: datetime | None = None
    attempts: list[Attempt] = []
    error_code: int | None = None
    error_message: str | None = None
    posts: int = Field(default=0, description="how often a POST was intended; its number is in the callback's URL")
    repeats: int = Field(default=0, description="of these, how often after an answer that stayed unknown")
    looks: int = Field(default=0, description="how often Twilio's list was searched for the last POST")
    not_after: datetime | None = None
    content: dict[str, str] | None = Field(
        default=None, description="what was posted last, in case it has to be again; gone when its end is known"
    )
    fallback: dict[str, str] | None = Field(
        default=None, description="the template to post once if WhatsApp finds its window closed; gone as `content`"
    )
    owed: bool = Field(default=False, description="Twilio failed it before: `content` is posted as it stands")
    retries: int = Field(default=0, description="how often it was to be posted again after an error of a passing kind")
    again_at: datetime | None = Field(default=None, description="not posted again before")
    told: bool = Field(default=False, description="its notice is published")
    due: datetime | None = Field(default=None, description="when Twilio is asked for a final status; none: final")
    erased: bool = False
    created_at: datetime
    updated_at: datetime
    rev: str = ""


class FenceDocument(Document):
    """Writer: sender, in `sends`. `_id` is `fence_` and a hash of the contact: it outlives an erasure."""

    fence: int = Field(description="no part with a lower seq may be posted")
    owed: list[str] = Field(default=[], description="parts that are posted again before anything newer is posted")
    told: list[str] = Field(default=[], description="turns whose take-over was confirmed; the last ones")
    rev: str


class HaltDocument(Document):
    """Writer: sender, in `sends`. `_id` is `halt_` and a hash of our number: Twilio told that it cannot send."""

    until: datetime
    code: int
    rev: str
