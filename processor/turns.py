"""The lane's handler: every record of `contact.log` ends in exactly one turn, and a turn's effects happen once."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from kit import ids
from kit.kafka.delivery import Delivery
from kit.kafka.outlet import Outlet
from kit.lanes import Run as LaneRun
from kit.logs import get_log
from kit.service import Tools
from kit.tracing import outgoing
from processor import decisions
from processor.agent import context
from processor.agent.calls import CallRecords
from processor.agent.client import AgentClient, AgentUnavailableError, Answer, Question
from processor.conversation import State
from processor.decisions import Draft, Policy, Run
from processor.repository import AlreadyDecided, Repository
from processor.texts import texts_for
from processor.wording import wording
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.documents import CallDocument, NoticeDocument, TurnDocument
from schemas.events import CallCompleted, CallFacts, CloseRequested, Event, MessageReceived
from schemas.topics import MESSAGE_OUTBOUND, SYSTEM_NOTICES, Topic

__all__ = ["TurnHandler"]

SOURCE = "hilo/processor"


class TurnHandler:
    """Decide once, then finish: the insert into `turns` is the decision, and its unique `events` refuse a second one.

    Nothing leaves before that insert. Everything after it can be repeated with the same result, so a crash between any
    two lines below costs a repetition, never a double answer: the record comes again, its turn is found, and what was
    left undone is done.
    """

    def __init__(
        self,
        repository: Repository,
        agent: AgentClient,
        outlet: Outlet,
        policy: Policy,
        tools: Tools,
        calls: CallRecords | None = None,
    ) -> None:
        self._repository = repository
        self._calls = calls
        self._agent = agent
        self._outlet = outlet
        self._policy = policy
        self._tools = tools
        self._log = get_log("turns")

    async def handle(self, run: LaneRun[Delivery]) -> None:
        """One run of one contact. Raises StoreDown and BrokerDown; repeating it is harmless."""
        await self.decide(run.records)

    async def decide(self, deliveries: Sequence[Delivery]) -> None:
        began = self._tools.clock.monotonic()
        while fresh := await self._undecided(deliveries):
            contact = await self._repository.contact(fresh[0].envelope.contact)
            older = await self._repository.turn_at(f"{contact.id}#{contact.seq + 1}")
            if older:  # decided by somebody who did not live to finish it
                await self._finish(older)
                continue
            run = self._run(fresh)
            state = await self._repository.state(contact, self._channel(run, contact.channel))
            turn = decisions.turn(run, state, await self._draft(run, state))
            try:
                await self._repository.decide(turn)
            except AlreadyDecided:
                continue
            await self._finish(turn)
            self._report(turn, self._tools.clock.monotonic() - began)

    async def _undecided(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Finish the turns these records already have; return the records that have none, each once."""
        wanted = {one.envelope.id: one for one in deliveries}
        decided: set[str] = set()
        for turn in await self._repository.turns_with(list(wanted)):
            decided.update(turn.events)
            if not turn.done:
                await self._finish(turn)
        return [one for event, one in wanted.items() if event not in decided]

    async def _finish(self, turn: TurnDocument) -> None:
        await self._repository.project(turn)
        for event in turn.outbound:
            await self._publish(MESSAGE_OUTBOUND, turn, event)
        for event in turn.notices:
            await self._publish(SYSTEM_NOTICES, turn, event)
        await self._repository.mark_done(turn)

    async def _publish(self, topic: Topic, turn: TurnDocument, event: NoticeDocument) -> None:
        kinds = {kind.type_name(): kind for kind in topic.events}
        data = kinds[event.type].model_validate(event.data)
        envelope: Envelope[Event] = Envelope(
            event.id, SOURCE, turn.decided_at, Contact(turn.contact), data, extensions=turn.trace
        )
        await self._outlet.publish(topic.name, envelope)

    def _run(self, fresh: Sequence[Delivery]) -> Run:
        return Run(
            contact=fresh[0].envelope.contact,
            events=[one.envelope for one in fresh],
            positions=[str(one.position) for one in fresh],
            now=self._tools.clock.now(),
            trace=outgoing(),
        )

    def _channel(self, run: Run, last_used: str | None) -> str:
        event = run.events[0].data
        return event.channel if isinstance(event, MessageReceived) else last_used or self._policy.channels[0]

    async def _draft(self, run: Run, state: State) -> Draft:
        event = run.events[0].data
        match event:
            case MessageReceived():
                return await self._reply(run, state)
            case CallCompleted() | CallFacts():
                # The relay has named the call; facts name it by the conversation id they share.
                call_id = run.events[0].id if isinstance(event, CallCompleted) else ids.call_id(run.contact, event)
                known = await self._repository.call(call_id)
                call = await self._known(decisions.call_document(call_id, run.contact, event, known, run.now))
                if isinstance(event, CallFacts):
                    return decisions.told(state, call)
                return decisions.called(run, state, call, self._policy)
            case CloseRequested():
                found = await self._repository.conversation(event.conversation_id)
                return decisions.closed(run, State(state.contact, found), event)
            case _:
                return Draft("ignored", state.contact)

    async def _reply(self, run: Run, state: State) -> Draft:
        messages = cast("Sequence[Envelope[MessageReceived]]", run.events)
        draft = decisions.received(run, state, messages)
        if not draft.must_answer or draft.conversation is None:
            return draft
        if state.call:  # what ElevenLabs had not written down when the call ended, it may know by now
            call = await self._known(state.call)
            if call != state.call:
                state, draft = replace(state, call=call), replace(draft, call=call)
        question = self._question(run, state, draft, "\n".join(wording(one.data) for one in messages))
        told = {"agent_id": question.agent_id, "prior_call": question.prior_call, "wa_history": question.history}
        draft = replace(draft, context=told)
        try:
            answer = await self._agent.ask(question)
        except AgentUnavailableError as error:
            if error.kind != "blocked":
                return decisions.apologised(run, state, draft, error, self._policy)
            words = texts_for(draft.contact.language, self._policy.default_language).safe
            answer = Answer([words], attempts=error.attempts)
        return decisions.answered(run, state, draft, answer, self._policy)

    async def _known(self, call: CallDocument) -> CallDocument:
        return await self._calls.completed(call) if self._calls else call

    def _question(self, run: Run, state: State, draft: Draft, text: str) -> Question:
        """The agent of the last joined call, else the conversation's, else the default one."""
        before = state.conversation.lines if state.conversation else []
        conversation = draft.conversation
        assert conversation is not None  # noqa: S101
        name = conversation.client_name or draft.contact.name or ""
        return Question(
            conversation=conversation.id,
            agent_id=(state.call and state.call.agent_id) or conversation.agent_id or self._policy.default_agent_id,
            user_id=conversation.contact,
            text=text,
            prior_call=context.prior_call(state.call),
            history=context.history(before),
            history_mark=context.mark(before),
            variables={
                "channel": "whatsapp",
                "customer_name": name,
                "has_prior_call": str(bool(state.call)).lower(),
                "turn_id": run.turn_id,  # their tools can tell a repeat by it
            },
        )

    def _report(self, turn: TurnDocument, seconds: float) -> None:
        self._tools.metrics.count("hilo_turns_total", outcome=turn.outcome)
        self._tools.metrics.observe("hilo_turn_seconds", seconds, outcome=turn.outcome)
        self._log.info(
            "turn",
            turn_id=turn.id,
            event_id=turn.events[0],
            contact=turn.contact,
            outcome=turn.outcome,
            seq=turn.seq,
            seconds=round(seconds, 3),
        )
