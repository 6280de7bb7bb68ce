"""People take over, speak, and hand back. Pure.

The turn of a take-over raises the fence to its own `seq` and says so on `message.outbound`. The sender's lane is
serial: when it has handled that marker nothing older can be posted, and only then `ConversationTakenOver` is published.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from processor import conversation as rules
from processor.conversation import State
from processor.drafts import Draft, Policy, Run, fenced, not_after, opened, show
from processor.parts import bubbles
from schemas.documents import HistoryLine
from schemas.events import HandedBack, OperatorSaid, TakenOver

__all__ = ["handed_back", "said", "taken_over", "unanswered"]


def taken_over(run: Run, state: State, event: TakenOver) -> Draft:
    """Whatever was decided before and is not shown yet stays unseen. Harmless to repeat."""
    contact = state.contact.model_copy(update={"escalated": True})
    conversation = state.conversation and rules.moved(state.conversation, "take_over")
    draft = Draft("taken_over", contact, conversation, context={"by": event.by})
    return fenced(run, state, draft, "takeover", by=event.by)


def handed_back(state: State, event: HandedBack, unseen: Collection[str] = ()) -> Draft:
    """The bot may speak again. `to_answer` where the client is waiting for somebody.

    `unseen`: parts of ours that were never shown. They answered nobody.
    """
    contact = state.contact.model_copy(update={"escalated": False, "apologies": 0})
    conversation = state.conversation and rules.moved(state.conversation, "hand_back")
    waiting = (
        conversation is not None and bool(unanswered(rules.shown(conversation.lines, unseen))) and not contact.opted_out
    )
    return Draft("to_answer" if waiting else "handed_back", contact, conversation, context={"by": event.by})


def unanswered(lines: Sequence[HistoryLine]) -> list[HistoryLine]:
    """What the client wrote after anybody of us was last seen; of `lines` that were shown."""
    last = max((number for number, line in enumerate(lines) if line.role != "client"), default=-1)
    return list(lines[last + 1 :])


def said(run: Run, state: State, event: OperatorSaid, policy: Policy) -> Draft:
    """An operator's words go through the same lane as the bot's; without a conversation they open one."""
    draft = Draft("operator_said", state.contact, context={"by": event.by})
    if state.contact.opted_out:
        return replace(draft, outcome="opted_out")
    channel = event.channel or state.contact.channel or policy.channels[0]
    draft = opened(run, state, draft, channel, source="manual", phone=state.contact.address or run.contact)
    return show(run, state, draft, "operator", bubbles([event.text]), not_after=not_after(run, policy), by=event.by)
