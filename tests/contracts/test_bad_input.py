"""The table of docs/turns.md: what happens to records that nobody wanted."""

from datetime import timedelta
from typing import Any

import pytest

from kit.errors import Poison
from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery
from kit.service import Tools
from processor.agent.client import Answer, Question
from processor.parts import MAX_UNITS, MOST_PARTS, units
from processor.repository import Repository
from schemas.attributes import Envelope, Undecodable, WireRecord, decode
from schemas.contact import Contact
from schemas.events import CloseRequested, Event, OperatorSaid, SendRequested
from schemas.topics import CONTACT_LOG
from tests.contracts.runs import run_of
from tests.memory_mongo import MemoryMongo
from tests.unit.processor.states import CHANNEL, CONTACT, NOW, completed, message
from tests.unit.processor.turning import handler


class World:
    def __init__(self, tools: Tools) -> None:
        self.repository = Repository(MemoryMongo())  # type: ignore[arg-type]
        self.asked: list[Question] = []
        self.out: list[Envelope[Event]] = []
        self.answer = "hola"
        self._turns = handler(self.repository, self, self, tools)

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        return Answer([self.answer])

    def drop(self, conversation: str) -> None:
        """It has nothing to forget."""

    async def publish(self, _topic: str, envelope: Envelope[Event], **_: Any) -> None:
        self.out.append(envelope)

    async def handle(self, event: Event, contact: str = CONTACT) -> None:
        envelope = Envelope("e1", "hilo/test", NOW, Contact(contact), event)
        await self._turns.handle(run_of(Delivery(envelope, Position("contact.log", 0, 1))))

    @property
    def parts(self) -> list[str]:
        return [part.text for one in self.out if isinstance(one.data, SendRequested) for part in one.data.parts]


@pytest.fixture
def world(tools: Tools) -> World:
    return World(tools)


@pytest.mark.parametrize("key", ["", "ana", "+12", "whatsapp:", "MX.", "\ufffd"])
async def test_a_contact_with_no_usable_address_is_a_dead_letter(world: World, key: str) -> None:
    with pytest.raises(Poison, match="unusable_contact"):
        await world.handle(message(), key)
    assert not world.out


async def test_a_message_from_the_future_came_now(world: World, tools: Tools) -> None:
    await world.handle(message(received_at=tools.clock.now() + timedelta(days=9)))
    found = await world.repository.open_conversation(CONTACT, CHANNEL)
    person = await world.repository.contact(CONTACT)
    assert found
    assert found.last_message_at == tools.clock.now()
    assert person.windows[CHANNEL] == tools.clock.now() + timedelta(hours=24)


async def test_a_close_request_for_an_unknown_conversation_is_ignored(world: World) -> None:
    await world.handle(CloseRequested(conversation_id="conv_nobody", last_message_at=NOW))
    (turn,) = await world.repository.turns_with(["e1"])
    assert (turn.outcome, world.out) == ("ignored", [])


async def test_a_close_request_in_somebody_elses_log_is_ignored(world: World) -> None:
    await world.handle(message())
    mine = await world.repository.open_conversation(CONTACT, CHANNEL)
    assert mine
    request = CloseRequested(conversation_id=mine.id, last_message_at=NOW + timedelta(days=1))
    envelope: Envelope[Event] = Envelope("e2", "hilo/test", NOW, Contact("+34600111222"), request)
    await world._turns.handle(run_of(Delivery(envelope, Position("contact.log", 0, 2))))
    (turn,) = await world.repository.turns_with(["e2"])
    assert turn.outcome == "ignored"


async def test_a_text_of_a_megabyte_is_cut_everywhere(world: World) -> None:
    await world.handle(message("ñ" * 1_000_000))
    (question,) = world.asked
    assert len(question.text) <= 16_000  # and the agent's client cuts it to 4,000
    (turn,) = await world.repository.turns_with(["e1"])
    assert len(repr(turn)) < 100_000


async def test_an_answer_of_a_megabyte_is_a_few_bubbles(world: World) -> None:
    world.answer = "palabra " * 130_000
    await world.handle(message())
    assert len(world.parts) == MOST_PARTS
    assert max(map(units, world.parts)) <= MAX_UNITS
    assert world.parts[-1].endswith("…")


async def test_an_operators_megabyte_too(world: World) -> None:
    await world.handle(OperatorSaid(by="luis", text="x" * 1_000_000))
    assert len(world.parts) == MOST_PARTS


async def test_control_characters_are_left_out(world: World) -> None:
    await world.handle(message("ho\x00la\x1b[31m\r\n¿qué\ttal?\x7f"))
    assert world.asked[0].text == "hola[31m\n¿qué\ttal?"


@pytest.mark.parametrize(
    "fields",
    [{"client_name": None, "call_summary": None}, {"client_name": "x" * 5000, "call_summary": "y" * 5000},
     {"client_name": " \n", "call_summary": "\t"}, {"client_name": "A\x00na", "call_summary": "*_~```"}],
)  # fmt: skip
async def test_whatever_a_call_tells_the_greeting_is_good(world: World, fields: dict[str, Any]) -> None:
    await world.handle(completed(**fields))
    (part,) = world.parts
    assert part.startswith("¡Hola")
    assert part.endswith("¿En qué más puedo ayudarte?")
    assert units(part) <= MAX_UNITS


@pytest.mark.parametrize(
    ("kind", "value"),
    [("hilo.unheard-of.v9", b"{}"), ("hilo.message-received.v1", b"{"), ("hilo.message-received.v1", b'{"text": 3}')],
)
def test_an_unknown_type_or_a_broken_value_does_not_decode(kind: str, value: bytes) -> None:
    record = WireRecord(CONTACT.encode(), value, [("ce_type", kind.encode()), ("ce_id", b"x")])
    with pytest.raises(Undecodable):
        decode(record, CONTACT_LOG.events)
