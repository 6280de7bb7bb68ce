"""What a client's messages become: an answer, an apology, or silence. Pure, so that its tests are tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from processor import conversation as rules
from processor import guards
from processor.agent.client import AgentUnavailableError, Answer
from processor.agent.tools import ESCALATE
from processor.conversation import State
from processor.drafts import Draft, Policy, Run, escalated, not_after, noticed, opened, show
from processor.formatting import formatted
from processor.language import language_of
from processor.parts import bubbles
from processor.texts import Texts, texts_for
from schemas.attributes import Envelope
from schemas.events import MessageReceived
from schemas.notices import AgentUnavailable

__all__ = ["answered", "apologised", "buried", "discarded", "received", "texts_of", "write_instead"]

APOLOGIES = 3  # in a row; then a person has to look


def received(
    run: Run,
    state: State,
    messages: Sequence[Envelope[MessageReceived]],
    policy: Policy,
    said: Mapping[str, str] | None = None,
) -> Draft:
    """The client's side of a turn. Its outcome is `to_answer`, or final where the bot has to be silent.

    `said`: what the client said in voice notes, by event id.
    """
    contact = state.contact
    for message in messages:
        contact = rules.seen(contact, message.data)
    written = " ".join(one.data.text for one in messages if one.data.kind == "text")
    contact = contact.model_copy(update={"wrote_in": language_of(written) or contact.wrote_in})
    first = messages[0].data
    draft = opened(run, state, Draft("to_answer", contact), first.channel, source="inbound", phone=first.address)
    conversation = draft.opened
    if state.conversation is None and state.call:
        conversation = rules.joined(conversation, state.call)
    lines = conversation.lines
    conversation, stored = rules.wrote(conversation, [(one.id, one.data) for one in messages], said or {})
    draft = replace(draft, conversation=conversation, messages=stored)
    if rules.silent(draft.contact):
        return replace(draft, outcome="stored")
    return guards.checked(run, state, draft, lines, policy)


def answered(run: Run, state: State, draft: Draft, answer: Answer, policy: Policy) -> Draft:
    """The agent's words as bubbles; none where it chose to say nothing."""
    agent = {"conversation_id": answer.conversation_id, "attempts": answer.attempts, "seconds": answer.seconds}
    told = replace(draft, raw_reply=answer.messages, agent=agent | {"tools": answer.tools})
    texts = bubbles([formatted(message) for message in answer.messages])
    if texts:
        contact = told.contact.model_copy(update={"apologies": 0})
        told = replace(told, outcome="replied", contact=contact)
        told = show(run, state, told, "reply", texts, not_after=not_after(run, policy))
    else:
        told = replace(told, outcome="no_reply")
    if answer.outcome != "escalated":
        return told
    reason, summary = _handover(answer)
    return escalated(run, replace(told, outcome="escalated"), reason, summary or _summary(draft))


def apologised(run: Run, state: State, draft: Draft, error: AgentUnavailableError, policy: Policy) -> Draft:
    """All attempts failed: the client hears so, and so does the main backend."""
    apologies = draft.contact.apologies + 1
    notice = AgentUnavailable(
        contact=run.contact,
        at=run.now,
        conversation_id=draft.opened.id,
        agent_id=draft.context.get("agent_id", policy.default_agent_id),
        attempts=error.attempts,
        reason=error.reason,
    )
    sorry = replace(draft, outcome="apologised", contact=draft.contact.model_copy(update={"apologies": apologies}))
    sorry = noticed(run, sorry, notice)
    text = texts_of(state, draft, policy).apology
    sorry = show(run, state, sorry, "apology", [text], not_after=not_after(run, policy))
    return sorry if apologies < APOLOGIES else escalated(run, sorry, "the agent failed repeatedly", _summary(draft))


def buried(run: Run, state: State, policy: Policy) -> Draft:
    """A message that nobody could handle: its client hears an apology all the same, and the main backend a notice.

    Nothing of the message is looked at but when and where it came: something in it may be what nobody could handle.
    """
    event = run.events[0].data
    assert isinstance(event, MessageReceived)  # noqa: S101
    known = {"address": event.address, "channel": event.channel, "windows": rules.windows(state.contact, event)}
    draft = Draft("buried", state.contact.model_copy(update={**known, **rules.named(state.contact, event)}))
    draft = opened(run, state, draft, event.channel, source="inbound", phone=event.address)
    if rules.silent(draft.contact):
        return draft
    error = AgentUnavailableError(0, "the message could not be handled; it is in dead.letters")
    return replace(apologised(run, state, draft, error, policy), outcome="buried")


def write_instead(run: Run, state: State, draft: Draft, policy: Policy) -> Draft:
    """Nothing but sound came, and nobody here can hear it."""
    text = texts_of(state, draft, policy).write_instead
    return show(run, state, replace(draft, outcome="asked_to_write"), "reply", [text], not_after=not_after(run, policy))


def discarded(draft: Draft, why: str) -> Draft:
    """A take-over, an opt-out or an erasure waits behind: what the client wrote is kept, nothing is said."""
    return replace(draft, outcome="discarded", context={**draft.context, "discarded": why})


def texts_of(state: State, draft: Draft, policy: Policy) -> Texts:
    """In the call's language, else the one the contact writes in, else the installation's."""
    call = draft.call or state.call
    return texts_for(
        call.language if call else None, draft.contact.language, draft.contact.wrote_in, policy.default_language
    )


def _handover(answer: Answer) -> tuple[str, str]:
    """What the agent said about it; its words are data, and cut."""
    calls = (one["parameters"] for one in answer.tools if one["name"] == ESCALATE and one.get("parameters"))
    given: dict[str, Any] = next(calls, {})
    return str(given.get("reason") or "the agent asked for it")[:200], str(given.get("summary") or "")[:2000]


def _summary(draft: Draft) -> str:
    """The last lines, where the agent left none."""
    return "\n".join(f"{line.role}: {line.text}" for line in draft.opened.lines[-6:])[:2000]
