"""What has happened: records on a shelf, and turns that the real handler decided of them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from kit.kafka.delivery import Delivery
from kit.reads import Reads
from kit.service import Tools
from ops.replaying.chosen import Wanted, chosen
from ops.replaying.sealed import lines
from ops.replaying.stories import Tale, stories
from processor.agent.client import AgentUnavailableError, Answer, Question
from processor.repository import Repository
from processor.sealed.work import told
from schemas.attributes import Envelope, WireRecord, decode, encode
from schemas.contact import Contact
from schemas.documents import FenceDocument
from schemas.events import Event
from schemas.replay import Line, Result, Setup
from schemas.topics import CONTACT_LOG
from tests.conftest import FakeClock
from tests.contracts.runs import run_of
from tests.memory_mongo import MemoryMongo
from tests.unit.ops.shelf import Shelf
from tests.unit.processor.states import CONTACT, POLICY
from tests.unit.processor.turning import NoSends, handler

__all__ = ["SETUP", "Past", "outcomes"]

SETUP = Setup(channels=list(POLICY.channels), default_agent_id=POLICY.default_agent_id, greeting_template_sid="HX1")


class Fenced(NoSends):
    """The sender comes to every fence at once."""

    async def confirmed(self, contact: str) -> Any:
        return FenceDocument(id=contact, fence=1_000_000, rev="")


class Ticking(FakeClock):
    """Time goes by while a turn is made, as it really does."""

    def now(self) -> datetime:
        self.advance(0.0007)
        return super().now()


class Past:
    """`wrote` puts events into the log and decides them together; `logged` only puts them there."""

    def __init__(self, tools: Tools) -> None:
        self.clock = Ticking()
        tools = replace(tools, clock=self.clock)
        self.shelf = Shelf(self.clock)
        self.store = MemoryMongo()
        self.answer: Answer | None = None
        """What the agent says next; None: it is away."""
        self.handler = handler(Repository(self.store), self, self, tools, reads=Fenced())  # type: ignore[arg-type]

    async def ask(self, question: Question) -> Answer:
        if self.answer is None:
            raise AgentUnavailableError(3, "timeout in sent")
        return self.answer

    def drop(self, conversation: str) -> None:
        """It has nothing to forget."""

    async def publish(self, topic: str, envelope: Envelope[Event], **_: Any) -> None:
        """Nobody listens."""

    async def logged(self, name: str, event: Event, contact: str = CONTACT) -> Delivery:
        self.clock.advance(1)
        record = encode(Envelope(name, "hilo/test", self.clock.now(), Contact(contact), event))
        return await self.kept(record)

    async def kept(self, record: WireRecord) -> Delivery:
        await self.shelf.publish_record(CONTACT_LOG.name, record)
        stored = max(self.shelf.of(CONTACT_LOG.name), key=lambda one: one.at)
        return Delivery(decode(record, CONTACT_LOG.events), stored.position)

    async def wrote(
        self, *events: tuple[str, Event], says: Sequence[str] | None = ("vale.",), contact: str = CONTACT, **agent: Any
    ) -> None:
        run = [await self.logged(name, event, contact) for name, event in events]
        self.clock.advance(2)
        self.answer = None if says is None else Answer(list(says), "conv_el", seconds=1.5, **agent)
        await self.handler.handle(run_of(*run))

    async def tale(self, contact: str | None = CONTACT, **wanted: Any) -> Tale:
        what = Wanted(CONTACT_LOG.name, Contact(contact) if contact else None, **wanted)
        kafka: Any = self.shelf
        found = [one async for one in chosen(kafka, what, [contact] if contact else [])]
        return await stories(kafka, Reads(self.store), found, whole=what.whole_story)  # type: ignore[arg-type]

    async def told(self, contact: str | None = CONTACT, **wanted: Any) -> list[Result]:
        """By today's code, in this process."""
        tale = await self.tale(contact, **wanted)
        known: TypeAdapter[Line] = TypeAdapter(Line)
        again = [known.validate_json(line.model_dump_json(exclude_none=True)) for line in lines(tale.stories)]
        return [one async for one in told(SETUP, again)]


def outcomes(results: Sequence[Result]) -> list[tuple[str, str]]:
    return [(one.state, (one.now or one.was).outcome if one.now or one.was else "") for one in results]  # type: ignore[union-attr]
