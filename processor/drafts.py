"""A turn in the making: pure values, from which `turn` makes the document whose insertion is the decision.

A turn holds all that follows from it as absolute values: documents to store, events to publish, each with its id. So
a repeat gives the same turn, and what was decided can be finished by anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from kit import ids
from processor import conversation as rules
from processor.conversation import State
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.documents import (
    CallDocument,
    ContactDocument,
    ConversationDocument,
    EventDocument,
    MessageDocument,
    Source,
    TurnDocument,
)
from schemas.events import Event, FenceRaised, MessageReceived, Part, Purpose, SendRequested, Template
from schemas.notices import ConversationEscalated, ConversationStarted, Notice

__all__ = ["Draft", "Policy", "Run", "escalated", "fenced", "not_after", "noticed", "opened", "show", "turn"]


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
    turns_per_hour: int = 60


@dataclass(frozen=True, slots=True)
class Draft:
    outcome: str
    contact: ContactDocument
    conversation: ConversationDocument | None = None
    call: CallDocument | None = None
    messages: Sequence[MessageDocument] = ()
    outbound: Sequence[EventDocument] = ()
    notices: Sequence[EventDocument] = ()
    context: dict[str, Any] = field(default_factory=dict)
    raw_reply: Sequence[str] = ()
    agent: dict[str, Any] = field(default_factory=dict)
    superseded: Sequence[dict[str, Any]] = ()

    @property
    def must_answer(self) -> bool:
        return self.outcome == "to_answer"

    @property
    def opened(self) -> ConversationDocument:
        """The conversation of a draft that is shown in one."""
        assert self.conversation is not None  # noqa: S101  # a bug of ours
        return self.conversation


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
        superseded=list(draft.superseded),
        contact_after=_stamped(draft.contact, seq),
        conversation_after=_stamped(draft.conversation, seq) if draft.conversation else None,
        call=_stamped(draft.call, seq) if draft.call else None,
        messages=[one.to_mongo() for one in draft.messages],
        outbound=list(draft.outbound),
        notices=list(draft.notices),
        decided_at=run.now,
        trace=run.trace,
        undone=f"{run.now.isoformat()}#{run.turn_id}",
        rev=f"{run.turn_id}#decided",
    )


def opened(
    run: Run, state: State, draft: Draft, channel: str, *, source: Source, phone: str, call: str | None = None
) -> Draft:
    """With the open conversation, or a new one that knows its former; the main backend is told of a new one.

    Either is a person's as long as the contact is: one hand-back ends it, on whichever number or under whichever name
    it began.
    """
    if state.conversation:
        status = state.conversation.status
        draft = replace(draft, conversation=state.conversation)
        if draft.contact.escalated:
            return escalated(run, draft, "still taken over") if status == "active" else draft
        return replace(draft, conversation=rules.moved(state.conversation, "hand_back"))
    conversation = rules.opened(run.contact, channel, run.events[0].id, source=source, phone=phone, at=run.now)
    conversation = rules.remembering(conversation, state.former)
    known = {**draft.contact.last_conversations, channel: conversation.id}
    contact = draft.contact.model_copy(update={"last_conversations": known})
    notice = ConversationStarted(
        contact=run.contact, at=run.now, conversation_id=conversation.id, source=source, channel=channel, call_id=call
    )
    draft = noticed(run, replace(draft, contact=contact, conversation=conversation), notice)
    return escalated(run, draft, "still taken over") if contact.escalated else draft


def escalated(run: Run, draft: Draft, reason: str, summary: str = "") -> Draft:
    """The bot is silent from the next turn on, until a hand-back; somebody is told to look."""
    conversation = draft.opened
    status = rules.next_status(conversation.status, "take_over") or conversation.status
    notice = ConversationEscalated(
        contact=run.contact, at=run.now, conversation_id=conversation.id, reason=reason, summary=summary
    )
    return noticed(
        run,
        replace(
            draft,
            contact=draft.contact.model_copy(update={"escalated": True}),
            conversation=conversation.model_copy(update={"status": status}),
        ),
        notice,
    )


def show(
    run: Run,
    state: State,
    draft: Draft,
    purpose: Purpose,
    texts: Sequence[str],
    *,
    template: Template | None = None,
    not_after: datetime | None = None,
    by: str | None = None,
) -> Draft:
    """Add bubbles to a draft: to the conversation, and to what the sender shall show."""
    parts = [Part(send_id=ids.part_id(run.turn_id, number), text=text) for number, text in enumerate(texts, 1)]
    before = [line.id for line in draft.opened.lines if line.role != "client"]
    after, stored = rules.said(draft.opened, parts, run.now, by=by)
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
        follows=before[-1] if before else None,
        window_until=draft.contact.windows.get(after.channel),
        not_after=not_after,
    )
    outbound = EventDocument(id=f"{run.turn_id}-send", type=request.type_name(), data=request.model_dump(mode="json"))
    return replace(draft, conversation=after, messages=[*draft.messages, *stored], outbound=[*draft.outbound, outbound])


def fenced(run: Run, state: State, draft: Draft, reason: Literal["takeover", "opt_out"], *, by: str) -> Draft:
    """Nothing older than this turn may be shown any more."""
    fence = FenceRaised(
        contact=run.contact,
        seq=state.seq,
        turn=run.turn_id,
        conversation_id=draft.conversation and draft.conversation.id,
        reason=reason,
        by=by,
    )
    event = EventDocument(id=f"{run.turn_id}-fence", type=fence.type_name(), data=fence.model_dump(mode="json"))
    contact = draft.contact.model_copy(update={"fence": state.seq})
    return replace(draft, contact=contact, outbound=[*draft.outbound, event])


def noticed(run: Run, draft: Draft, notice: Notice) -> Draft:
    """A turn has at most one notice of a kind, so its name is an id."""
    name = notice.type_name().removeprefix("hilo.").rpartition(".")[0]
    event = EventDocument(id=f"{run.turn_id}-{name}", type=notice.type_name(), data=notice.model_dump(mode="json"))
    return replace(draft, notices=[*draft.notices, event])


def not_after(run: Run, policy: Policy) -> datetime:
    """The newest answered event's time and a bit: later its answer would be stale."""
    times = [one.data.received_at for one in run.events if isinstance(one.data, MessageReceived)]
    return max(times, default=run.now) + policy.reply_max_age


def _stamped(document: ContactDocument | ConversationDocument | CallDocument, seq: int) -> dict[str, Any]:
    return document.model_copy(update={"seq": seq, "rev": f"{document.id}#{seq}"}).to_mongo()
