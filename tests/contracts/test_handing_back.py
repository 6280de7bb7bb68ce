"""A hand-back that comes before the sender has seen the take-over: nobody knows yet what the client was shown."""

from typing import Any

import pytest

from kit.errors import Wait
from kit.ids import fence_id
from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery
from kit.reads import Reads
from kit.service import Tools
from processor.agent.client import Answer, Question
from processor.repository import Repository
from schemas.attributes import Envelope
from schemas.documents import FenceDocument, SendDocument
from schemas.events import Event, HandedBack, SendRequested, TakenOver
from tests.conftest import FakeClock
from tests.contracts.runs import run_of
from tests.memory_mongo import MemoryMongo
from tests.unit.processor.states import ADDRESS, CHANNEL, CONTACT, NOW, message
from tests.unit.processor.turning import handler


class World:
    """A processor, and the rows that a sender would have written."""

    def __init__(self, tools: Tools) -> None:
        self.store = MemoryMongo()
        self.asked: list[Question] = []
        self.requests: list[SendRequested] = []
        database: Any = self.store
        self._turns = handler(Repository(database), self, self, tools, reads=Reads(database))
        self._offset = 0

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        return Answer([f"re: {question.text}"])

    def drop(self, conversation: str) -> None:
        """It has nothing to forget."""

    async def publish(self, _topic: str, envelope: Envelope[Event], **_: Any) -> None:
        if isinstance(envelope.data, SendRequested):
            self.requests.append(envelope.data)

    async def handle(self, event_id: str, event: Event) -> None:
        self._offset += 1
        envelope = Envelope(event_id, "hilo/test", NOW, CONTACT, event)
        await self._turns.handle(run_of(Delivery(envelope, Position("contact.log", 0, self._offset))))

    async def sender_comes_to(self, state: str) -> None:
        """What became of the first reply, and the fence behind it."""
        name, (request, *_) = fence_id(CONTACT), self.requests
        part = request.parts[0]
        send = SendDocument(
            id=part.send_id, contact=CONTACT, turn=request.turn, seq=request.seq, conversation_id="c", purpose="reply",
            to=ADDRESS, channel=CHANNEL, body_hash="", state=state, created_at=NOW, updated_at=NOW, rev="1",
        )  # fmt: skip
        await self.store.sends.insert_one(send.to_mongo())
        await self.store.sends.insert_one(FenceDocument(id=name, fence=2, rev=f"{name}#1").to_mongo())


@pytest.fixture
async def world(tools: Tools) -> World:
    world = World(tools)
    await world.handle("SM1", message("¿a qué hora?"))
    await world.handle("t1", TakenOver(by="luis"))
    return world


@pytest.mark.parametrize(("state", "answers"), [("withheld", 2), ("accepted", 1)])
async def test_it_waits_for_the_sender_and_then_answers_what_was_not_shown(
    world: World, state: str, answers: int
) -> None:
    with pytest.raises(Wait):
        await world.handle("h1", HandedBack(by="luis"))
    await world.sender_comes_to(state)
    await world.handle("h1", HandedBack(by="luis"))
    assert len(world.requests) == answers
    assert [question.text for question in world.asked] == ["¿a qué hora?"] * answers


async def test_it_does_not_wait_for_ever(world: World, clock: FakeClock) -> None:
    clock.advance(61)
    await world.handle("h1", HandedBack(by="luis"))
    assert [turn["outcome"] for turn in world.store.rows["turns"].values()][-1] == "handed_back"


async def test_a_contact_without_a_take_over_is_handed_back_at_once(tools: Tools) -> None:
    world = World(tools)
    await world.handle("SM1", message())
    await world.handle("h1", HandedBack(by="luis"))
    assert len(world.requests) == 1
