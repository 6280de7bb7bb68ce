"""One person under two names, and a person who wants to be forgotten: on a MongoDB-wire server and in memory."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from kit import ids
from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery
from kit.lanes import Run
from kit.mongo import INDEXES
from kit.service import Tools
from processor.agent.client import Answer, Question
from processor.repository import Repository
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.events import CloseRequested, EraseRequested, EraseSends, Event, HandedBack, SendRequested, TakenOver
from schemas.notices import ConversationEscalated
from tests.contracts.runs import run_of
from tests.memory_mongo import MemoryMongo
from tests.unit.processor.states import ADDRESS, CONTACT, NOW, completed, message
from tests.unit.processor.turning import handler

pytestmark = pytest.mark.stack
USER, OTHER = Contact("MX.9f3c2ab41d"), Contact("MX.77a0c1d2e3")


class Agent:
    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        self.meanwhile()
        return Answer([f"re: {question.text}"])

    def drop(self, conversation: str) -> None:
        """It has nothing to forget."""


class Growing:
    """A run that takes in what stands behind it."""

    def __init__(self, first: Delivery, rest: list[Delivery]) -> None:
        self.records: tuple[Delivery, ...] = (first,)
        self.behind = tuple(rest)

    async def arrival(self, _: float) -> bool:
        return True

    async def linger(self, _: float) -> bool:
        return bool(self.behind)

    def take(self) -> int:
        taken = self.behind
        self.records, self.behind = (*self.records, *taken), ()
        return len(taken)


class World:
    def __init__(self, database: Any, tools: Tools) -> None:
        self.database = database
        self.repository = Repository(database)
        self.agent = Agent()
        self.out: list[tuple[str, Envelope[Event]]] = []
        self.forgotten: list[str] = []
        self._turns = handler(self.repository, self.agent, self, tools, forget=self.forgotten.append)
        self._offset = 0

    async def publish(self, topic: str, envelope: Envelope[Event], **_: Any) -> None:
        self.out.append((topic, envelope))

    async def handle(
        self,
        event_id: str,
        event: Event,
        contact: Contact = CONTACT,
        behind: Sequence[tuple[str, Event]] = (),
        at: datetime = NOW,
    ) -> None:
        run = run_of(self.record(event_id, event, contact, at))
        run.behind = tuple(self.record(*one, contact) for one in behind)  # type: ignore[misc]
        await self.run(run)

    async def run(self, run: Run[Delivery]) -> None:
        await self._turns.handle(run)

    async def buried(self, event_id: str, event: Event) -> None:
        record = self.record(event_id, event)
        await self._turns.buried(record.position, ValueError("x"), record)

    async def together(self, *records: tuple[str, Event]) -> None:
        """One run, whose later records have come while it was at work."""
        first, *rest = (self.record(*one) for one in records)
        await self._turns.handle(Growing(first, rest))  # type: ignore[arg-type]

    def record(self, event_id: str, event: Event, contact: Contact = CONTACT, at: datetime = NOW) -> Delivery:
        self._offset += 1
        return Delivery(Envelope(event_id, "hilo/test", at, contact, event), Position("contact.log", 0, self._offset))

    async def relayed(self) -> None:
        """What was sent on to the log comes back, as Kafka would bring it."""
        back = [envelope for topic, envelope in self.out if topic == "contact.log"]
        self.out = [one for one in self.out if one[0] != "contact.log"]
        for envelope in back:
            await self.handle(envelope.id, envelope.data, envelope.contact)

    async def everything(self) -> str:
        found = [await self.database[name].find({}).to_list(None) for name in INDEXES]
        return repr(found)

    @property
    def said(self) -> list[str]:
        requests = [one.data for _, one in self.out if isinstance(one.data, SendRequested)]
        return [part.text for one in requests for part in one.parts]


@pytest.fixture(params=["wire", "memory"])
def world(request: pytest.FixtureRequest, tools: Tools) -> World:
    database: Any = request.getfixturevalue("wire_database") if request.param == "wire" else MemoryMongo()
    return World(database, tools)


async def test_a_number_and_an_id_seen_together_are_one_story(world: World) -> None:
    await world.handle("SM1", message("soy Ana", user_id=USER))
    hidden = message("¿y mi cita?", address=USER, user_id=USER, profile_name=None)
    await world.handle("SM2", hidden, USER)
    assert world.said == ["re: soy Ana"]
    await world.relayed()
    assert world.said == ["re: soy Ana", "re: ¿y mi cita?"]
    assert "soy Ana" in world.agent.asked[1].history
    requests = [one.data for _, one in world.out if isinstance(one.data, SendRequested)]
    assert [(one.contact, one.to) for one in requests] == [(CONTACT, ADDRESS), (CONTACT, USER)]


async def test_a_record_sent_on_ends_in_one_turn_however_often_it_comes(world: World) -> None:
    await world.handle("SM1", message("hola", user_id=USER))
    for _ in range(3):
        await world.handle("SM2", message("uno", address=USER), USER)
    await world.relayed()
    await world.handle("SM2", message("uno", address=USER), USER)
    assert world.said == ["re: hola", "re: uno"]
    assert not [one for one in world.out if one[0] == "contact.log"]


async def test_an_id_nobody_knows_has_a_story_of_its_own(world: World) -> None:
    await world.handle("SM1", message("hola", address=USER, user_id=USER), USER)
    assert world.said == ["re: hola"]


async def test_what_an_id_began_before_the_link_can_still_be_closed(world: World) -> None:
    await world.handle("SM1", message("hola", address=USER, user_id=USER), USER)
    opened = await world.repository.open_conversation(USER, message().channel)
    assert opened
    await world.handle("SM2", message("ahora con número", user_id=USER))
    await world.handle("c1", CloseRequested(conversation_id=opened.id, last_message_at=NOW), USER)
    closed = await world.repository.conversation(opened.id)
    assert closed
    assert closed.status == "closed"


async def test_a_new_number_of_the_same_id_is_followed(world: World) -> None:
    other = Contact("+34600111222")
    await world.handle("SM1", message("uno", user_id=USER))
    await world.handle("SM2", message("dos", user_id=USER, address=other), other)
    assert await world.repository.linked(USER) == other


@pytest.mark.parametrize("silence", [TakenOver(by="Marta"), message("STOP", address=USER)], ids=["taken over", "STOP"])
async def test_who_silenced_the_bot_under_the_id_is_left_alone_under_the_number(world: World, silence: Event) -> None:
    await world.handle("SM1", message("hola", address=USER), USER)
    await world.handle("silence_1", silence, USER)
    before = list(world.said)
    for number in range(2):
        await world.handle(f"SM{number + 2}", message(f"mi número {number}", user_id=USER))
    assert world.said == before
    assert await world.repository.linked(USER) == CONTACT


async def test_a_conversation_that_was_open_under_the_number_is_a_person_s_then(world: World) -> None:
    await world.handle("SM1", message("sin id"))
    await world.handle("SM2", message("hola", address=USER), USER)
    await world.handle("takeover_1", TakenOver(by="Marta"), USER)
    await world.handle("SM3", message("mi número", user_id=USER))
    found = await world.repository.open_conversation(CONTACT, message().channel)
    assert found
    assert found.status == "escalated"
    assert sum(isinstance(one.data, ConversationEscalated) for _, one in world.out) == 1


async def test_after_a_hand_back_the_former_name_silences_nobody(world: World) -> None:
    await world.handle("SM1", message("hola", address=USER), USER)
    await world.handle("takeover_1", TakenOver(by="Marta"), USER)
    await world.handle("SM2", message("mi número", user_id=USER))
    assert world.said == ["re: hola"]
    await world.handle("handback_1", HandedBack(by="Marta"))
    for number, known_as in enumerate((USER, OTHER, USER)):  # one id for each portfolio of ours
        await world.handle(f"SM{number + 3}", message(f"¿y ahora {number}?", user_id=known_as))
    assert world.said == ["re: hola", "re: mi número", *(f"re: ¿y ahora {number}?" for number in range(3))]


async def test_what_was_undone_under_one_number_does_not_follow_to_the_next(world: World) -> None:
    other = Contact("+34600111222")
    await world.handle("SM1", message("STOP", address=USER), USER)
    await world.handle("SM2", message("START", user_id=USER))
    await world.handle("SM3", message("hola", user_id=USER, address=other), other)
    assert world.said[-1] == "re: hola"


async def test_an_id_that_only_the_apology_saw_silences_nobody_again(world: World) -> None:
    await world.handle("SM1", message("STOP", address=USER), USER)
    await world.buried("SM2", message("rota", user_id=USER))
    await world.handle("SM3", message("START"))
    await world.handle("SM4", message("hola", user_id=USER))
    assert world.said[-1] == "re: hola"


async def test_a_hand_back_in_a_chat_is_for_that_chat(world: World) -> None:
    second = "+14155230000"
    await world.handle("SM1", message("uno", channel=second))
    await world.handle("takeover_1", TakenOver(by="Marta"))
    await world.handle("SM2", message("dos"))
    await world.handle("handback_1", HandedBack(by="Marta", channel=second), at=NOW - timedelta(minutes=2))
    found = await world.repository.open_conversation(CONTACT, second)
    assert found
    assert found.status == "active"


async def test_an_id_that_a_joining_bubble_shows_is_learned_before_the_answer(world: World) -> None:
    """What gap repair found has none."""
    await world.handle("SM1", message("hola", address=USER), USER)
    await world.handle("takeover_1", TakenOver(by="Marta"), USER)
    before = list(world.said)
    await world.together(("SM2", message("mi número")), ("SM3", message("¿sigues?", user_id=USER)))
    assert (world.said, await world.repository.linked(USER)) == (before, CONTACT)


async def test_one_hand_back_ends_the_silence_on_every_number_of_ours(world: World) -> None:
    second = "+14155230000"
    await world.handle("SM1", message("uno"))
    await world.handle("takeover_1", TakenOver(by="Marta"))
    await world.handle("SM2", message("dos", channel=second))
    await world.handle("SM3", message("tres"))
    before = list(world.said)
    long_ago = NOW - timedelta(minutes=2)  # no sender is here that would confirm the take-over
    await world.handle("handback_1", HandedBack(by="Marta"), at=long_ago)
    await world.handle("SM4", message("cuatro", channel=second))
    assert "re: cuatro" in world.said[len(before) :]
    found = await world.repository.open_conversation(CONTACT, second)
    assert found
    assert found.status == "active"


@pytest.mark.parametrize("decided", [True, False])
async def test_a_copy_of_a_stop_that_had_its_effect_silences_nobody(world: World, decided: bool) -> None:
    """Gap repair puts copies of an outage behind what was only late."""
    story = [("SM1", message("STOP")), ("SM2", message("START"))] if decided else []
    for one in story:
        await world.handle(*one)
    await world.handle("SM3", message("hola"), behind=[("SM1", message("STOP"))])
    assert ("re: hola" in world.said) is decided


async def test_a_copy_that_comes_while_the_agent_thinks_costs_no_second_question(world: World) -> None:
    """It is billed, and its tools have effects."""
    for one in (("SM1", message("STOP")), ("SM2", message("START"))):
        await world.handle(*one)
    run = run_of(world.record("SM3", message("hola")))
    copy = world.record("SM1", message("STOP"))
    world.agent.meanwhile = lambda: setattr(run, "behind", (copy,))
    await world.run(run)
    assert (world.said[-1], len(world.agent.asked)) == ("re: hola", 1)


async def life(world: World) -> list[tuple[str, Event]]:
    story: list[tuple[str, Event]] = [
        ("call_1", completed(conversation_id="c1", call_summary="un secreto")),
        ("SM1", message("mi clave es 1234", user_id=USER)),
        ("SM2", message("otra cosa")),
    ]
    for event_id, event in story:
        await world.handle(event_id, event)
    return story


async def test_who_is_erased_is_in_no_collection(world: World) -> None:
    await life(world)
    await world.handle("erase_1", EraseRequested(by="luis"))
    left = await world.everything()
    for trace in (CONTACT, ADDRESS, USER, "1234", "secreto", "Ana", "otra cosa"):
        assert trace not in left
    assert isinstance(world.out[-1][1].data, EraseSends)


async def test_a_replay_of_who_was_erased_answers_nothing(world: World) -> None:
    story = await life(world)
    await world.handle("erase_1", EraseRequested(by="luis"))
    said, before = list(world.said), await world.everything()
    for event_id, event in [*story, ("erase_1", EraseRequested(by="luis"))]:
        await world.handle(event_id, event)
    assert (world.said, await world.everything()) == (said, before)


async def test_who_writes_again_is_a_stranger_above_the_fence(world: World) -> None:
    await life(world)
    await world.handle("erase_1", EraseRequested(by="luis"))
    await world.handle("SM9", message("hola otra vez"))
    request = world.out[-2][1].data if isinstance(world.out[-2][1].data, SendRequested) else world.out[-1][1].data
    assert isinstance(request, SendRequested)
    assert request.seq == 5
    assert world.agent.asked[-1].history == ""
    assert world.agent.asked[-1].prior_call == ""


async def test_somebody_unknown_can_be_erased(world: World) -> None:
    await world.handle("erase_1", EraseRequested(by="luis"))
    assert (await world.repository.contact(CONTACT)).seq == 1


class Torn(Exception):
    """The process dies here."""


@pytest.mark.parametrize("step", range(1, 16))
async def test_an_erasure_torn_anywhere_is_finished_by_the_next(tools: Tools, step: int) -> None:
    store = MemoryMongo()
    world = World(store, tools)
    await life(world)
    left = [step]

    async def io() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Torn

    mortal = World(store.seen_by(io), tools)
    try:
        await mortal.handle("erase_1", EraseRequested(by="luis"))
    except Torn:
        await world.handle("erase_1", EraseRequested(by="luis"))
    text = await world.everything()
    assert CONTACT not in text
    assert "1234" not in text
    turns = await store.turns.find({}).to_list(None)
    assert {turn["contact"] for turn in turns} == {ids.erased_id(CONTACT)}
    assert all(turn["done"] for turn in turns)


@pytest.mark.parametrize("step", range(1, 60))
async def test_a_process_that_slept_through_an_erasure_brings_nothing_back(tools: Tools, step: int) -> None:
    store = MemoryMongo()
    world = World(store, tools)
    await world.handle("SM1", message("mi clave es 1234", user_id=USER))
    left = [step]

    async def io() -> None:
        left[0] -= 1
        if left[0] == 0:  # overtaken, at whatever line this is
            await world.handle("SM2", message("otra cosa"))
            await world.handle("erase_1", EraseRequested(by="luis"))

    sleeper = World(store.seen_by(io), tools)
    await sleeper.handle("SM2", message("otra cosa"))
    text = await world.everything()
    if left[0] > 0:  # it was done before
        return
    for trace in (CONTACT, ADDRESS, USER, "1234", "otra cosa"):
        assert trace not in text
    await world.handle("SM9", message("hola otra vez"))
    assert [one.data.seq for _, one in world.out if isinstance(one.data, SendRequested)][-1] == 4  # above the fence
