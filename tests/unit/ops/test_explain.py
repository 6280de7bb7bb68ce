"""A story is found by any id of it, told with times and causes, and shows no phone number."""

import io
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kit.kafka.dead_letters import Position
from kit.kafka.reading import Stored
from kit.mongo import INDEXES
from kit.reads import Reads
from kit.service import Tools
from ops.causes import OUTCOMES, REASONS, STATES
from ops.explain import masking_of
from ops.explaining import told
from ops.story import Story, find
from ops.trail import Status, Trail
from ops.tree import tree
from schemas.attributes import WireRecord
from schemas.events import EraseRequested, TakenOver
from sender import effects
from tests.memory_mongo import MemoryMongo
from tests.unit.ops.stories import SID, World, sid
from tests.unit.processor.states import ADDRESS, CONTACT, NOW, completed, message

ROOT = Path(__file__).parents[3]


@pytest.fixture
def world(tools: Tools) -> World:
    return World(MemoryMongo(), tools)


async def found(world: World, name: str) -> Story:
    story = await find(world.reads, name)
    assert story, name
    return story


def text_of(document: dict[str, Any]) -> str:
    out = io.StringIO()
    Console(file=out, width=300, highlight=False).print(tree(document))
    return out.getvalue()


async def spoken(world: World) -> str:
    """Two bubbles, one answer, posted; its turn."""
    await world.handle(("SM_in_1", message("hola")), ("SM_in_2", message("¿mi cita?", message_sid="SM_in_2")))
    turn = world.requests[0].turn
    await world.posted(f"{turn}-1", sid=SID, status="read")
    return turn


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("{turn}", "turn"),
        ("SM_in_1", "event"),
        ("SM_in_2", "event"),
        ("{turn}-1", "send"),
        (SID, "send"),
        ("{turn}-send", "of a turn"),
        ("{turn}-conversation-started", "of a turn"),
        (f"{SID}-delivered", "of a send"),
        ("{turn}-1-failed", "of a turn"),
    ],
)
async def test_a_story_is_found_by_any_id_of_it(world: World, name: str, kind: str) -> None:
    turn = await spoken(world)
    story = await found(world, name.format(turn=turn))
    assert (story.turn.id, story.asked_is, list(story.sends)) == (turn, kind, [f"{turn}-1"])


@pytest.mark.parametrize(
    "name", ["nope", "", "turn_" + "0" * 24, "turn_" + "0" * 24 + "-1", sid(9), "a-1-b", "{'$gt': 1}"]
)
async def test_what_nobody_stored_is_found_nowhere(world: World, name: str) -> None:
    await spoken(world)
    assert await find(world.reads, name) is None


class Watched:
    """A database that notes by which fields it is asked."""

    def __init__(self, database: Any, seen: set[tuple[str, str]], name: str = "") -> None:
        self._inner, self._seen, self._name = database, seen, name

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._inner, name)
        if not self._name:
            return Watched(inner, self._seen, name)

        def asked(query: Mapping[str, Any], *more: Any) -> Any:
            self._seen.update((self._name, field) for field in query)
            return inner(query, *more)

        return asked


async def test_every_look_up_is_answered_from_an_index(world: World) -> None:
    turn = await spoken(world)
    await world.fenced(1)
    seen: set[tuple[str, str]] = set()
    reads = Reads(Watched(world.database, seen))  # type: ignore[arg-type]
    for name in (turn, "SM_in_1", f"{turn}-1", SID, f"{SID}-read", "nope"):
        await find(reads, name)
    await world.database.sends.update_one({"_id": f"{turn}-1"}, {"$set": {"error_message": "fenced"}})
    fenced = await find(reads, turn)
    assert fenced
    assert fenced.fenced_by
    indexed = {(name, index.field) for name, indexes in INDEXES.items() for index in indexes}
    assert {one for one in seen if one[1] != "_id"} <= indexed
    assert ("turns", "events") in seen, "it is seen at all"


def logged(position: str, after_s: float, *headers: tuple[str, bytes]) -> dict[str, Stored]:
    topic, partition, offset = position.rsplit("-", 2)
    at = NOW + timedelta(seconds=after_s)
    return {position: Stored(Position(topic, int(partition), int(offset)), at, WireRecord(None, b"{}", headers))}


async def test_it_tells_bubbles_agent_gaps_and_statuses(world: World) -> None:
    turn = await spoken(world)
    trail = Trail(
        logged("contact.log-0-1", -0.9, ("ce_type", b"hilo.message-received.v1"), ("ce_source", b"hilo/ingress")),
        {SID: [Status("sent", NOW + timedelta(seconds=2)), Status("read", NOW + timedelta(seconds=9))]},
    )
    document = told(await found(world, "SM_in_2"), trail)
    assert [(one["event"], one["text"], one["source"]) for one in document["records"]] == [
        ("SM_in_1", "hola", "hilo/ingress"), ("SM_in_2", "¿mi cita?", None),
    ]  # fmt: skip
    assert document["records"][0]["logged_at"] == "2026-11-23T11:59:59.100+00:00"
    decided = document["turn"]
    assert (decided["outcome"], decided["cause"], decided["after_s"]) == ("replied", "the agent answered", 1.0)
    assert (decided["agent"]["attempts"], decided["agent"]["seconds"]) == (2, 1.5)
    assert decided["context"]["text"] == "hola\n¿mi cita?"
    (send,) = document["sends"]
    assert (send["state"], send["status"], send["cause"]) == ("accepted", "read", "")
    assert [(one["status"], one["after_s"]) for one in send["statuses"]] == [("sent", 2.0), ("read", 9.0)]
    assert json.loads(json.dumps(document)) == document
    shown = text_of(document)
    for part in ("agent_default", "+1 s", "2 attempts", "POST 1", "re: hola", "+9 s  read", f"{turn}-1"):
        assert part in shown, part


async def test_what_was_fenced_says_who_raised_the_fence(world: World) -> None:
    turn = await spoken(world)
    await world.handle(("takeover_1", TakenOver(by="luis")))
    await world.database.sends.delete_one({"_id": f"{turn}-1"})
    await world.posted(f"{turn}-1", state="withheld", error_message="fenced")
    await world.fenced(2)
    document = told(await found(world, turn), Trail())
    assert REASONS["fenced"] in document["sends"][0]["cause"]
    assert (document["fenced_by"]["seq"], document["fenced_by"]["by"]) == (2, "luis")
    assert "taken_over  by luis" in text_of(document)
    takeover = told(await found(world, "takeover_1"), Trail())
    assert (takeover["turn"]["by"], takeover["fences"][0]["below"]) == ("luis", 2)


@pytest.mark.parametrize(
    ("row", "causes"),
    [
        ({"state": "withheld", "error_message": "expired"}, ["too late"]),
        ({"state": "withheld", "error_message": "window_closed"}, ["24 hours"]),
        ({"state": "withheld", "error_message": "overtaken"}, ["something newer"]),
        ({"state": "withheld", "error_message": "earlier_part"}, ["earlier part"]),
        ({"state": "uncertain", "error_message": "answer_lost"}, ["nobody can say", "neither callback nor list"]),
        ({"state": "rejected", "error_code": 63016}, ["Twilio refused it", "63016"]),
        ({"state": "again", "error_code": 63018}, ["posted again", "63018"]),
        ({"state": "accepted", "sid": SID, "status": "undelivered", "error_code": 63024}, ["did not reach", "63024"]),
        ({"state": "accepted", "sid": SID, "status": "read", "error_code": 63024, "error_message": "x"}, []),
        (None, ["the sender has not come to it"]),
    ],
)
async def test_every_end_of_a_part_has_its_cause(world: World, row: dict[str, Any] | None, causes: list[str]) -> None:
    await world.handle(("SM_in_1", message("hola")))
    turn = world.requests[0].turn
    if row is not None:
        await world.posted(f"{turn}-1", **row)
    document = told(await found(world, turn), Trail())
    cause = document["sends"][0]["cause"]
    assert [one for one in causes if one not in cause] == []
    assert bool(causes) == bool(cause)
    assert cause in text_of(document)


async def test_an_erased_story_keeps_its_place_and_says_so(world: World) -> None:
    turn = await spoken(world)
    await world.handle(("erase_1", EraseRequested(by="luis")))
    story = await found(world, "SM_in_1")
    document = told(story, Trail())
    assert (document["turn"]["id"], document["turn"]["outcome"]) == (turn, "erased")
    assert [one["id"] for one in document["sends"]] == [f"{turn}-1"]
    assert "hola" not in text_of(document)


async def test_a_call_tells_what_was_spoken_about(world: World) -> None:
    await world.handle(("call_1", completed(call_summary="tu cita del martes")))
    document = told(await found(world, "call_1"), Trail())
    assert document["records"][0]["text"] == "tu cita del martes"
    assert document["turn"]["outcome"] == "greeted"


WRITTEN = "llámame al 55 1234 5678, o +52 1 55 1234 5678, o 5512345678, o MX.9f3c2ab41d"


async def test_no_number_is_shown_without_reveal(world: World) -> None:
    await world.handle(("SM_in_1", message(WRITTEN, user_id="MX.9f3c2ab41d")))
    await world.handle(("call_1", completed(call_summary=WRITTEN)))
    for name in ("call_1", "SM_in_1"):
        story = await found(world, name)
        masked = masking_of(story, reveal=False)(told(story, Trail()))
        for shown in (text_of(masked), json.dumps(masked, ensure_ascii=False)):
            for number in (CONTACT, ADDRESS, CONTACT[3:], "55 1234 5678", "MX.9f3c2ab41d"):
                assert number not in shown
            assert "llámame al" in shown
        revealed = masking_of(story, reveal=True)(told(story, Trail()))
        assert WRITTEN in json.dumps(revealed, ensure_ascii=False)


async def test_a_clients_text_moves_no_cursor_and_is_no_markup(world: World) -> None:
    await world.handle(("SM_in_1", message("\x1b[2J[red]x[/red] \u202e fin")))
    shown = text_of(told(await found(world, "SM_in_1"), Trail()))
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown
    assert "[red]x[/red]" in shown


def test_words_are_there_for_every_state_and_outcome() -> None:
    assert set(effects.STATES) - {"new", "accepted"} == set(STATES) - {"waiting"}
    table = (ROOT / "docs/turns.md").read_text().split("## What becomes of a record")[1].split("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", table))
    assert named == set(OUTCOMES)
