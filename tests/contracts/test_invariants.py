"""What must always be true: each is shown broken once, and found; and nothing is found where nothing is broken."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from janitor.invariants import INVARIANTS, Invariants, World
from kit import reads
from kit.kafka.lag import Waiting, oldest_waiting
from kit.kafka.outlet import Outlet
from kit.mongo import Database
from kit.reads import Reads
from kit.service import Tools
from kit.settings import KafkaSettings
from processor import drafts
from processor.repository import Repository
from schemas.attributes import Envelope
from schemas.documents import HistoryLine
from schemas.topics import CONTACT_LOG
from tests.conftest import FakeClock
from tests.unit.processor.states import CHANNEL, CONTACT, contact, conversation, message, run, state

pytestmark = pytest.mark.stack
NAMES = {one.name: one for one in INVARIANTS}
Break = Callable[[Database, datetime], Awaitable[None]]


async def two_open(database: Database, now: datetime) -> None:
    await database.conversations.drop_index("open_key_1")
    for name in ("a", "b"):
        await database.conversations.insert_one(conversation(id=name, rev=name).to_mongo())


async def half_a_turn(database: Database, now: datetime) -> None:
    work = run(message(), at=now - timedelta(minutes=6))
    await Repository(database).decide(drafts.turn(work, state(), drafts.Draft("ignored", contact())))


async def a_part_nobody_sends(database: Database, now: datetime) -> None:
    work = run(message(), at=now - timedelta(minutes=7))
    draft = drafts.show(work, state(), drafts.Draft("replied", contact(), conversation()), "reply", ["hola"])
    turn = drafts.turn(work, state(), draft)
    await Repository(database).decide(turn)
    await Repository(database).mark_done(turn)


async def a_client_who_waits(database: Database, now: datetime) -> None:
    line = HistoryLine(role="client", text="¿hay alguien?", at=now, id="e1")
    late = now - timedelta(minutes=61)
    await database.conversations.insert_one(
        conversation(status="escalated", lines=[line], last_message_at=late).to_mongo()
    )


BREAKS: dict[str, Break] = {
    "one_open_conversation": two_open,
    "turns_are_finished": half_a_turn,
    "what_is_decided_is_sent": a_part_nobody_sends,
    "nobody_waits_for_a_person": a_client_who_waits,
}


async def nothing(_topic: str, _group: str) -> Waiting:
    return Waiting()


@pytest.mark.parametrize("name", BREAKS)
async def test_what_is_broken_is_found(database: Database, tools: Tools, clock: FakeClock, name: str) -> None:
    world = World(Reads(database), tools, nothing)
    assert await NAMES[name].broken(world) == []
    await BREAKS[name](database, clock.now())
    found = await NAMES[name].broken(world)
    assert len(found) == 1
    assert CONTACT not in found[0]


async def test_of_many_parts_those_without_a_row_are_found(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "AT_ONCE", 2)
    names = [f"turn_{number}-1" for number in range(7)]
    at = clock.now() - timedelta(minutes=7)
    for number, name in enumerate(names):
        outbound = [{"data": {"seq": 1}}, {"data": {"parts": [{"send_id": name}], "to": "x"}}]
        turn = {"_id": name, "slot": name, "rev": name, "events": [name], "decided_at": at, "outbound": outbound}
        await database.turns.insert_one(turn)
        if number not in {3, 6}:
            await database.sends.insert_one({"_id": name, "rev": name})
    assert sorted(await Reads(database).unsent_parts(at, clock.now(), 5)) == ["turn_3-1", "turn_6-1"]


@pytest.mark.parametrize("name", ["messages_become_turns", "parts_are_tried"])
@pytest.mark.parametrize(("minutes", "broken"), [(9, False), (11, True)])
async def test_a_record_that_waits_too_long(
    tools: Tools, clock: FakeClock, name: str, minutes: int, broken: bool
) -> None:
    async def waiting(_topic: str, _group: str) -> Waiting:
        return Waiting(3, clock.now() - timedelta(minutes=minutes))

    rows: Any = None
    assert bool(await NAMES[name].broken(World(rows, tools, waiting))) is broken


async def test_a_story_that_ends_well_breaks_nothing(database: Database, tools: Tools, clock: FakeClock) -> None:
    await database.conversations.insert_one(conversation(last_message_at=clock.now()).to_mongo())
    world = World(Reads(database), tools, nothing)
    assert [await one.broken(world) for one in INVARIANTS] == [[] for _ in INVARIANTS]


async def test_the_oldest_record_of_a_group_that_is_behind(kafka: KafkaSettings, outlet: Outlet) -> None:
    group = CONTACT_LOG.group or ""
    assert (await oldest_waiting(kafka, CONTACT_LOG.name, group)).since is None
    envelope = Envelope("e1", "hilo/test", datetime.now().astimezone(), CONTACT, message(channel=CHANNEL))
    await outlet.publish(CONTACT_LOG.name, envelope)
    await outlet.publish(CONTACT_LOG.name, envelope)
    found = await oldest_waiting(kafka, CONTACT_LOG.name, group)
    assert found.since
    assert abs((datetime.now().astimezone() - found.since).total_seconds()) < 60


@pytest.mark.expects_errors
async def test_a_round_tells_each_that_is_broken(
    database: Database, kafka: KafkaSettings, tools: Tools, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    rounds = Invariants(Reads(database), kafka, tools, timedelta(minutes=5))
    assert await rounds.once() == 0
    await half_a_turn(database, clock.now())
    assert await rounds.once() == 1
    assert b'hilo_invariant_broken{invariant="turns_are_finished"} 1.0' in tools.metrics.text()
    assert sum("invariant broken" in record.getMessage() for record in caplog.records) == 1
