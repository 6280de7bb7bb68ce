"""What `hilo export` gives and `hilo erase` waits for, on a MongoDB-wire server, with the real decisions and fences."""

import json
from typing import Any, cast

import pytest

from kit import ids
from kit.mongo import INDEXES, Database
from kit.service import Tools
from ops.export import exported
from ops.forgetting import pending, receipt
from ops.person import Person, names, person
from ops.story import find
from schemas.events import EraseRequested, EraseSends, MessageReceived
from schemas.topics import TOPICS
from sender.effects import EffectLedger
from sender.fences import Fences
from tests.unit.ops.stories import SID, World
from tests.unit.processor.states import ADDRESS, CONTACT, NOW, completed, message

pytestmark = pytest.mark.stack
USER = "MX.9f3c2ab41d"
TRACES = (CONTACT, ADDRESS, CONTACT[1:], USER, "1234", "secreto", "Ana", "otra cosa")


@pytest.fixture
def world(wire_database: Database, tools: Tools) -> World:
    return World(wire_database, tools)


async def life(world: World) -> list[tuple[str, Any]]:
    story: list[tuple[str, Any]] = [
        ("call_1", completed(conversation_id="c1", call_summary="un secreto")),
        ("SM1", message("mi clave es 1234", user_id=USER)),
        ("SM2", message("otra cosa")),
    ]
    for one in story:
        await world.handle(one)
    for number, request in enumerate(world.requests):
        more = {"sid": SID} if number == 0 else {"state": "withheld"}
        await world.posted(request.parts[0].send_id, seq=request.seq, content={"Body": "1234"}, **more)
    return story


async def whole(world: World, name: str = CONTACT) -> Person:
    found = await person(world.reads, name)
    assert found
    return found


def fences(world: World, tools: Tools) -> Fences:
    return Fences(world.database, EffectLedger(world.database, tools.clock, 15), cast("Any", None))


async def everything(world: World) -> str:
    assert set(await world.database.list_collection_names()) <= set(INDEXES), "a collection that nobody looks at"
    return repr([await world.database[name].find({}).to_list(None) for name in INDEXES])


async def test_an_export_has_all_that_is_known_and_nothing_of_how_it_is_kept(world: World) -> None:
    story = await life(world)
    document = exported(await whole(world))
    assert json.loads(json.dumps(document)) == document
    assert document["contact"]["user_id"] == USER
    assert [one["summary"] for one in document["calls"]] == ["un secreto"]
    said = [one["content"] for one in document["messages"]]
    assert [one for one in said if not one.startswith(("re:", "¡Hola"))] == ["mi clave es 1234", "otra cosa"]
    assert [one["events"] for one in document["turns"]] == [[name] for name, _ in story]
    assert [one["outcome"] for one in document["turns"]] == ["greeted", "replied", "replied"]
    assert len(document["sends"]) == 3
    keys = {key for kind in document.values() for one in (kind if isinstance(kind, list) else [kind]) for key in one}
    assert keys & {"rev", "slot", "open_key", "trace", "lease_until", "contact_after"} == set()


async def test_a_turn_that_is_decided_and_not_stored_yet_is_exported(world: World) -> None:
    await life(world)
    await world.database.contacts.update_one({"_id": CONTACT}, {"$set": {"seq": 2}})
    assert [turn.seq for turn in (await whole(world)).turns] == [1, 2, 3]


async def test_a_long_story_is_exported_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await life(world)
    for size in (1, 2, 3, 4):
        monkeypatch.setattr("ops.person.SLICE", size)
        assert [turn.seq for turn in (await whole(world)).turns] == [1, 2, 3]


async def test_an_erasure_is_done_when_both_stores_hold_only_stripped_rows(world: World, tools: Tools) -> None:
    await life(world)
    assert "has not decided" in await pending(world.reads, CONTACT, "erase_1")
    before = await whole(world)
    await world.handle(("erase_1", EraseRequested(by="luis")))
    assert "the sender has not come" in await pending(world.reads, CONTACT, "erase_1")
    event = world.out[-1][1].data
    assert isinstance(event, EraseSends)
    await fences(world, tools).erased(event)
    assert await pending(world.reads, CONTACT, "erase_1") == ""
    left = await everything(world)
    assert [one for one in TRACES if one in left] == []
    assert await person(world.reads, CONTACT) is None
    told = receipt(CONTACT, before, "erase_1", NOW)
    assert told["deleted"] == {"contacts": 1, "conversations": 1, "messages": 5, "calls": 1}
    assert told["stripped"] == {"turns": 3, "sends": 3}
    assert [one["topic"] for one in told["topics"]] == [topic.name for topic in TOPICS]
    assert (
        next(one["gone_by"] for one in told["topics"] if one["topic"] == "contact.log") == "2026-12-23T12:00:00+00:00"
    )


@pytest.mark.parametrize("torn", ["turn", "send"])
async def test_one_row_that_is_left_is_pending(world: World, tools: Tools, torn: str) -> None:
    await life(world)
    await world.handle(("erase_1", EraseRequested(by="luis")))
    event = world.out[-1][1].data
    assert isinstance(event, EraseSends)
    await fences(world, tools).erased(event)
    if torn == "turn":
        query = {"events": "erase_1"}
        await world.database.turns.update_one(query, {"$set": {"contact": CONTACT}})
        assert "not stripped" in await pending(world.reads, CONTACT, "erase_1")
    else:
        await world.posted("turn_x-1", seq=1)
        assert "1 rows left" in await pending(world.reads, CONTACT, "erase_1")


async def test_who_writes_again_meanwhile_is_not_pending(world: World, tools: Tools) -> None:
    await life(world)
    await world.handle(("erase_1", EraseRequested(by="luis")))
    event = world.out[-1][1].data
    assert isinstance(event, EraseSends)
    await fences(world, tools).erased(event)
    await world.handle(("SM9", message("hola otra vez")))
    request = world.requests[-1]
    await world.posted(request.parts[0].send_id, seq=request.seq)
    assert await pending(world.reads, CONTACT, "erase_1") == ""


async def test_a_replay_of_the_erased_answers_nothing_and_can_be_explained(world: World, tools: Tools) -> None:
    story = await life(world)
    await world.handle(("erase_1", EraseRequested(by="luis")))
    event = world.out[-1][1].data
    assert isinstance(event, EraseSends)
    await fences(world, tools).erased(event)
    before, published = await everything(world), len(world.out)
    for one in story:
        await world.handle(one)
    assert (await everything(world), len(world.out)) == (before, published)
    found = await find(world.reads, "SM1")
    assert found
    assert found.turn.contact == ids.erased_id(CONTACT)


async def test_a_name_without_a_story_of_its_own_is_none(world: World) -> None:
    await life(world)
    assert await names(world.reads, cast("Any", USER)) == [CONTACT]


async def test_a_person_is_found_under_every_name(world: World) -> None:
    await world.handle(("SM0", _hidden("antes")), contact=cast("Any", USER))
    assert await names(world.reads, cast("Any", USER)) == [USER]
    await life(world)
    for asked in (CONTACT, USER):
        assert await names(world.reads, cast("Any", asked)) == [CONTACT, USER]
    assert (await whole(world, USER)).counts["messages"] == 2
    assert await names(world.reads, cast("Any", "+34600000000")) == ["+34600000000"]


def _hidden(text: str) -> MessageReceived:
    return message(text, address=USER, user_id=USER, profile_name=None)
