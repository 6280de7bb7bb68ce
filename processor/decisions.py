"""From a state and a run to a turn: pure, so that its tests are tables and a repeat gives the same turn.

A turn holds all that follows from it as absolute values: documents to store, events to publish, each with its id.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from kit import ids
from processor import conversation as rules
from processor.agent.client import AgentUnavailableError, Answer
from processor.conversation import State
from processor.greeting import greeting, greeting_template
from processor.parts import split
from processor.texts import texts_for
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.documents import (
    CallDocument,
    ContactDocument,
    ConversationDocument,
    MessageDocument,
    NoticeDocument,
    Source,
    TurnDocument,
)
from schemas.events import (
    CallCompleted,
    CallFacts,
    CloseRequested,
    Event,
    MessageReceived,
    Part,
    Purpose,
    SendRequested,
    Template,
)
from schemas.notices import AgentUnavailable, ConversationClosed, ConversationStarted, Notice

__all__ = [
    "Draft",
    "Policy",
    "Run",
    "answered",
    "apologised",
    "call_document",
    "called",
    "closed",
    "received",
    "told",
    "turn",
]


@dataclass(frozen=True, slots=True)
class Run:
    """Records of one contact that are decided together."""

    contact: Contact
    events: Sequence[Envelope[Event]]
    positions: Sequence[str]
    now: datetime
    trace: dict[str, str] = field(default_factory=dict)

    @property
    def turn_id(self) -> str:
        return ids.turn_id(self.contact, self.events[0].id)


@dataclass(frozen=True, slots=True)
class Policy:
    """What an installation decides."""

    channels: Sequence[str]
    default_agent_id: str
    default_language: str = "es"
    greeting_template_sid: str = ""
    reply_max_age: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Draft:
    """A turn in the making."""

    outcome: str
    contact: ContactDocument
    conversation: ConversationDocument | None = None
    call: CallDocument | None = None
    messages: Sequence[MessageDocument] = ()
    outbound: Sequence[NoticeDocument] = ()
    notices: Sequence[NoticeDocument] = ()
    context: dict[str, Any] = field(default_factory=dict)
    raw_reply: Sequence[str] = ()
    agent: dict[str, Any] = field(default_factory=dict)

    @property
    def must_answer(self) -> bool:
        return self.outcome == "to_answer"


def turn(run: Run, state: State, draft: Draft) -> TurnDocument:
    """The document whose insertion is the decision."""
    seq = state.seq
    return TurnDocument(
        id=run.turn_id,
        contact=run.contact,
        seq=seq,
        slot=f"{run.contact}#{seq}",
        events=list(dict.fromkeys(one.id for one in run.events)),
        positions=list(run.positions),
        kind=run.events[0].type,
        outcome=draft.outcome,
        context=draft.context,
        raw_reply=list(draft.raw_reply),
        agent=draft.agent,
        contact_after=_stamped(draft.contact, seq),
        conversation_after=_stamped(draft.conversation, seq) if draft.conversation else None,
        call=_stamped(draft.call, seq) if draft.call else None,
        messages=[one.to_mongo() for one in draft.messages],
        outbound=list(draft.outbound),
        notices=list(draft.notices),
        decided_at=run.now,
        trace=run.trace,
        rev=f"{run.turn_id}#decided",
    )


def received(run: Run, state: State, messages: Sequence[Envelope[MessageReceived]]) -> Draft:
    """The client's side of a turn. Its outcome is `to_answer`, or final where the bot has to be silent."""
    contact = state.contact
    for message in messages:
        contact = rules.seen(contact, message.data)
    first, notices = messages[0], []
    conversation = state.conversation
    if conversation is None:
        conversation, notice = _open(run, first.data.channel, first.id, source="inbound", phone=first.data.address)
        notices.append(notice)
        if state.call:
            conversation = rules.joined(conversation, state.call)
    after, stored = rules.wrote(conversation, [(one.id, one.data) for one in messages])
    silent = contact.opted_out or after.status == "escalated"
    return Draft("stored" if silent else "to_answer", contact, after, messages=stored, notices=notices)


def answered(run: Run, state: State, draft: Draft, answer: Answer, policy: Policy) -> Draft:
    """The agent's words as bubbles; none where it chose to say nothing."""
    agent = {"conversation_id": answer.conversation_id, "attempts": answer.attempts, "seconds": answer.seconds}
    told = replace(draft, raw_reply=answer.messages, agent=agent | {"tools": answer.tools})
    texts = [bubble for message in answer.messages for bubble in split(message)]
    if not texts:
        return replace(told, outcome="no_reply")
    contact = told.contact.model_copy(update={"apologies": 0})
    replied = replace(told, outcome="replied", contact=contact)
    return _show(run, state, replied, "reply", texts, not_after=_not_after(run, policy))


def apologised(run: Run, state: State, draft: Draft, error: AgentUnavailableError, policy: Policy) -> Draft:
    """All attempts failed: the client hears so, and so does the main backend."""
    assert draft.conversation is not None  # noqa: S101
    texts = texts_for(draft.contact.language, policy.default_language)
    contact = draft.contact.model_copy(update={"apologies": draft.contact.apologies + 1})
    notice = AgentUnavailable(
        contact=run.contact,
        at=run.now,
        conversation_id=draft.conversation.id,
        agent_id=draft.context.get("agent_id", policy.default_agent_id),
        attempts=error.attempts,
        reason=error.reason,
    )
    sorry = replace(draft, outcome="apologised", contact=contact, notices=[*draft.notices, _notice(run, notice)])
    return _show(run, state, sorry, "apology", [texts.apology], not_after=_not_after(run, policy))


def called(run: Run, state: State, call: CallDocument, policy: Policy) -> Draft:
    """The table of `CallCompleted`: greet, unless the client already wrote, opted out, or a human has taken over."""
    contact = state.contact.model_copy(
        update={
            "last_call": call.id,
            "name": state.contact.name or call.client_name,
            "language": call.language or state.contact.language,
        }
    )
    if contact.opted_out or (state.conversation and state.conversation.status == "escalated"):
        return Draft("stored", contact, state.conversation and rules.joined(state.conversation, call), call)
    if state.conversation and state.conversation.client_wrote:
        return Draft("joined", contact, rules.joined(state.conversation, call), call)
    conversation, notices = state.conversation, []
    if conversation is None:
        channel = contact.channel or policy.channels[0]
        phone = _phone(run)
        conversation, notice = _open(run, channel, run.events[0].id, source="post_call", phone=phone, call=call.id)
        notices.append(notice)
    draft = Draft("greeted", contact, rules.joined(conversation, call), call, notices=notices)
    texts = texts_for(call.language, contact.language, policy.default_language)
    text = greeting(texts, call.client_name, call.summary)
    template = greeting_template(policy.greeting_template_sid, texts, call.client_name, call.summary)
    return _show(run, state, draft, "greeting", [text], template=template)


def told(state: State, call: CallDocument) -> Draft:
    """`CallFacts` join the call, and the conversation that knows it; they never greet."""
    conversation = state.conversation
    knows = conversation is not None and conversation.call == call.id
    return Draft("facts", state.contact, rules.joined(conversation, call) if conversation and knows else None, call)


def closed(run: Run, state: State, request: CloseRequested) -> Draft:
    """Only if nothing happened since the janitor looked; a conversation is closed once."""
    found = state.conversation
    idle = found is not None and found.last_message_at <= request.last_message_at
    if found is None or not idle or rules.next_status(found.status, "close") is None:
        return Draft("ignored", state.contact)
    notice = ConversationClosed(
        contact=run.contact, at=run.now, conversation_id=found.id, message_count=found.message_count, by=request.by
    )
    return Draft("closed", state.contact, rules.close(found, run.now), notices=[_notice(run, notice)])


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


def _show(
    run: Run,
    state: State,
    draft: Draft,
    purpose: Purpose,
    texts: Sequence[str],
    *,
    template: Template | None = None,
    not_after: datetime | None = None,
) -> Draft:
    """Add bubbles to a draft: to the conversation, and to what the sender shall show."""
    assert draft.conversation is not None  # noqa: S101
    parts = [Part(send_id=ids.part_id(run.turn_id, number), text=text) for number, text in enumerate(texts, 1)]
    after, stored = rules.said(draft.conversation, parts, run.now)
    request = SendRequested(
        contact=run.contact,
        to=draft.contact.address or after.phone_number,
        channel=after.channel,
        conversation_id=after.id,
        turn=run.turn_id,
        seq=state.seq,
        purpose=purpose,
        parts=parts,
        template=template,
        in_reply_to=[one.id for one in run.events],
        window_until=draft.contact.windows.get(after.channel),
        not_after=not_after,
    )
    outbound = NoticeDocument(id=f"{run.turn_id}-send", type=request.type_name(), data=request.model_dump(mode="json"))
    return replace(draft, conversation=after, messages=[*draft.messages, *stored], outbound=[*draft.outbound, outbound])


def _open(
    run: Run, channel: str, event_id: str, *, source: Source, phone: str, call: str | None = None
) -> tuple[ConversationDocument, NoticeDocument]:
    conversation = rules.opened(run.contact, channel, event_id, source=source, phone=phone, at=run.now)
    notice = ConversationStarted(
        contact=run.contact, at=run.now, conversation_id=conversation.id, source=source, channel=channel, call_id=call
    )
    return conversation, _notice(run, notice)


def _notice(run: Run, notice: Notice) -> NoticeDocument:
    name = notice.type_name().removeprefix("hilo.").rpartition(".")[0]
    return NoticeDocument(id=f"{run.turn_id}-{name}", type=notice.type_name(), data=notice.model_dump(mode="json"))


def _stamped(document: ContactDocument | ConversationDocument | CallDocument, seq: int) -> dict[str, Any]:
    return document.model_copy(update={"seq": seq, "rev": f"{document.id}#{seq}"}).to_mongo()


def _not_after(run: Run, policy: Policy) -> datetime:
    times = [one.data.received_at for one in run.events if isinstance(one.data, MessageReceived)]
    return max(times, default=run.now) + policy.reply_max_age


def _phone(run: Run) -> str:
    event = run.events[0].data
    return event.phone_number if isinstance(event, CallCompleted) else run.contact
