"""Reading topics from outside any group, and what `hilo explain` finds there, on real Kafka."""

import asyncio
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaProducer

from kit.errors import BrokerDown, Misconfigured
from kit.kafka.broker import client_options, prefixed
from kit.kafka.dead_letters import Position
from kit.kafka.outlet import Outlet
from kit.kafka.reading import reader
from kit.service import Tools
from kit.settings import KafkaSettings
from ops.story import Story, find
from ops.trail import follow
from sandbox.stack.ports import free_ports
from schemas.attributes import Envelope, WireRecord
from schemas.contact import Contact
from schemas.events import StatusChanged
from schemas.topics import CALL_COMPLETED, CONTACT_LOG, MESSAGE_STATUS
from tests.conftest import FakeClock
from tests.memory_mongo import MemoryMongo
from tests.unit.ops.stories import SID, World, sid
from tests.unit.processor.states import CONTACT, NOW, message


async def produce(kafka: KafkaSettings, count: int, at_ms: int | None = None) -> None:
    producer = AIOKafkaProducer(**client_options(kafka))
    await producer.start()
    for number in range(count):
        where = prefixed(kafka, CALL_COMPLETED.name)
        await producer.send_and_wait(where, b"%d" % number, key=b"k%d" % number, timestamp_ms=at_ms)
    await producer.stop()


async def test_a_reading_ends_where_the_topic_ended_when_it_began(kafka: KafkaSettings) -> None:
    await produce(kafka, 20)
    told: list[tuple[int, int]] = []
    async with reader(kafka) as topic:
        spans = await topic.whole(CALL_COMPLETED.name)
        await produce(kafka, 5)
        found = [one async for one in topic.read(spans, lambda done, of: told.append((done, of)))]
        again = [one async for one in topic.read(await topic.whole(CALL_COMPLETED.name))]
    assert sorted(int(one.record.value or b"") for one in found) == list(range(20))
    assert told[-1] == (20, 20)
    assert len(again) == 25, "one reader reads as often as it is asked"
    assert {one.position.topic for one in found} == {CALL_COMPLETED.name}, "without the installation's prefix"


async def test_a_topic_that_is_not_there_is_said_at_once(kafka: KafkaSettings) -> None:
    elsewhere = kafka.model_copy(update={"kafka_topic_prefix": "typo."})
    async with asyncio.timeout(5), reader(elsewhere) as topic:
        for asked in (topic.whole(CONTACT_LOG.name), topic.of_key(CONTACT_LOG.name, b"k")):
            with pytest.raises(
                Misconfigured, match=r"KAFKA_TOPIC_PREFIX: no topic typo\.contact\.log: .*topics create"
            ):
                await asked


async def test_what_is_older_is_left_out(kafka: KafkaSettings) -> None:
    await produce(kafka, 3, at_ms=int(NOW.timestamp() * 1000))
    await produce(kafka, 2, at_ms=int(NOW.timestamp() * 1000) + 60_000)
    async with reader(kafka) as topic:
        before_kafka_s_time = -(NOW.timestamp() + 1)
        for seconds, count in ((before_kafka_s_time, 5), (0, 5), (30, 2), (90, 0)):
            spans = await topic.whole(CALL_COMPLETED.name, NOW + timedelta(seconds=seconds))
            assert sum(one.count for one in spans) == count


async def test_an_empty_topic_and_a_place_that_is_not_there_are_nothing(kafka: KafkaSettings) -> None:
    async with reader(kafka) as topic:
        assert [one async for one in topic.read(await topic.whole(CALL_COMPLETED.name))] == []
        spans = await topic.around([Position(CALL_COMPLETED.name, 0, 999)])
        assert [one async for one in topic.read(spans)] == []


async def test_a_keys_records_are_where_our_producer_puts_them(kafka: KafkaSettings) -> None:
    await produce(kafka, 30)
    async with reader(kafka) as topic:
        for number in range(30):
            spans = await topic.of_key(CALL_COMPLETED.name, b"k%d" % number)
            assert b"%d" % number in [one.record.value async for one in topic.read(spans)]


async def test_kafka_that_is_away_is_said_soon() -> None:
    nowhere = KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}", _env_file=None)
    with pytest.raises(BrokerDown, match="KAFKA_BOOTSTRAP_SERVERS"):
        async with reader(nowhere):
            pass


async def story_of(tools: Tools, position: Position) -> Story:
    world = World(MemoryMongo(), tools)
    world._offset = position.offset - 1
    await world.handle(("SM_in_1", message("hola")))
    turn = world.requests[0].turn
    await world.posted(f"{turn}-1", sid=SID, status="read")
    story = await find(world.reads, "SM_in_1")
    assert story
    turn_there = story.turn.model_copy(update={"positions": [str(position)]})
    return Story("SM_in_1", "event", turn_there, story.sends)


async def test_a_trail_has_the_record_and_this_messages_callbacks_only(
    kafka: KafkaSettings, outlet: Outlet, tools: Tools, clock: FakeClock
) -> None:
    await outlet.publish(CONTACT_LOG.name, Envelope("SM_in_1", "hilo/ingress", NOW, CONTACT, message("hola")))
    async with reader(kafka) as topic:
        (record,) = [one async for one in topic.read(await topic.whole(CONTACT_LOG.name))]
    for number, status in enumerate(("sent", "delivered", "read", "read")):
        for name in (SID, sid(2)):
            event = StatusChanged(message_sid=name, status=status, address=CONTACT, received_at=NOW)
            await outlet.publish(
                MESSAGE_STATUS.name, Envelope(f"{name}-{number}", "hilo/ingress", NOW, Contact(CONTACT), event)
            )
    await outlet.publish_record(MESSAGE_STATUS.name, WireRecord(CONTACT.encode(), b"\xff", [("ce_type", b"\xff")]))
    trail = await follow(kafka, await story_of(tools, record.position))
    assert list(trail.records) == [str(record.position)]
    assert [one.status for one in trail.statuses.pop(SID)][:3] == ["sent", "delivered", "read"]
    assert (trail.statuses, trail.gap) == ({}, "")


async def test_without_kafka_the_stores_still_tell_their_part(tools: Tools) -> None:
    nowhere = KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}", _env_file=None)
    trail = await follow(nowhere, await story_of(tools, Position("contact.log", 0, 1)))
    assert "KAFKA_BOOTSTRAP_SERVERS" in trail.gap
