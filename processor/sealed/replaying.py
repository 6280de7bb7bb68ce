"""A story told again to today's code: the real handler and repository, with a recorded world around them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, cast

from kit import ids
from kit.errors import Wait
from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery
from kit.kafka.outlet import Outlet
from kit.lanes import Run as LaneRun
from kit.metrics import Metrics
from kit.mongo import Database
from kit.reads import Reads
from kit.service import Tools
from processor.agent.calls import CallRecords
from processor.agent.client import AgentClient, Question
from processor.answering import Answering
from processor.drafting import Drafting
from processor.drafts import Policy
from processor.erasing import tombstone
from processor.hearing import Hearing
from processor.identity import Links
from processor.looking import Looking
from processor.repository import Repository
from processor.sealed.comparing import differences, facts
from processor.sealed.mongo import MemoryMongo
from processor.sealed.recorded import Box, Lane, Moment, RecordedCalls, RecordedReads, RecordedVoice
from processor.thought import Quiet
from processor.turns import TurnHandler, one_thought
from schemas.attributes import Undecodable, WireRecord, decode
from schemas.documents import (
    CallDocument,
    ContactDocument,
    ConversationDocument,
    Document,
    MessageDocument,
    TurnDocument,
)
from schemas.replay import Heard, Kept, Person, Result, Step
from schemas.topics import CONTACT_LOG

__all__ = ["Retold", "Telling"]

METRICS = Metrics()
GONE = "its records are not in the log any more"


class Telling(AgentClient, Protocol):
    """Who answers: `turn` is told before each step."""

    turn: TurnDocument | None
    unanswered: Question | None
    heard: Heard | None


class Remembering(Repository):
    """Knows what was decided since somebody looked."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.decided: list[TurnDocument] = []

    async def decide(self, turn: TurnDocument) -> None:
        await super().decide(turn)
        self.decided.append(turn)


class Retold:
    """One contact's story, step by step. It goes on from what today's code decides, not from what was recorded.

    `as_recorded`: after each step it goes on from the recorded turn instead, so that each answer is to what was really
    said before.
    """

    def __init__(self, person: Person, policy: Policy, agent: Telling, *, as_recorded: bool = False) -> None:
        self._person = person
        self._agent = agent
        self._as_recorded = as_recorded
        self._moment = Moment()
        self._store = MemoryMongo()
        self._repository = Remembering(cast("Database", self._store))
        self._calls, self._voice = RecordedCalls(), RecordedVoice()
        self._handler = self._build(person, policy)
        self._why = ""

    def _build(self, person: Person, policy: Policy) -> TurnHandler:
        """As `processor/app.py` does, with what is recorded for everything outside."""
        tools = Tools("replay", self._moment, METRICS)
        outlet, reads = cast("Outlet", Box()), cast("Reads", RecordedReads(person.sends, self._moment))
        looking = Looking(self._repository, reads, cast("Hearing", self._voice))
        answering = Answering(self._agent, self._moment, Quiet(), lambda: None)
        calls = cast("CallRecords", self._calls)
        drafting = Drafting(
            self._repository, answering, looking, policy, self._moment, calls=calls, forget=self._agent.drop
        )
        return TurnHandler(self._repository, drafting, outlet, policy, Links(self._repository, outlet), tools)

    async def begin(self) -> None:
        for name, documents in self._person.documents.items():
            for one in documents:
                await self._store[name].insert_one(SHAPES[name].from_mongo(one).to_mongo())

    async def step(self, step: Step) -> Result:
        turn, self._why = step.turn, ""
        self._moment.at = _moment(step)
        self._agent.turn = self._calls.turn = self._voice.turn = turn
        self._agent.unanswered = self._agent.heard = None
        if turn and turn.outcome == "erased":
            return await self._erased(step, turn)
        if turn and not step.records:
            await self._go_on_from(turn)
            return _result(step, state="missing", was=facts([turn]), why=GONE)
        now = await self._decided(step)
        result = self._compared(step, now)
        if self._as_recorded and turn:
            await self._go_on_from(turn)
        return result

    def _compared(self, step: Step, decided: Sequence[TurnDocument]) -> Result:
        asked, turn = self._agent.unanswered, step.turn
        more: dict[str, Any] = {"why": self._why, "asked": asked.text if asked else "", "heard": self._agent.heard}
        now = facts(decided) if decided else None
        if turn is None:
            return _result(step, state="new" if now else "unusable", now=now, **more)
        was = facts([turn])
        if now is None:
            return _result(step, state="missing", was=was, **more)
        differs = differences(was, now)
        return _result(step, state="changed" if differs else "same", was=was, now=now, differs=differs, **more)

    async def _decided(self, step: Step) -> list[TurnDocument]:
        """The run as it was formed, cut where today's code would cut it."""
        self._repository.decided = []
        try:
            left, behind = [_delivery(one) for one in step.records], [_delivery(one) for one in step.behind]
        except Undecodable as error:
            self._why = f"today's code cannot read it: {error}"
            return []
        while left:
            taken = one_thought(left)
            await self._handled(left[:taken], behind)
            left = left[taken:]
        return self._repository.decided

    async def _handled(self, run: Sequence[Delivery], behind: Sequence[Delivery]) -> None:
        try:
            await self._handler.handle(cast("LaneRun[Delivery]", Lane(run, behind)))
        except Wait as error:
            self._why = f"today's code waits: {error}"
        except Exception as error:  # noqa: BLE001  # a fault of today's code is what a replay has to show
            if len(run) > 1:  # each by itself, as a lane would
                for one in run:
                    await self._handled([one], behind)
                return
            self._why = f"today's code buries it: {type(error).__name__}"
            await self._handler.buried(run[0].position, error, run[0])

    async def _erased(self, step: Step, turn: TurnDocument) -> Result:
        """What is left of an erased person's turn: it recognises the record, and says nothing else."""
        await self._store["turns"].replace_one({"_id": turn.id}, turn.to_mongo(), upsert=True)
        stone = tombstone(self._person.contact, turn.seq).to_mongo()
        await self._store["contacts"].replace_one({"_id": ids.erased_id(self._person.contact)}, stone, upsert=True)
        now = await self._decided(step)
        why = self._why or "the person was erased: nothing is answered"
        return _result(step, state="changed" if now else "erased", now=facts(now) if now else None, why=why)

    async def _go_on_from(self, turn: TurnDocument) -> None:
        """From what was recorded, at the next place of the story as it is told here."""
        contact = await self._repository.contact(self._person.contact)
        seq = contact.seq + 1
        after = {
            "contact_after": _placed(ContactDocument, turn.contact_after, seq),
            "conversation_after": _placed(ConversationDocument, turn.conversation_after, seq),
            "call": _placed(CallDocument, turn.call, seq),
        }
        await self._repository.project(turn.model_copy(update=after))


SHAPES: dict[str, type[Document]] = {
    "contacts": ContactDocument,
    "conversations": ConversationDocument,
    "calls": CallDocument,
}


def _placed(shape: type[Document], stored: dict[str, Any] | None, seq: int) -> dict[str, Any] | None:
    if not stored:
        return None
    document = shape.from_mongo(stored)
    return document.model_copy(update={"seq": seq, "rev": f"{document.id}#{seq}"}).to_mongo()


def _delivery(kept: Kept) -> Delivery:
    topic, partition, offset = kept.position.rsplit("-", 2)
    record = WireRecord(kept.key, kept.value, kept.headers)
    envelope = decode(record, CONTACT_LOG.events, fallback_id=kept.position)
    return Delivery(envelope, Position(topic, int(partition), int(offset)))


def _moment(step: Step) -> datetime:
    """When the draft was made: a breath before it was decided, and its parts bear that time."""
    messages = [MessageDocument.from_mongo(one) for one in step.turn.messages] if step.turn else []
    return min([step.at, *(one.timestamp for one in messages if one.direction == "outbound")])


def _result(step: Step, **told: Any) -> Result:
    turn = step.turn
    return Result(
        contact=step.contact,
        seq=turn.seq if turn else None,
        at=step.at,
        positions=[one.position for one in step.records],
        said=list(turn.raw_reply) if turn else [],
        seconds=turn.agent.get("seconds") if turn else None,
        **told,
    )
