"""Short ways to a state, a run and its events."""

from datetime import UTC, datetime, timedelta
from typing import Any

from processor.conversation import State
from processor.drafts import Policy, Run
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.documents import CallDocument, ContactDocument, ConversationDocument
from schemas.events import CallCompleted, Event, MessageReceived

__all__ = ["CHANNEL", "CONTACT", "NOW", "POLICY", "call", "contact", "conversation", "message", "run", "state"]

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CONTACT = Contact("+525512345678")
ADDRESS = "+5215512345678"
CHANNEL = "+14155238886"
POLICY = Policy(channels=(CHANNEL, "+14155230000"), default_agent_id="agent_default", greeting_template_sid="HX1")


def contact(**fields: Any) -> ContactDocument:
    return ContactDocument(**{"id": CONTACT, "seq": 4, "rev": f"{CONTACT}#4", **fields})


def conversation(**fields: Any) -> ConversationDocument:
    known = {
        "id": "conv_1",
        "contact": CONTACT,
        "channel": CHANNEL,
        "phone_number": ADDRESS,
        "source": "inbound",
        "started_at": NOW - timedelta(hours=3),
        "last_message_at": NOW - timedelta(hours=2),
        "open_key": f"{CONTACT}|{CHANNEL}",
        "seq": 4,
        "rev": "conv_1#4",
    }
    return ConversationDocument(**{**known, **fields})


def call(**fields: Any) -> CallDocument:
    known = {
        "id": "call_1",
        "contact": CONTACT,
        "client_name": "Ana",
        "summary": "tu cita",
        "agent_id": "agent_1",
        "conversation_id": "conv_call_1",
        "at": NOW,
    }
    return CallDocument(**{**known, **fields})


def state(
    person: ContactDocument | None = None,
    open_one: ConversationDocument | None = None,
    last: CallDocument | None = None,
) -> State:
    return State(person or contact(), open_one, last)


def message(text: str = "hola", **fields: Any) -> MessageReceived:
    known = {
        "message_sid": "SM1",
        "channel": CHANNEL,
        "address": ADDRESS,
        "text": text,
        "profile_name": "Anita",
        "received_at": NOW - timedelta(seconds=1),
    }
    return MessageReceived(**{**known, **fields})


def run(*events: Event, ids: tuple[str, ...] = (), at: datetime = NOW) -> Run:
    names = ids or tuple(f"event-{n}" for n in range(1, len(events) + 1))
    envelopes = [Envelope(name, "hilo/test", at, CONTACT, event) for name, event in zip(names, events, strict=True)]
    return Run(CONTACT, envelopes, [f"contact.log-0-{n}" for n in range(len(events))], at)


def completed(**fields: Any) -> CallCompleted:
    return CallCompleted(**{"phone_number": ADDRESS, "client_name": "Ana", "call_summary": "tu cita", **fields})
