"""From records to a draft: for each kind of event the pure decision, with what has to be asked before it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from kit import ids
from kit.clock import Clock
from kit.errors import Wait
from kit.kafka.delivery import Delivery
from kit.lanes import Run as LaneRun
from processor import calling, closing, decisions, erasing, optout, takeover
from processor.agent.calls import CallRecords
from processor.agent.client import AgentUnavailableError, Answer
from processor.answering import Answering, Discarded, require_welcome
from processor.conversation import State
from processor.drafts import Draft, Policy, Run
from processor.looking import Looking
from processor.presence import Presence
from processor.repository import Repository
from processor.talk import Resumed, Talk, told
from schemas.documents import CallDocument
from schemas.events import (
    AddressRefused,
    CallCompleted,
    CallFacts,
    CloseRequested,
    EraseRequested,
    HandedBack,
    MessageReceived,
    OperatorSaid,
    TakenOver,
)

__all__ = ["Drafting"]

RunOf = Callable[[Sequence[Delivery]], Run]
Undecided = Callable[[Sequence[Delivery]], Awaitable[list[Delivery]]]
FENCE_S = 60.0  # so long a hand-back waits for the sender: a reply that the fence holds back has answered nobody
POLL_S = 0.5


class Drafting:
    """Nothing here is visible to anybody but the agent: a draft may be thrown away at any line."""

    def __init__(
        self,
        repository: Repository,
        answering: Answering,
        looking: Looking,
        policy: Policy,
        clock: Clock,
        *,
        calls: CallRecords | None = None,
        presence: Presence | None = None,
        forget: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`forget` makes the agent forget a conversation: what it heard or said was never shown."""
        self._repository = repository
        self._answering = answering
        self._looking = looking
        self._policy = policy
        self._clock = clock
        self._calls = calls
        self._presence = presence
        self._forget = forget

    async def draft(
        self, lane: LaneRun[Delivery], fresh: Sequence[Delivery], state: State, run_of: RunOf, undecided: Undecided
    ) -> tuple[Run, Draft]:
        """The run may have grown. Raises StoreDown, and Wait for what has to happen first."""
        run, event = run_of(fresh), fresh[0].envelope.data
        match event:
            case MessageReceived() if optout.stops(event) or optout.starts(event, opted_out=state.contact.opted_out):
                return run, optout.opted(run, state, event, self._policy)
            case MessageReceived():
                return await self._message(lane, fresh, state, run_of, undecided)
            case HandedBack():
                return run, await self._handed_back(lane, run, state, event, undecided)
            case CallCompleted() | CallFacts():
                return run, await self._call(run, state, event)
            case _:
                return run, await self._other(run, state, event)

    def drop(self, draft: Draft) -> None:
        """This draft was not decided."""
        if draft.conversation:
            self._forget(draft.conversation.id)

    def after(self, draft: Draft) -> None:
        """Once it is decided: what the agent remembers has to be what the client saw."""
        if draft.outcome in {"taken_over", "discarded", "opted_out", "erased", "closed"}:
            self.drop(draft)

    async def _other(self, run: Run, state: State, event: object) -> Draft:
        match event:
            case CloseRequested():
                found = await self._repository.conversation(event.conversation_id)
                return closing.closed(run, state, found, event)
            case TakenOver():
                return takeover.taken_over(run, state, event)
            case OperatorSaid():
                return takeover.said(run, state, event, self._policy)
            case AddressRefused():
                return optout.refused(run, state, event)
            case EraseRequested():
                return erasing.erased(run, state)
            case _:
                return Draft("ignored", state.contact)

    async def _call(self, run: Run, state: State, event: CallCompleted | CallFacts) -> Draft:
        # The relay has named the call; facts name it by the conversation id they share.
        call_id = run.events[0].id if isinstance(event, CallCompleted) else ids.call_id(run.contact, event)
        known = await self._repository.call(call_id)
        call = await self._known(calling.call_document(call_id, run.contact, event, known, run.now))
        if isinstance(event, CallFacts):
            return calling.told(state, call)
        return calling.called(run, state, call, self._policy)

    async def _message(
        self, lane: LaneRun[Delivery], fresh: Sequence[Delivery], state: State, run_of: RunOf, undecided: Undecided
    ) -> tuple[Run, Draft]:
        if state.call:  # what ElevenLabs had not written down when the call ended, it may know by now
            state = replace(state, call=await self._known(state.call))
        look = await self._looking.look(state)
        talk = Talk(
            lane,
            fresh,
            state,
            self._policy,
            run_of=run_of,
            undecided=undecided,
            hear=lambda messages: self._looking.hear(look, messages),
            look=look,
        )
        await self._looking.hear(look, talk.messages)
        run, draft = talk.run, talk.draft
        if not draft.must_answer:
            return run, draft
        if talk.unheard:
            return run, decisions.write_instead(run, state, draft, self._policy)
        draft = await self._answered(talk)
        return talk.run, draft  # in this order: the run has grown meanwhile

    async def _handed_back(
        self, lane: LaneRun[Delivery], run: Run, state: State, event: HandedBack, undecided: Undecided
    ) -> Draft:
        patient = (self._clock.now() - run.events[0].time).total_seconds() < FENCE_S
        if patient and not await self._looking.fenced(state.contact):
            raise Wait("the sender has not come to the take-over yet", after=POLL_S)
        look = await self._looking.look(state)
        draft = takeover.handed_back(state, event, look.unseen)
        if not draft.must_answer:
            return draft
        return await self._answered(Resumed(lane, run, state, draft, self._policy, look, undecided))

    async def _answered(self, talk: Talk | Resumed) -> Draft:
        if self._presence and isinstance(talk, Talk):
            self._presence.show(talk.messages[-1].data)
        try:
            answer = await self._answering.answer(talk)
        except Discarded as stop:
            return decisions.discarded(talk.draft, stop.why)
        except AgentUnavailableError as error:
            return await self._failed(talk, error)
        return decisions.answered(talk.run, talk.state, self._drafted(talk), answer, self._policy)

    async def _failed(self, talk: Talk | Resumed, error: AgentUnavailableError) -> Draft:
        try:
            await require_welcome(talk)
        except Discarded as stop:
            return decisions.discarded(talk.draft, stop.why)
        draft = self._drafted(talk)
        if error.kind != "blocked":
            return decisions.apologised(talk.run, talk.state, draft, error, self._policy)
        words = decisions.texts_of(talk.state, draft, self._policy).safe
        answer = Answer([words], attempts=error.attempts)
        return decisions.answered(talk.run, talk.state, draft, answer, self._policy)

    def _drafted(self, talk: Talk | Resumed) -> Draft:
        draft = told(talk.draft, talk.asked)
        call = talk.state.call
        return replace(
            draft, call=draft.call or (call if call and call.seq == 0 else None), superseded=tuple(talk.stale)
        )

    async def _known(self, call: CallDocument) -> CallDocument:
        """With what ElevenLabs tells of it by now; marked as new where that is more than we had."""
        if self._calls is None:
            return call
        found = await self._calls.completed(call)
        return found if found == call else found.model_copy(update={"seq": 0})
