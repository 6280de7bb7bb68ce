"""The client's side of one turn, as it grows: which records, what they say, what the agent is asked."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from kit.kafka.delivery import Delivery
from kit.lanes import Run as LaneRun
from processor import decisions
from processor.agent import context
from processor.agent.client import Progress, Question
from processor.conversation import State, shown
from processor.drafts import Draft, Policy, Run
from processor.takeover import unanswered
from processor.thought import Bubble, Habit, habit_of
from processor.wording import quoting, wording
from schemas.attributes import Envelope
from schemas.documents import HistoryLine
from schemas.events import MessageReceived

__all__ = ["Look", "Resumed", "Talk", "question_of", "told"]

Fresh = Callable[[Sequence[Delivery]], Awaitable[list[Delivery]]]
Hear = Callable[[Sequence[Envelope[MessageReceived]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Look:
    """What had to be looked up before anybody is asked."""

    unseen: frozenset[str] = frozenset()
    """Parts of ours that never appeared on the client's phone."""
    heard: dict[str, str] = field(default_factory=dict)
    """Voice notes in words, by event id."""
    quoted: dict[str, str] = field(default_factory=dict)
    """What a message replies to, by event id."""


class Talk:
    """Messages of one contact to one channel; `take` adds those that arrive before the decision."""

    def __init__(
        self,
        lane: LaneRun[Delivery],
        fresh: Sequence[Delivery],
        state: State,
        policy: Policy,
        *,
        run_of: Callable[[Sequence[Delivery]], Run],
        undecided: Fresh,
        hear: Hear,
        look: Look,
    ) -> None:
        self.lane = lane
        self.state = state
        self.stale: list[dict[str, Any]] = []
        self.settled: set[str] = set()
        self.asked: Question | None = None
        self._fresh = list(fresh)
        self._policy = policy
        self._run_of = run_of
        self.undecided = undecided
        self._hear = hear
        self._look = look

    @property
    def run(self) -> Run:
        return self._run_of(self._fresh)

    @property
    def messages(self) -> list[Envelope[MessageReceived]]:
        return cast("list[Envelope[MessageReceived]]", [one.envelope for one in self._fresh])

    @property
    def bubbles(self) -> list[Bubble]:
        now = self.run.now
        return [Bubble(one.data.text, min(now, one.data.received_at), one.data.kind) for one in self.messages]

    @property
    def habit(self) -> Habit:
        lines = self.state.conversation.lines if self.state.conversation else []
        return habit_of([line.at for line in lines if line.role == "client"])

    @property
    def draft(self) -> Draft:
        return decisions.received(self.run, self.state, self.messages, self._policy, self._look.heard)

    async def take(self) -> bool:
        """Copies and decided ones only are no part of the thought; they are settled with it all the same."""
        if not self.lane.take():
            return False
        known = {one.envelope.id for one in self._fresh}
        fresh = [one for one in await self.undecided(self.lane.records) if one.envelope.id not in known]
        self._fresh += fresh
        await self._hear([cast("Envelope[MessageReceived]", one.envelope) for one in fresh])
        return bool(fresh)

    @property
    def unheard(self) -> bool:
        """Nothing but sound came, and nobody could make it out."""
        return all(one.data.kind == "audio" and one.id not in self._look.heard for one in self.messages)

    def question(self, progress: Progress) -> Question:
        words = [
            quoting(wording(one.data, self._look.heard.get(one.id)), self._look.quoted.get(one.id))
            for one in self.messages
        ]
        draft = self.draft
        before = _lines_before(draft, {one.id for one in self.messages})
        self.asked = question_of(
            self.run, self.state, draft, "\n".join(words), before, self._look, self._policy, progress
        )
        return self.asked


class Resumed:
    """What a client wrote to a person, answered by the bot after the hand-back. It does not grow."""

    bubbles: Sequence[Bubble] = ()
    habit = Habit.UNKNOWN

    def __init__(
        self,
        lane: LaneRun[Delivery],
        run: Run,
        state: State,
        draft: Draft,
        policy: Policy,
        look: Look,
        undecided: Fresh,
    ) -> None:
        self.lane = lane
        self.run = run
        self.state = state
        self.draft = draft
        self.undecided = undecided
        self.stale: list[dict[str, Any]] = []
        self.settled: set[str] = set()
        self.asked: Question | None = None
        self._policy = policy
        self._look = look

    async def take(self) -> bool:
        return False

    def question(self, progress: Progress) -> Question:
        lines = shown(self.draft.opened.lines, self._look.unseen)
        open_ones = unanswered(lines)
        words = "\n".join(line.text for line in open_ones)
        before = lines[: len(lines) - len(open_ones)]
        self.asked = question_of(self.run, self.state, self.draft, words, before, self._look, self._policy, progress)
        return self.asked


def question_of(
    run: Run,
    state: State,
    draft: Draft,
    words: str,
    before: Sequence[HistoryLine],
    look: Look,
    policy: Policy,
    progress: Progress,
) -> Question:
    """The agent of the last joined call, else the conversation's, else the default one."""
    conversation, call = draft.opened, draft.call or state.call
    lines = shown(before, look.unseen)
    return Question(
        conversation=conversation.id,
        agent_id=(call and call.agent_id) or conversation.agent_id or policy.default_agent_id,
        user_id=conversation.contact,
        text=words,
        prior_call=context.prior_call(call),
        history=context.history(lines),
        history_mark=context.mark(lines),
        variables={
            "channel": "whatsapp",
            "customer_name": conversation.client_name or draft.contact.name or "",
            "has_prior_call": str(bool(call)).lower(),
            "turn_id": run.turn_id,  # their tools can tell a repeat by it
        },
        progress=progress,
    )


def told(draft: Draft, question: Question | None) -> Draft:
    """What the agent was given, kept with the turn."""
    if question is None:
        return draft
    given = {"agent_id": question.agent_id, "prior_call": question.prior_call, "wa_history": question.history}
    return replace(draft, context={**draft.context, **given, "text": question.text})


def _lines_before(draft: Draft, events: set[str]) -> list[HistoryLine]:
    return [line for line in draft.opened.lines if line.id not in events]
