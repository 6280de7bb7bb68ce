"""The lane's handler on a MongoDB-wire server: whatever dies in between, a turn's effects happen once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import pytest

from kit import ids
from kit.errors import BrokerDown, StoreDown
from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery
from kit.mongo import Database
from kit.service import Tools
from processor.agent.client import AgentUnavailableError, Answer, Question
from processor.repository import Repository
from processor.turns import TurnHandler
from schemas.attributes import Envelope
from schemas.documents import TurnDocument
from schemas.events import CloseRequested, Event, Location, Media, SendRequested
from schemas.topics import CONTACT_LOG
from tests.conftest import FakeClock
from tests.contracts.runs import run_of
from tests.samples.examples import EXAMPLES
from tests.unit.processor.states import CONTACT, NOW, completed, message
from tests.unit.processor.turning import handler

pytestmark = pytest.mark.stack
T = TypeVar("T")


class Killed(Exception):
    """The process is gone at this line."""


class Fate:
    """Counts the steps after the decision, two for each: just before its effect and just after. Kills at one."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            raise Killed

    async def around(self, act: Callable[[], Awaitable[T]]) -> T:
        self.step()
        result = await act()
        self.step()
        return result


class MortalRepository(Repository):
    def __init__(self, database: Database, fate: Fate) -> None:
        super().__init__(database)
        self.fate = fate

    async def decide(self, turn: TurnDocument) -> None:
        await super().decide(turn)
        self.fate.step()

    async def mark_done(self, turn: TurnDocument) -> None:
        await self.fate.around(lambda: super(MortalRepository, self).mark_done(turn))

    async def _advance(self, collection: Any, after: Mapping[str, Any], *, new: bool) -> None:
        await self.fate.around(lambda: super(MortalRepository, self)._advance(collection, after, new=new))

    async def _insert_missing(self, collection: Any, documents: Sequence[Mapping[str, Any]]) -> None:
        await self.fate.around(lambda: super(MortalRepository, self)._insert_missing(collection, documents))


class Box:
    """Stands for the outlet: what came out of it, in order."""

    def __init__(self) -> None:
        self.fate = Fate()
        self.refusals = 0
        self.sent: list[tuple[str, Envelope[Event]]] = []

    async def publish(self, topic: str, envelope: Envelope[Event], **_: Any) -> None:
        self.fate.step()
        if self.refusals:
            self.refusals -= 1
            raise BrokerDown("away")
        self.sent.append((topic, envelope))
        self.fate.step()

    @property
    def ids(self) -> list[str]:
        return [envelope.id for _, envelope in self.sent]

    @property
    def requests(self) -> list[SendRequested]:
        """What the sender would show: each request once, in the order of its first arrival."""
        once = {envelope.id: envelope.data for _, envelope in self.sent}
        return [data for data in once.values() if isinstance(data, SendRequested)]

    @property
    def texts(self) -> list[str]:
        return [part.text for request in self.requests for part in request.parts]

    def assert_repeats_are_alike(self) -> None:
        for topic, envelope in self.sent:
            same = [(where, other) for where, other in self.sent if other.id == envelope.id]
            assert all((where, other) == (topic, envelope) for where, other in same)


class Asked:
    """An agent that answers in two bubbles, and remembers."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.down = False
        self.together: asyncio.Barrier | None = None
        """So many are asked before the first is answered; whoever asks again later is not held."""

    async def ask(self, question: Question) -> Answer:
        self.questions.append(question)
        if self.together and len(self.questions) <= self.together.parties:
            await self.together.wait()
        if self.down:
            raise AgentUnavailableError(3, "timeout in sent")
        return Answer([f"Sobre «{question.text}»:", "dime más."], "conv_el_1")

    def drop(self, conversation: str) -> None:
        """It has nothing to forget."""


class Process:
    def __init__(self, handler: TurnHandler) -> None:
        self._handler = handler

    async def handle(self, records: list[Delivery]) -> None:
        """One run, as its lane would give it."""
        await self._handler.handle(run_of(*records))

    async def buried(self, record: Delivery | None) -> None:
        await self._handler.buried(Position("contact.log", 0, 1), ValueError("x"), record)


class World:
    """One store, one broker, one agent; processes come and go."""

    def __init__(self, database: Database, tools: Tools) -> None:
        self.database = database
        self.tools = tools
        self.box = Box()
        self.agent = Asked()
        self.repository = Repository(database)
        self._offset = 0

    def process(self, fate: Fate | None = None) -> "Process":
        self.box.fate = fate or Fate()
        repository = MortalRepository(self.database, self.box.fate)
        return Process(handler(repository, self.agent, self.box, self.tools))

    def record(self, event_id: str, event: Event) -> Delivery:
        self._offset += 1
        envelope = Envelope(event_id, "hilo/test", NOW, CONTACT, event)
        return Delivery(envelope, Position("contact.log", 0, self._offset))

    async def turns(self) -> list[TurnDocument]:
        found = await self.database.turns.find({}).sort("seq", 1).to_list(None)
        return [TurnDocument.from_mongo(one) for one in found]

    async def counts(self) -> list[int]:
        found = await self.database.conversations.find({}).sort("started_at", 1).to_list(None)
        return [one["message_count"] for one in found]


@pytest.fixture
def world(database: Database, tools: Tools) -> World:
    return World(database, tools)


TURN = ids.turn_id(CONTACT, "e1")
SCENARIOS: dict[str, tuple[Event, list[str], int]] = {
    "message": (message(), [f"{TURN}-send", f"{TURN}-conversation-started"], 3),
    "call": (completed(), [f"{TURN}-send", f"{TURN}-conversation-started"], 1),
}
STEPS = {"message": 13, "call": 15}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_no_step_between_decision_and_done_is_left_out_below(world: World, name: str) -> None:
    fate = Fate()
    await world.process(fate).handle([world.record("e1", SCENARIOS[name][0])])
    assert fate.steps == STEPS[name]
    assert world.box.ids == SCENARIOS[name][1]


@pytest.mark.parametrize(("name", "step"), [(name, n + 1) for name, count in STEPS.items() for n in range(count)])
async def test_killed_at_any_step_and_started_again(world: World, name: str, step: int) -> None:
    event, published, count = SCENARIOS[name]
    record = world.record("e1", event)
    with pytest.raises(Killed):
        await world.process(Fate(step)).handle([record])
    await world.process().handle([record])
    assert list(dict.fromkeys(world.box.ids)) == published
    world.box.assert_repeats_are_alike()
    assert await world.counts() == [count]
    assert [(turn.seq, turn.done) for turn in await world.turns()] == [(1, True)]
    assert len(world.agent.questions) == (name == "message")
    assert await world.database.messages.count_documents({}) == count


@pytest.mark.parametrize("first", range(1, STEPS["message"] + 1))
async def test_killed_again_while_repeating(world: World, first: int) -> None:
    record = world.record("e1", message())
    for step in (first, 1, 3, 5):
        try:
            await world.process(Fate(step)).handle([record])
        except Killed:
            continue
    await world.process().handle([record])
    assert list(dict.fromkeys(world.box.ids)) == SCENARIOS["message"][1]
    world.box.assert_repeats_are_alike()
    assert await world.counts() == [3]
    assert len(world.agent.questions) == 1


@pytest.mark.parametrize("step", range(1, STEPS["message"] + 1))
async def test_the_next_record_finishes_first_what_a_dead_process_decided(world: World, step: int) -> None:
    with pytest.raises(Killed):
        await world.process(Fate(step)).handle([world.record("e1", message("uno"))])
    await world.process().handle([world.record("e1", message("uno"))])
    await world.process().handle([world.record("e2", message("dos"))])
    assert world.box.texts == ["Sobre «uno»:", "dime más.", "Sobre «dos»:", "dime más."]
    assert await world.counts() == [6]
    assert [request.seq for request in world.box.requests] == [1, 2]


async def test_another_record_finds_an_unfinished_turn_in_its_way(world: World) -> None:
    """The dead process's record has not come back yet when the next one is taken."""
    with pytest.raises(Killed):
        await world.process(Fate(1)).handle([world.record("e1", message("uno"))])
    await world.process().handle([world.record("e2", message("dos"))])
    assert world.box.texts == ["Sobre «uno»:", "dime más.", "Sobre «dos»:", "dime más."]
    assert await world.counts() == [6]
    assert [turn.done for turn in await world.turns()] == [True, True]


async def test_an_unfinished_turn_costs_one_question_in_vain_also_if_it_cannot_be_finished_at_once(
    world: World,
) -> None:
    with pytest.raises(Killed):
        await world.process(Fate(1)).handle([world.record("e1", message("uno"))])
    process, record = world.process(Fate(1)), world.record("e2", message("dos"))
    with pytest.raises(Killed):
        await process.handle([record])
    await process.handle([record])
    assert [question.text for question in world.agent.questions] == ["uno", "dos", "dos"]
    assert world.box.texts == ["Sobre «uno»:", "dime más.", "Sobre «dos»:", "dime más."]


async def test_the_same_record_twice_is_answered_once(world: World) -> None:
    record = world.record("e1", message())
    await world.process().handle([record])
    await world.process().handle([world.record("e1", message())])
    assert world.box.ids == SCENARIOS["message"][1]
    assert len(world.agent.questions) == 1
    assert await world.counts() == [3]


async def test_a_copy_inside_a_run_is_settled_with_the_first(world: World) -> None:
    await world.process().handle([world.record("e1", message("uno")), world.record("e1", message("uno"))])
    assert [question.text for question in world.agent.questions] == ["uno"]
    assert await world.counts() == [3]


async def test_a_run_is_one_thought_with_one_answer(world: World) -> None:
    records = [world.record(f"e{n}", message(text)) for n, text in enumerate(("hola", "mi cita", "¿cuándo es?"))]
    await world.process().handle(records)
    assert [question.text for question in world.agent.questions] == ["hola\nmi cita\n¿cuándo es?"]
    assert [turn.events for turn in await world.turns()] == [["e0", "e1", "e2"]]
    assert await world.counts() == [5]


async def test_of_a_run_that_is_half_decided_only_the_rest_is_answered(world: World) -> None:
    first, second = world.record("e1", message("uno")), world.record("e2", message("dos"))
    await world.process().handle([first])
    await world.process().handle([first, second])
    assert [question.text for question in world.agent.questions] == ["uno", "dos"]
    assert await world.counts() == [6]


@pytest.mark.parametrize("handlers", [2, 5])
async def test_several_processes_on_one_record_decide_once(world: World, handlers: int) -> None:
    world.agent.together = asyncio.Barrier(handlers)
    record = world.record("e1", message())
    await asyncio.gather(*(world.process().handle([record]) for _ in range(handlers)))
    assert set(world.box.ids) == set(SCENARIOS["message"][1])
    world.box.assert_repeats_are_alike()
    assert [turn.seq for turn in await world.turns()] == [1]
    assert await world.counts() == [3]


async def test_two_processes_on_two_records_of_one_contact_take_two_places(world: World) -> None:
    """The loser of the place starts again, with what the winner has stored."""
    world.agent.together = asyncio.Barrier(2)
    records = [world.record("e1", message("uno")), world.record("e2", message("dos"))]
    await asyncio.gather(*(world.process().handle([record]) for record in records))
    assert [turn.seq for turn in await world.turns()] == [1, 2]
    assert await world.counts() == [6]
    assert sorted(request.seq for request in world.box.requests) == [1, 2]


async def test_old_records_after_newer_ones_change_nothing(world: World) -> None:
    records = [world.record("c1", completed()), *(world.record(f"e{n}", message(str(n))) for n in range(3))]
    for record in records:
        await world.process().handle([record])
    before = (list(world.box.ids), await world.counts(), await world.repository.contact(CONTACT))
    for record in records:
        await world.process().handle([record])
    await world.process().handle(list(reversed(records[1:])))
    assert (world.box.ids, await world.counts(), await world.repository.contact(CONTACT)) == before


async def test_an_old_unfinished_turn_after_newer_ones_publishes_what_it_decided(world: World) -> None:
    """Its record comes back late: what it says is told again, with the same ids, and nothing goes backwards."""
    for n in range(3):
        await world.process().handle([world.record(f"e{n}", message(str(n)))])
    first = (await world.turns())[0]
    await world.database.turns.update_one({"_id": first.id}, {"$set": {"done": False, "rev": f"{first.id}#decided"}})
    before = await world.repository.contact(CONTACT)
    await world.process().handle([world.record("e0", message("0"))])
    assert world.box.ids[-2:] == world.box.ids[:2]
    world.box.assert_repeats_are_alike()
    assert await world.repository.contact(CONTACT) == before
    assert await world.counts() == [9]


@pytest.mark.parametrize("refusals", [1, 2, 3])
async def test_a_broker_that_is_away_holds_and_then_nothing_is_missing(world: World, refusals: int) -> None:
    world.box.refusals = refusals
    record = world.record("e1", message())
    for _ in range(refusals):
        with pytest.raises(BrokerDown):
            await world.process().handle([record])
        assert not [turn for turn in await world.turns() if turn.done]
    await world.process().handle([record])
    assert world.box.ids == SCENARIOS["message"][1]
    assert len(world.agent.questions) == 1


async def test_the_agents_end_is_the_apology(world: World) -> None:
    world.agent.down = True
    await world.process().handle([world.record("e1", message())])
    assert world.box.texts == ["Disculpa, tuve un problema procesando tu mensaje. ¿Puedes intentar de nuevo?"]
    assert world.box.ids == [f"{TURN}-send", f"{TURN}-conversation-started", f"{TURN}-agent-unavailable"]
    assert (await world.repository.contact(CONTACT)).apologies == 1


async def test_an_answer_after_a_call_knows_the_call(world: World) -> None:
    await world.process().handle([world.record("c1", completed(agent_id="agent_call", conversation_id="conv_call"))])
    await world.process().handle([world.record("e1", message())])
    (question,) = world.agent.questions
    assert (question.agent_id, question.variables["customer_name"]) == ("agent_call", "Ana")
    assert "Summary: «tu cita»" in question.prior_call
    assert "you: «¡Hola Ana! 👋 Hace un momento" in question.history
    assert await world.counts() == [4]


async def test_without_a_call_the_default_agent_answers(world: World) -> None:
    await world.process().handle([world.record("e1", message())])
    (question,) = world.agent.questions
    assert (question.agent_id, question.prior_call, question.history) == ("agent_default", "", "")
    assert (question.variables["channel"], question.variables["has_prior_call"]) == ("whatsapp", "false")


async def test_a_close_request_closes_once_and_the_next_message_opens_anew(world: World, clock: FakeClock) -> None:
    await world.process().handle([world.record("e1", message())])
    (before,) = await world.database.conversations.find({}).to_list(None)
    request = CloseRequested(conversation_id=before["_id"], last_message_at=before["last_message_at"])
    clock.advance(86_400)
    for _ in range(2):
        await world.process().handle([world.record("close_1", request)])
    await world.process().handle([world.record("close_2", request)])
    clock.advance(60)
    await world.process().handle([world.record("e2", message(received_at=clock.now()))])
    assert [turn.outcome for turn in await world.turns()] == ["replied", "closed", "ignored", "replied"]
    assert sum(name.endswith("conversation-closed") for name in world.box.ids) == 1
    statuses = [
        one["status"] for one in await world.database.conversations.find({}).sort("started_at", 1).to_list(None)
    ]
    assert statuses == ["closed", "active"]


@pytest.mark.parametrize("event", CONTACT_LOG.events, ids=lambda event: event.__name__)
async def test_every_record_of_the_log_ends_in_exactly_one_turn(world: World, event: type[Event]) -> None:
    record = world.record("e1", EXAMPLES[event.type_name()])
    for _ in range(2):
        await world.process().handle([record])
    (turn,) = await world.turns()
    assert (turn.events, turn.kind, turn.done) == (["e1"], event.type_name(), True)
    assert turn.positions == ["contact.log-0-1"]


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(
            message("factura.pdf", kind="document", media=[Media(url="u", content_type="application/pdf")]),
            id="document",
        ),
        pytest.param(message("", kind="audio", media=[Media(url="u", content_type="audio/ogg")]), id="voice note"),
        pytest.param(message("", kind="image", media=[Media(url="u", content_type="image/jpeg")]), id="photo"),
        pytest.param(message("", kind="location", location=Location(latitude=1, longitude=2)), id="location"),
    ],
)
async def test_what_is_no_text_is_not_handed_over_as_the_clients_words(world: World, event: Event) -> None:
    await world.process().handle([world.record("e1", event)])
    assert all(question.text not in {"", "factura.pdf"} for question in world.agent.questions)
    assert world.box.texts


async def test_a_buried_message_is_apologised_for_once(world: World) -> None:
    record = world.record("e1", message())
    for _ in range(2):
        await world.process().buried(record)
    assert world.box.texts == ["Disculpa, tuve un problema procesando tu mensaje. ¿Puedes intentar de nuevo?"]
    (turn,) = await world.turns()
    assert turn.outcome == "buried"
    assert turn.outbound[-1].data["window_until"], "it opened WhatsApp's window: else nobody would see the apology"
    assert sum(name.endswith("agent-unavailable") for name in world.box.ids) == 1


async def test_the_apology_for_a_buried_message_finishes_first_what_is_in_its_way(world: World) -> None:
    with pytest.raises(Killed):
        await world.process(Fate(1)).handle([world.record("e1", message("uno"))])
    await world.process().buried(world.record("e2", message("dos")))
    assert [(turn.outcome, turn.done) for turn in await world.turns()] == [("replied", True), ("buried", True)]


async def test_burying_anything_else_decides_nothing(world: World) -> None:
    await world.process().buried(world.record("e1", completed()))
    await world.process().buried(None)
    assert await world.turns() == []


async def test_a_buried_message_waits_for_a_broker_that_is_away(world: World) -> None:
    world.box.refusals = 1
    record = world.record("e1", message())
    with pytest.raises(BrokerDown):
        await world.process().buried(record)
    await world.process().buried(record)
    assert world.box.texts


@pytest.mark.expects_errors
async def test_an_apology_that_fails_does_not_hold_the_burial(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("x")

    monkeypatch.setattr("processor.turns.decisions.buried", broken)
    await world.process().buried(world.record("e1", message()))
    assert await world.turns() == []


async def test_a_message_after_closing_opens_a_conversation_that_knows_the_former(
    world: World, clock: FakeClock
) -> None:
    await world.process().handle([world.record("e1", message("soy alérgica a la penicilina"))])
    (before,) = await world.database.conversations.find({}).to_list(None)
    request = CloseRequested(conversation_id=before["_id"], last_message_at=before["last_message_at"])
    await world.process().handle([world.record("close_1", request)])
    clock.advance(90_000)
    await world.process().handle([world.record("e2", message("¿me recuerdas?", received_at=clock.now()))])
    former, now = await world.database.conversations.find({}).sort("started_at", 1).to_list(None)
    assert (former["status"], now["former"], now["message_count"]) == ("closed", former["_id"], 3)
    assert "client: «soy alérgica a la penicilina»" in world.agent.questions[1].history


async def test_two_calls_in_a_row_are_greeted_for_each_and_a_third_telling_is_not(world: World) -> None:
    first, second = (
        completed(conversation_id="c1", call_summary="uno"),
        completed(conversation_id="c2", call_summary="dos"),
    )
    for name, event in (("call_1", first), ("call_2", second), ("call_1", first), ("call_2", second)):
        await world.process().handle([world.record(name, event)])
    assert [("uno" in text, "dos" in text) for text in world.box.texts] == [(True, False), (False, True)]
    assert await world.counts() == [2]


class Forgetful(Repository):
    """Its store goes away at the decision, once: before it, or before its answer."""

    decided_first = False
    away = True

    async def decide(self, turn: TurnDocument) -> None:
        away, self.away = self.away, False
        if self.decided_first or not away:
            await super().decide(turn)
        if away:
            raise StoreDown("away")


@pytest.mark.parametrize("decided_first", [False, True])
async def test_the_agent_forgets_an_answer_that_nobody_knows_to_be_decided(world: World, decided_first: bool) -> None:
    repository = Forgetful(world.database)
    repository.decided_first = decided_first
    forgotten: list[str] = []
    turns = handler(repository, world.agent, world.box, world.tools, forget=forgotten.append)
    run = run_of(world.record("SM1", message()))
    with pytest.raises(StoreDown):
        await turns.handle(run)
    assert forgotten == [question.conversation for question in world.agent.questions]
    await turns.handle(run)
    assert len(world.box.requests) == 1
    assert len(world.agent.questions) == 2 - decided_first
