"""What a subscriber does with good, bad and unlucky records, on real Kafka."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from kit.errors import DependencyDown, Poison
from kit.kafka.broker import client_options, prefixed
from kit.kafka.consumers import Consumers
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.delivery import Delivery
from kit.kafka.lag import lags
from kit.kafka.lanes import POLICY, Handler, Subscription
from kit.kafka.outlet import Outlet
from kit.lanes import Run
from kit.service import Tools
from kit.settings import KafkaSettings
from schemas.topics import CALL_COMPLETED, DEAD_LETTERS
from tests.running import eventually, records

GOOD = b'{"phone_number": "+5215512345678", "clientName": "Ana"}'
Consume = Callable[[Handler], Consumers]


@pytest.fixture
def consume(kafka: KafkaSettings, outlet: Outlet, tools: Tools) -> Consume:
    letters = DeadLetters(outlet, tools.clock, tools.metrics)
    policy = replace(POLICY, first=0.01)

    def consumers(handler: Handler) -> Consumers:
        return Consumers(kafka, [Subscription(CALL_COMPLETED, handler, policy=policy)], letters, tools)

    return consumers


async def produce(kafka: KafkaSettings, *values: bytes | None, headers: list[tuple[str, Any]] | None = None) -> None:
    producer = AIOKafkaProducer(**client_options(kafka))
    await producer.start()
    for value in values:
        await producer.send_and_wait(
            prefixed(kafka, CALL_COMPLETED.name), value, key=b"k", headers=headers or [], partition=0
        )
    await producer.stop()


async def test_records_of_a_partition_are_handled_in_order_and_committed_after_the_work(
    kafka: KafkaSettings, consume: Consume
) -> None:
    seen: list[str] = []

    async def handle(run: Run[Delivery]) -> None:
        (delivery,) = run.records
        seen.append(delivery.envelope.data.model_dump()["client_name"])

    await produce(kafka, *(b'{"phone_number": "+1", "client_name": "%d"}' % number for number in range(20)))
    consumers = consume(handle)
    await consumers.start()
    await eventually(lambda: _is(lambda: len(seen) == 20), "all records handled")
    await consumers.stop()
    assert seen == [str(number) for number in range(20)]
    (lag,) = [one for one in await lags(kafka) if one.topic == CALL_COMPLETED.name]
    assert (lag.waiting, lag.completed) == (0, 20)


@pytest.mark.expects_errors
@pytest.mark.parametrize(
    ("value", "headers", "detail"),
    [
        (b"{not json", [], "JSON"),
        (b'{"client_name": "Ana"}', [], "phone_number"),
        (b"\xff\xfe", [], "JSON"),
        (None, [], "empty"),
        (GOOD, [("ce_type", b"hilo.unheard-of.v9")], "unknown event type"),
        (GOOD, [("ce_id", b"\xff")], "UTF-8"),
    ],
    ids=["no JSON", "field missing", "no text", "no value", "unknown type", "header not UTF-8"],
)
async def test_a_record_that_does_not_parse_is_buried_whole_and_the_partition_goes_on(
    kafka: KafkaSettings, consume: Consume, value: bytes | None, headers: list[tuple[str, bytes]], detail: str
) -> None:
    seen: list[Delivery] = []

    async def handle(run: Run[Delivery]) -> None:
        (delivery,) = run.records
        seen.append(delivery)

    await produce(kafka, value, headers=headers)
    await produce(kafka, GOOD)
    consumers = consume(handle)
    await consumers.start()
    await eventually(lambda: _is(lambda: len(seen) == 1), "the record behind it")
    await consumers.stop()
    (letter,) = await records(kafka, DEAD_LETTERS.name)
    about = {name: text for name, text in letter.headers if name.startswith("hilo_dead_")}
    assert (letter.key, letter.value) == (b"k", value)
    assert [(name, text) for name, text in letter.headers if not name.startswith("hilo_dead_")] == headers
    assert detail in about["hilo_dead_detail"].decode()
    assert about["hilo_dead_topic"] == b"call.completed"
    assert (about["hilo_dead_partition"], about["hilo_dead_offset"]) == (b"0", b"0")


@pytest.mark.expects_errors
async def test_a_handler_that_calls_it_poison_buries_at_once_and_one_that_fails_after_its_attempts(
    kafka: KafkaSettings, consume: Consume
) -> None:
    attempts: list[int] = []

    async def handle(run: Run[Delivery]) -> None:
        (delivery,) = run.records
        attempts.append(delivery.position.offset)
        raise Poison("unusable_address") if delivery.position.offset == 0 else RuntimeError("a bug")

    await produce(kafka, GOOD, GOOD)
    consumers = consume(handle)
    await consumers.start()
    letters = await records(kafka, DEAD_LETTERS.name, 2)
    await consumers.stop()
    reasons = {dict(one.headers)["hilo_dead_reason"].decode() for one in letters}
    assert reasons == {"unusable_address", "exhausted"}
    assert attempts == [0, *[1] * POLICY.attempts]


async def test_a_dependency_that_is_away_holds_the_record_and_spends_nothing(
    kafka: KafkaSettings, consume: Consume
) -> None:
    attempts = 0
    back = asyncio.Event()

    async def handle(_run: Run[Delivery]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts <= POLICY.attempts + 3:
            raise DependencyDown("away", after=0.01)
        back.set()

    await produce(kafka, GOOD)
    consumers = consume(handle)
    await consumers.start()
    async with asyncio.timeout(15):
        await back.wait()
    await consumers.stop()
    (lag,) = [one for one in await lags(kafka) if one.topic == CALL_COMPLETED.name]
    assert lag.waiting == 0


async def _is(condition: Callable[[], bool]) -> bool:
    return condition()
