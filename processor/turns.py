"""The lane's handler: every record of `contact.log` ends in exactly one turn, and a turn's effects happen once."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from kit.errors import DependencyDown, Poison
from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery
from kit.kafka.outlet import Outlet
from kit.lanes import Run as LaneRun
from kit.logs import get_log
from kit.service import Tools
from kit.tracing import origin
from processor import decisions, drafts, optout
from processor.drafting import Drafting
from processor.drafts import Policy, Run
from processor.identity import Links, seen_as, unknown
from processor.repository import AlreadyDecided, Repository
from processor.stages import Stages
from schemas.attributes import Envelope
from schemas.contact import Contact, UnusableAddress, parse_address
from schemas.documents import ContactDocument, EventDocument, TurnDocument
from schemas.events import EraseRequested, Event, MessageReceived
from schemas.topics import MESSAGE_OUTBOUND, SYSTEM_NOTICES, Topic

__all__ = ["TurnHandler", "one_thought"]

SOURCE = "hilo/processor"


def one_thought(waiting: Sequence[Delivery]) -> int:
    """How many of the records that wait may be one turn: messages to one channel, and no STOP or START among them."""
    first = _ordinary(waiting[0])
    if first is None:
        return 1
    for count, delivery in enumerate(waiting):
        event = _ordinary(delivery)
        if event is None or event.channel != first.channel:
            return count
    return len(waiting)


class TurnHandler:
    """Decide once, then finish: the insert into `turns` is the decision, and its unique `events` refuse a second one.

    Nothing leaves before that insert. Everything after it can be repeated with the same result, so a crash between any
    two lines below costs a repetition, never a double answer: the record comes again, its turn is found, and what was
    left undone is done.
    """

    def __init__(
        self, repository: Repository, drafting: Drafting, outlet: Outlet, policy: Policy, links: Links, tools: Tools
    ) -> None:
        self._repository = repository
        self._drafting = drafting
        self._outlet = outlet
        self._policy = policy
        self._links = links
        self._tools = tools
        self._doubted: set[str] = set()
        """Contacts that may have an unfinished turn whose record does not come again."""
        self._stages = Stages(tools.metrics, tools.clock)
        self._log = get_log("turns")

    async def handle(self, lane: LaneRun[Delivery]) -> None:
        """One run of one contact, and what joins it meanwhile. A repeat is harmless.

        Raises StoreDown, BrokerDown, Poison for a record whose key names nobody, Wait if something has to happen first.
        """
        began = self._tools.clock.monotonic()
        _require_somebody(lane.records[0])
        ended: set[str] = set()
        while fresh := await self._undecided([one for one in lane.records if one.envelope.id not in ended]):
            if await self._links.forwarded(fresh):
                return
            contact = await self._known(fresh)
            fresh = fresh[:1] if contact.opted_out else fresh  # each may be the one that says yes
            state = await self._repository.state(contact, self._channel(fresh[0], contact.channel))
            run, draft = await self._drafting.draft(lane, fresh, state, self._run, self._undecided)
            if unknown(contact, run.events) - set(seen_as(_envelopes(fresh))):
                self._drafting.drop(draft)  # a bubble that joined shows another name of theirs: with it from the start
                continue
            turn = drafts.turn(run, state, draft)
            try:
                with self._stages("decide"):
                    await self._repository.decide(turn)
            except AlreadyDecided:
                self._drafting.drop(draft)
                self._doubted.add(contact.id)
                continue
            except BaseException:  # nobody knows if it is decided: the agent must not remember what nobody may ever see
                self._drafting.drop(draft)
                raise
            with self._stages("publish"):
                await self._finish(turn)
            self._doubted.discard(turn.contact)
            ended.update(turn.events)
            self._drafting.after(draft)
            messages = [one.data for one in run.events if isinstance(one.data, MessageReceived)]
            self._stages.answered(messages, state, turn)
            self._report(turn, self._tools.clock.monotonic() - began)

    async def buried(self, _position: Position, _error: Exception, record: Delivery | None) -> None:
        """A client whose message went to `dead.letters` does not meet silence. Raises StoreDown, BrokerDown."""
        if record is None or not isinstance(record.envelope.data, MessageReceived):
            return
        try:
            _require_somebody(record)
            self._doubted.add(record.envelope.contact)
            await self._apologise(record)
        except DependencyDown:
            raise
        except Exception:  # noqa: BLE001  # what made the message unusable may spoil this too; it is buried by now
            self._log.exception("no apology for a buried message", event_id=record.envelope.id)

    async def _apologise(self, record: Delivery) -> None:
        while fresh := await self._undecided([record]):
            contact = await self._known(fresh)
            state = await self._repository.state(contact, self._channel(record, contact.channel))
            run = self._run(fresh)
            turn = drafts.turn(run, state, decisions.buried(run, state, self._policy))
            with suppress(AlreadyDecided):
                await self._repository.decide(turn)
                await self._finish(turn)

    async def _known(self, fresh: Sequence[Delivery]) -> ContactDocument:
        """The contact as it is stored.

        In doubt, what somebody decided and did not live to finish is looked for, and finished first. Else not: its own
        record has come again before these, and has done so; or it has their place, and `decide` says so.
        """
        records = _envelopes(fresh)
        while True:
            contact, others = await self._repository.person(records[0].contact, seen_as(records))
            doubted = contact.id in self._doubted
            older = await self._repository.turn_at(f"{contact.id}#{contact.seq + 1}") if doubted else None
            if older is None:
                return await self._links.learn(contact, records, others)
            await self._finish(older)

    async def _undecided(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Finish the turns these records already have; return the records that have none, each once."""
        wanted: dict[str, Delivery] = {}
        for one in deliveries:
            wanted.setdefault(one.envelope.id, one)
        decided: set[str] = set()
        for turn in await self._repository.turns_with(list(wanted)) if wanted else ():
            decided.update(turn.events)
            if not turn.done:
                await self._finish(turn)
        return [self._timely(one) for event, one in wanted.items() if event not in decided]

    def _timely(self, record: Delivery) -> Delivery:
        """A message from the future, by somebody's wrong clock, came now: or its conversation would never be idle."""
        event, now = record.envelope.data, self._tools.clock.now()
        if not isinstance(event, MessageReceived) or event.received_at <= now:
            return record
        return replace(record, envelope=replace(record.envelope, data=event.model_copy(update={"received_at": now})))

    async def _finish(self, turn: TurnDocument) -> None:
        await self._repository.project(turn)
        for event in turn.outbound:
            await self._publish(MESSAGE_OUTBOUND, turn, event)
        for event in turn.notices:
            await self._publish(SYSTEM_NOTICES, turn, event)
        if turn.kind == EraseRequested.type_name():
            await self._repository.erase(turn)
        else:
            await self._repository.mark_done(turn)

    async def _publish(self, topic: Topic, turn: TurnDocument, event: EventDocument) -> None:
        kinds = {kind.type_name(): kind for kind in topic.events}
        data = kinds[event.type].model_validate(event.data)
        envelope: Envelope[Event] = Envelope(
            event.id, SOURCE, turn.decided_at, Contact(turn.contact), data, extensions=turn.trace
        )
        await self._outlet.publish(topic.name, envelope)

    def _run(self, fresh: Sequence[Delivery]) -> Run:
        return Run(
            contact=fresh[0].envelope.contact,
            events=_envelopes(fresh),
            positions=[str(one.position) for one in fresh],
            now=self._tools.clock.now(),
            trace=origin(),
        )

    def _channel(self, first: Delivery, last_used: str | None) -> str:
        named: str | None = getattr(first.envelope.data, "channel", None)
        return named or last_used or self._policy.channels[0]

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
            events=len(turn.events),
            stale=len(turn.superseded),
            seconds=round(seconds, 3),
        )


def _envelopes(fresh: Sequence[Delivery]) -> list[Envelope[Event]]:
    return [one.envelope for one in fresh]


def _require_somebody(record: Delivery) -> None:
    try:
        parse_address(record.envelope.contact)
    except UnusableAddress as error:
        raise Poison("unusable_contact", f"the record's key is {error}") from None


def _ordinary(delivery: Delivery) -> MessageReceived | None:
    """A message that is no command."""
    event = delivery.envelope.data
    if not isinstance(event, MessageReceived) or optout.stops(event) or optout.starts(event):
        return None
    return event
