"""What a finished phone call becomes: a greeting, or facts that join. Pure."""

from dataclasses import replace
from datetime import datetime

from processor import conversation as rules
from processor.conversation import State
from processor.drafts import Draft, Policy, Run, noticed, opened, show
from processor.greeting import greeting, greeting_template
from processor.texts import texts_for
from schemas.contact import Contact
from schemas.documents import CallDocument
from schemas.events import CallCompleted, CallFacts
from schemas.notices import MessageUndeliverable

__all__ = ["call_document", "called", "told"]


def called(run: Run, state: State, call: CallDocument, policy: Policy) -> Draft:
    """The table of `CallCompleted`: greet, unless the client already wrote, opted out, or a human has taken over.

    A call that is told twice is greeted once: its id is its record's, and that ends in one turn.
    """
    contact = state.contact.model_copy(
        update={
            "last_call": call.id,
            "name": state.contact.name or call.client_name,
            "language": call.language or state.contact.language,
        }
    )
    conversation = state.conversation and rules.joined(state.conversation, call)
    if rules.silent(contact):
        return Draft("stored", contact, conversation, call)
    if conversation and conversation.client_wrote:
        return Draft("joined", contact, conversation, call)
    if contact.refused:
        return _unreachable(run, Draft("unreachable", contact, conversation, call))
    draft = Draft("greeted", contact, call=call)
    channel = contact.channel or policy.channels[0]
    draft = opened(run, state, draft, channel, source="post_call", phone=_phone(run), call=call.id)
    draft = replace(draft, conversation=rules.joined(draft.opened, call))
    texts = texts_for(call.language, contact.language, contact.wrote_in, policy.default_language)
    text = greeting(texts, call.client_name, call.summary)
    template = greeting_template(policy.greeting_template_sid, texts, call.client_name, call.summary)
    return show(run, state, draft, "greeting", [text], template=template)


def told(state: State, call: CallDocument) -> Draft:
    """`CallFacts` join the call, and the conversation that knows it; they never greet."""
    conversation = state.conversation
    knows = conversation is not None and conversation.call == call.id
    return Draft("facts", state.contact, rules.joined(conversation, call) if conversation and knows else None, call)


def call_document(
    call_id: str, contact: Contact, event: CallCompleted | CallFacts, known: CallDocument | None, at: datetime
) -> CallDocument:
    """What is known of a call after `event`, whichever of its two tellings came first."""
    known = known or CallDocument(id=call_id, contact=contact, at=event.ended_at or at)
    return known.model_copy(
        update={
            "client_name": getattr(event, "client_name", None) or known.client_name,
            "summary": known.summary or event.call_summary,
            "agent_id": known.agent_id or event.agent_id,
            "conversation_id": known.conversation_id or event.conversation_id,
            "language": known.language or event.language,
            "transcript": known.transcript or event.transcript,
        }
    )


def _unreachable(run: Run, draft: Draft) -> Draft:
    """WhatsApp refuses this contact until it writes to us; trying again only costs our reputation."""
    notice = MessageUndeliverable(
        contact=run.contact,
        at=run.now,
        send_id=f"{run.turn_id}-1",
        conversation_id=draft.conversation.id if draft.conversation else "",
        code=draft.contact.refused,
        reason="address_refused",
    )
    return noticed(run, draft, notice)


def _phone(run: Run) -> str:
    event = run.events[0].data
    return event.phone_number if isinstance(event, CallCompleted) else run.contact
