"""What must always be true: each is shown broken once, and found; and nothing is found where nothing is broken."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from janitor import handed
from janitor.invariants import INVARIANTS, Invariants, World
from kit.kafka.broker import client_options, prefixed
from kit.kafka.lag import Waiting, oldest_waiting
from kit.kafka.outlet import Outlet
from kit.kafka.reading import partitions_of
from kit.mongo import Database
from kit.reads import Reads
from kit.service import Tools
from kit.settings import KafkaSettings
from processor import drafts
from processor.conversation import State
from processor.repository import Repository
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.documents import HistoryLine
from schemas.events import FenceRaised, SendRequested
from schemas.topics import CONTACT_LOG, MESSAGE_OUTBOUND
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


async def a_client_who_waits(database: Database, now: datetime) -> None:
    line = HistoryLine(role="client", text="¿hay alguien?", at=now, id="e1")
    late = now - timedelta(minutes=61)
    await database.conversations.insert_one(
        conversation(status="escalated", lines=[line], last_message_at=late).to_mongo()
    )


BREAKS: dict[str, Break] = {
    "one_open_conversation": two_open,
    "turns_are_finished": half_a_turn,
    "nobody_waits_for_a_person": a_client_who_waits,
}


async def nothing(_topic: str, _group: str) -> Waiting:
    return Waiting()


async def committed(kafka: KafkaSettings) -> None:
    """All of it, by the sender."""
    group = prefixed(kafka, MESSAGE_OUTBOUND.group or "")
    consumer = AIOKafkaConsumer(**client_options(kafka), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(await partitions_of(consumer, prefixed(kafka, MESSAGE_OUTBOUND.name)))
        await consumer.commit(await consumer.end_offsets(list(consumer.assignment())))
    finally:
        await consumer.stop()


async def nobody(_since: datetime, _until: datetime) -> AsyncGenerator[list[str]]:
    for _ in ():
        yield []


@pytest.mark.parametrize("name", BREAKS)
async def test_what_is_broken_is_found(database: Database, tools: Tools, clock: FakeClock, name: str) -> None:
    world = World(Reads(database), tools, nothing, nobody)
    assert await NAMES[name].broken(world) == []
    await BREAKS[name](database, clock.now())
    found = await NAMES[name].broken(world)
    assert len(found) == 1
    assert CONTACT not in found[0]


async def test_a_turn_that_is_done_or_young_is_not_unfinished(database: Database, clock: FakeClock) -> None:
    repository, turns = Repository(database), []
    for number, minutes in enumerate((4, 6, 7)):
        work = run(message(), at=clock.now() - timedelta(minutes=minutes), ids=(f"e{number}",))
        before = State(contact(seq=number))
        turns.append(drafts.turn(work, before, drafts.Draft("ignored", contact())))
        await repository.decide(turns[-1])
    await repository.mark_done(turns[1])
    found = await Reads(database).unfinished_turns(clock.now() - timedelta(minutes=5), 9)
    assert found == [turns[2].id]


async def test_of_many_parts_those_without_a_row_are_found(
    database: Database,
    tools: Tools,
    clock: FakeClock,
    kafka: KafkaSettings,
    outlet: Outlet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the time Kafka gave them: of ten minutes, five minutes ago."""
    monkeypatch.setattr(handed, "AT_ONCE", 2)
    for number in range(7):
        work = run(message(), at=clock.now(), ids=(f"e{number}",))
        draft = drafts.show(work, state(), drafts.Draft("replied", contact(), conversation()), "reply", ["hola"])
        (sent,) = drafts.turn(work, state(), draft).outbound
        request = SendRequested.model_validate(sent.data)
        await outlet.publish(
            MESSAGE_OUTBOUND.name, Envelope(sent.id, "hilo/test", clock.now(), Contact(CONTACT), request)
        )
        if number not in {3, 6}:
            await database.sends.insert_one({"_id": request.parts[0].send_id, "rev": f"{number}"})
    fence = FenceRaised(contact=CONTACT, seq=1, turn="turn_x", reason="takeover", by="Marta")
    await outlet.publish(MESSAGE_OUTBOUND.name, Envelope("f1", "hilo/test", clock.now(), Contact(CONTACT), fence))
    looked = World(Reads(database), tools, nothing, partial(handed.handed_over, kafka))
    clock.advance((datetime.now(UTC) - clock.now()).total_seconds())  # Kafka's time is the machine's
    for minutes, count in ((4, 0), (3, 0), (0, 2), (7, 2), (4, 0)):
        clock.advance(60 * minutes)
        if not minutes:
            await committed(kafka)  # until then the sender may only hold them: its number is halted, or it is behind
        assert len(await NAMES["what_is_decided_is_sent"].broken(looked)) == count


@pytest.mark.parametrize("name", ["messages_become_turns", "parts_are_tried"])
@pytest.mark.parametrize(("minutes", "broken"), [(9, False), (11, True)])
async def test_a_record_that_waits_too_long(
    tools: Tools, clock: FakeClock, name: str, minutes: int, broken: bool
) -> None:
    async def waiting(_topic: str, _group: str) -> Waiting:
        return Waiting(3, clock.now() - timedelta(minutes=minutes))

    rows: Any = None
    assert bool(await NAMES[name].broken(World(rows, tools, waiting, nobody))) is broken


async def test_a_story_that_ends_well_breaks_nothing(database: Database, tools: Tools, clock: FakeClock) -> None:
    await database.conversations.insert_one(conversation(last_message_at=clock.now()).to_mongo())
    world = World(Reads(database), tools, nothing, nobody)
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
