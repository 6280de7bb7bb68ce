"""The processor's collections on a MongoDB-wire server: one insert decides, the rest can be repeated in any order."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import DuplicateKeyError

from kit.errors import StoreDown
from kit.mongo import INDEXES, Database, Mongo
from kit.settings import MongoSettings
from processor import calling, closing, decisions, drafts
from processor.agent.client import Answer
from processor.conversation import State
from processor.drafts import Draft
from processor.repository import AlreadyDecided, Repository
from schemas.attributes import Envelope
from schemas.documents import TurnDocument
from schemas.events import CallCompleted, CloseRequested, MessageReceived
from tests.memory_mongo import MemoryMongo
from tests.unit.processor.states import CHANNEL, CONTACT, NOW, POLICY, call, completed, contact, message, run

pytestmark = pytest.mark.stack
COLLECTIONS = ("contacts", "conversations", "messages", "calls")


@pytest.fixture(params=["wire", "memory"])
def database(request: pytest.FixtureRequest) -> Any:
    """Both stores behave alike: what worlds in memory show is true of the real one."""
    return request.getfixturevalue("wire_database") if request.param == "wire" else MemoryMongo()


@pytest.fixture
def repository(database: Database) -> Repository:
    return Repository(database)


def simple(seq: int, *events: str, who: str = CONTACT) -> TurnDocument:
    """A turn that says nothing, at this place of the contact's story."""
    work = run(message(), ids=(events[0],))
    state = State(contact(id=who, seq=seq - 1))
    turn = drafts.turn(work, state, Draft("ignored", contact(id=who)))
    return turn.model_copy(update={"events": list(events), "contact": who, "slot": f"{who}#{seq}"})


async def decided(repository: Repository) -> list[TurnDocument]:
    """A short story: a call, two messages with answers, a closing, a message that opens again."""
    story: list[tuple[str, Any, list[str]]] = [
        ("call-1", completed(conversation_id="c1"), []),
        ("SM1", message("hola"), ["Hola Ana."]),
        ("SM2", message("¿y mi cita?"), ["A las 10.", "El martes."]),
        ("close-1", None, []),
        ("SM3", message("otra cosa"), ["Dime."]),
    ]
    turns = []
    for event_id, event, answer in story:
        turn = await one_turn(repository, event_id, event, answer)
        await repository.decide(turn)
        await repository.project(turn)
        turns.append(turn)
    return turns


async def one_turn(repository: Repository, event_id: str, event: Any, answer: list[str]) -> TurnDocument:
    person = await repository.contact(CONTACT)
    state = await repository.state(person, CHANNEL)
    if event is None:
        assert state.conversation
        seen = state.conversation
        event = CloseRequested(conversation_id=seen.id, last_message_at=seen.last_message_at)
    work = run(event, ids=(event_id,))
    if isinstance(event, CallCompleted):
        draft = calling.called(work, state, call(id="call_1"), POLICY)
    elif isinstance(event, CloseRequested):
        draft = closing.closed(work, state, state.conversation, event)
    else:
        envelopes: Sequence[Envelope[MessageReceived]] = work.events  # type: ignore[assignment]
        received = decisions.received(work, state, envelopes, POLICY)
        draft = decisions.answered(work, state, received, Answer(answer), POLICY)
    return drafts.turn(work, state, draft)


async def stored(database: Database) -> dict[str, list[dict[str, Any]]]:
    return {name: await database[name].find({}).sort("_id", 1).to_list(None) for name in COLLECTIONS}


async def test_a_second_decision_for_one_of_its_events_is_refused(repository: Repository) -> None:
    await repository.decide(simple(1, "e1", "e2", "e3"))
    for event in ("e1", "e2", "e3"):
        with pytest.raises(AlreadyDecided):
            await repository.decide(simple(2, "fresh", event).model_copy(update={"id": f"t-{event}", "rev": event}))
    (turn,) = await repository.turns_with(["e2", "fresh"])
    assert turn.events == ["e1", "e2", "e3"]


async def test_a_second_turn_at_one_place_is_refused(repository: Repository) -> None:
    await repository.decide(simple(1, "e1"))
    with pytest.raises(AlreadyDecided):
        await repository.decide(simple(1, "e2"))
    await repository.decide(simple(2, "e2"))
    await repository.decide(simple(1, "e3", who="+34600111222"))


async def test_of_many_who_decide_at_once_one_wins(repository: Repository) -> None:
    results = await asyncio.gather(*(repository.decide(simple(1, f"e{n}")) for n in range(20)), return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, AlreadyDecided) for result in results) == 19


async def test_turns_come_in_the_order_of_their_decisions(repository: Repository) -> None:
    for seq in (1, 2, 3):
        await repository.decide(simple(seq, f"e{seq}"))
    assert [turn.seq for turn in await repository.turns_with(["e3", "e1", "e2", "unknown"])] == [1, 2, 3]
    found = await repository.turn_at(f"{CONTACT}#2")
    assert found
    assert found.events == ["e2"]
    assert await repository.turn_at(f"{CONTACT}#4") is None


async def test_a_turn_comes_back_as_it_was_decided(repository: Repository) -> None:
    for turn in await decided(repository):
        assert await repository.turns_with(turn.events) == [turn]


@pytest.mark.parametrize("seed", range(4))
async def test_projecting_again_in_any_order_changes_nothing(
    repository: Repository, database: Database, seed: int
) -> None:
    turns = await decided(repository)
    expected = await stored(database)
    again = turns * 2
    random.Random(seed).shuffle(again)
    for turn in again:
        await repository.project(turn)
    assert await stored(database) == expected


@pytest.mark.parametrize("seed", range(4))
async def test_turns_projected_first_in_any_order_end_alike(
    repository: Repository, database: Database, seed: int
) -> None:
    """A newer turn may be stored before an older one is repeated: a document never goes back."""
    turns = (await decided(repository))[:4]
    for name in COLLECTIONS:
        await database[name].delete_many({})
    for turn in turns:
        await repository.project(turn)
    expected = await stored(database)
    for name in COLLECTIONS:
        await database[name].delete_many({})
    again = [*turns, *turns]
    random.Random(seed).shuffle(again)
    for turn in again:
        await repository.project(turn)
    assert await stored(database) == expected


async def test_a_lost_conversation_whose_place_is_taken_does_not_spin_for_ever(
    repository: Repository, database: Database
) -> None:
    """Not reached while every document is there; after one was lost or restored, the lane would never move again."""
    turns = await decided(repository)
    await database.conversations.delete_one({"_id": (turns[0].conversation_after or {})["_id"]})
    async with asyncio.timeout(20):
        await repository.project(turns[0])


async def test_projecting_at_once_ends_as_one_after_the_other(repository: Repository, database: Database) -> None:
    turns = await decided(repository)
    expected = await stored(database)
    for name in ("contacts", "calls", "messages"):
        await database[name].delete_many({})
    await asyncio.gather(*(repository.project(turn) for turn in turns * 3))
    assert await stored(database) == expected


async def test_a_zombie_cannot_write_a_document_back(repository: Repository, database: Database) -> None:
    turns = await decided(repository)
    await repository.project(turns[0])
    person = await repository.contact(CONTACT)
    assert person.seq == turns[-1].seq
    reopened = await repository.open_conversation(CONTACT, CHANNEL)
    assert reopened
    assert reopened.source == "inbound"


async def test_closing_frees_the_place_of_the_open_conversation(repository: Repository, database: Database) -> None:
    turns = await decided(repository)
    documents = await database.conversations.find({}).to_list(None)
    assert sorted(one["status"] for one in documents) == ["active", "closed"]
    assert [one["open_key"] for one in documents if "open_key" in one] == [f"{CONTACT}|{CHANNEL}"]
    assert turns[3].outcome == "closed"


async def test_the_story_counts_every_message_once(repository: Repository) -> None:
    turns = await decided(repository)
    first = await repository.conversation((turns[0].conversation_after or {})["_id"])
    assert first
    assert (first.message_count, first.status) == (6, "closed")
    assert [line.text for line in first.lines][1:] == ["hola", "Hola Ana.", "¿y mi cita?", "A las 10.", "El martes."]


async def test_done_is_remembered_and_marking_it_again_is_harmless(repository: Repository) -> None:
    turn = simple(1, "e1")
    await repository.decide(turn)
    for _ in range(2):
        await repository.mark_done(turn)
        (found,) = await repository.turns_with(["e1"])
        assert (found.done, found.rev) == (True, f"{turn.id}#done")


async def test_nothing_is_found_where_nothing_is(repository: Repository) -> None:
    assert (await repository.contact("nobody")).seq == 0
    assert await repository.conversation("nothing") is None
    assert await repository.call(None) is None
    assert await repository.call("nothing") is None
    assert await repository.turns_with([]) == []


async def test_indexes_made_twice_are_harmless(wire_database: Database, mongo_uri: str) -> None:
    mongo = Mongo(MongoSettings(mongodb_uri=mongo_uri, mongodb_database=wire_database.name, _env_file=None))
    await mongo.start()
    await mongo.start()
    for name, indexes in INDEXES.items():
        made = {next(iter(one["key"])): one for one in await wire_database[name].list_indexes().to_list(None)}
        assert set(made) == {"_id", *(index.field for index in indexes)}
        for index in indexes:
            assert bool(made[index.field].get("unique")) is index.unique
    await mongo.stop()


async def test_times_come_back_to_the_millisecond(database: Database) -> None:
    at = NOW.replace(microsecond=123_999)
    row = {"_id": "a", "rev": "a", "at": at, "lines": [{"at": at}], "times": [at]}
    await database.conversations.insert_one(row)
    await database.conversations.replace_one({"rev": "a"}, {**row, "rev": "b"})
    found = await database.conversations.find_one({"_id": "a"})
    stored = at.replace(microsecond=123_000)
    assert found == {"_id": "a", "rev": "b", "at": stored, "lines": [{"at": stored}], "times": [stored]}


async def test_only_one_conversation_may_be_open(database: Database) -> None:
    await database.conversations.insert_one({"_id": "a", "rev": "a", "open_key": "k"})
    with pytest.raises(DuplicateKeyError):
        await database.conversations.insert_one({"_id": "b", "rev": "b", "open_key": "k"})
    await database.conversations.insert_one({"_id": "c", "rev": "c"})
    await database.conversations.insert_one({"_id": "d", "rev": "d"})


async def test_a_store_that_is_away_says_so() -> None:
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        "mongodb://127.0.0.1:9", serverSelectionTimeoutMS=30
    )
    away = Repository(client["hilo"])
    acts = (away.contact(CONTACT), away.decide(simple(1, "e1")), away.mark_done(simple(1, "e1")))
    for act in acts:
        with pytest.raises(StoreDown):
            await act
    client.close()
