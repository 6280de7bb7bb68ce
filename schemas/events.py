"""Everything that can change a conversation, one class per event. The record's key is the contact.

Evolution: only optional fields are added; a breaking change is a new type name; readers ignore unknown fields.
"""

import re
from datetime import datetime
from functools import cache
from typing import ClassVar, Literal

from pydantic import AliasChoices, AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from schemas.contact import Channel

__all__ = [
    "AddressRefused",
    "Button",
    "CallCompleted",
    "CallFacts",
    "CloseRequested",
    "EraseRequested",
    "EraseSends",
    "Event",
    "FenceRaised",
    "HandedBack",
    "Id",
    "Line",
    "Location",
    "Media",
    "MessageReceived",
    "OperatorSaid",
    "Part",
    "Purpose",
    "Record",
    "SendAgain",
    "SendRequested",
    "StatusChanged",
    "TakenOver",
    "Template",
]

Id = str
Purpose = Literal["reply", "greeting", "apology", "operator", "confirmation"]


class Record(BaseModel):
    """A value inside an event: frozen, and blind to fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Record):
    """A record's value. `type_name` is its CloudEvents type, derived from the class name."""

    version: ClassVar[int] = 1

    @classmethod
    @cache  # asked for every record of every topic
    def type_name(cls) -> str:
        kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()
        return f"hilo.{kebab}.v{cls.version}"


def _either_spelling(name: str) -> AliasChoices:
    return AliasChoices(name, to_camel(name))


class Line(Record):
    """One thing said in a call."""

    role: Literal["agent", "user"]
    message: str


class CallCompleted(Event):
    """A call has ended: greet on WhatsApp. Foreign producers may use camelCase and send no headers."""

    model_config = ConfigDict(alias_generator=AliasGenerator(validation_alias=_either_spelling))

    phone_number: str = Field(description="the client's number as the call had it", examples=["+5215512345678"])
    client_name: str | None = None
    call_summary: str | None = None
    agent_id: str | None = Field(default=None, description="the ElevenLabs agent that made the call")
    conversation_id: str | None = Field(default=None, description="the call's ElevenLabs conversation id")
    language: str | None = Field(default=None, description="es, en, pt or a longer tag")
    transcript: list[Line] | None = None
    ended_at: datetime | None = None


class CallFacts(Event):
    """What ElevenLabs' own post-call webhook tells. Joins the call of the same conversation id; never greets."""

    conversation_id: str
    agent_id: str | None = None
    call_summary: str | None = None
    language: str | None = None
    transcript: list[Line] | None = None
    ended_at: datetime | None = None


class Media(Record):
    url: str = Field(description="Twilio's address of the file; needs our credentials")
    content_type: str


class Location(Record):
    latitude: float
    longitude: float
    address: str | None = None
    label: str | None = None


class Button(Record):
    """A quick reply, a button or a row of a list."""

    text: str
    payload: str | None = None


class MessageReceived(Event):
    """A client wrote. `kind` is Twilio's `MessageType`, `text` where it gives none; unknown kinds pass through."""

    message_sid: str
    channel: Channel
    address: str = Field(description="`From` exactly as it came, without `whatsapp:`: replies go here")
    kind: str = "text"
    text: str = ""
    media: list[Media] = []
    location: Location | None = None
    button: Button | None = None
    reply_to: str | None = Field(default=None, description="SID of the quoted message")
    profile_name: str | None = Field(default=None, description="free text chosen by the client: never trust it")
    user_id: str | None = Field(default=None, description="business-scoped user id, when Twilio tells it")
    opt_out_type: str | None = None
    fields: dict[str, str] = Field(default={}, description="every form field not named above")
    received_at: datetime
    repaired: bool = Field(default=False, description="found in Twilio's list, its webhook never came")


class CloseRequested(Event):
    """Close this conversation, if nothing happened since `last_message_at`."""

    conversation_id: Id
    last_message_at: datetime
    by: str = "janitor"


class TakenOver(Event):
    by: str
    reason: str = ""


class HandedBack(Event):
    by: str
    channel: Channel | None = Field(default=None, description="of the conversation; none: the one last used")


class OperatorSaid(Event):
    by: str
    text: str
    channel: Channel | None = Field(default=None, description="needed only where there is no conversation yet")


class EraseRequested(Event):
    by: str


class AddressRefused(Event):
    """WhatsApp will not deliver to this contact until it writes again (Twilio errors 63003, 63024, 21211)."""

    address: str
    code: int


class Part(Record):
    """One WhatsApp bubble."""

    send_id: Id
    text: str


class Template(Record):
    """An approved message for a closed window. Variables are numbered from "1"."""

    content_sid: str
    variables: dict[str, str] = {}


class SendRequested(Event):
    """Show these parts to the contact, in order, each once."""

    contact: str
    to: str = Field(description="exact address to write to, without `whatsapp:`")
    channel: Channel
    conversation_id: Id
    turn: Id
    seq: int
    purpose: Purpose
    parts: list[Part]
    template: Template | None = None
    in_reply_to: list[Id] = []
    follows: Id | None = Field(default=None, description="the part that was said before these: it has to be sent first")
    window_until: datetime | None = Field(default=None, description="free text is allowed until then; none: closed")
    not_after: datetime | None = Field(default=None, description="a later display would be stale: do not show it")


class FenceRaised(Event):
    """Nothing of this contact with a lower `seq` may be shown once the sender has handled this."""

    contact: str
    seq: int
    turn: Id
    conversation_id: Id | None = None
    reason: Literal["takeover", "opt_out", "erase"]
    by: str = ""


class SendAgain(Event):
    """From the sender itself: Twilio told afterwards that this part was not shown; post it again when it is time."""

    contact: str
    channel: Channel
    send_id: Id


class EraseSends(Event):
    contact: str
    seq: int


class StatusChanged(Event):
    """What Twilio says about one message of ours. Unordered, repeated, and possibly before its POST returned."""

    message_sid: str
    status: str
    send_id: Id | None = None
    attempt: int | None = None
    address: str
    error_code: int | None = None
    error_message: str | None = None
    received_at: datetime
