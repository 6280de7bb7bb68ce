"""A request that aiokafka cancels by itself is an outage for whoever asked, never the end of a task without a word."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from janitor.lag import Lag
from kit.errors import BrokerDown
from kit.kafka.broker import client_options
from kit.kafka.consumers import Consumers
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.delivery import Delivery
from kit.kafka.dropped import dropped_requests
from kit.kafka.groupless import groupless
from kit.kafka.lag import lags
from kit.kafka.lanes import Subscription
from kit.kafka.outlet import Outlet
from kit.kafka.reading import reader
from kit.lanes import Run
from kit.service import Tools
from kit.settings import KafkaSettings
from schemas.attributes import WireRecord
from schemas.topics import CALL_COMPLETED
from tests.running import connected, eventually, taken

GOOD = WireRecord(b"k", b'{"phone_number": "+5215512345678", "clientName": "Ana"}', [])
Drop = Callable[[type, str], list[str]]


@pytest.fixture
def drop(monkeypatch: pytest.MonkeyPatch) -> Drop:
    """The next call of this method is cancelled from inside; returns what happened."""

    def patch(kind: type, method: str) -> list[str]:
        real, happened = getattr(kind, method), list[str]()

        async def dropped(self: Any, *args: Any, **named: Any) -> Any:
            happened.append("went through" if happened else "dropped")
            if happened == ["dropped"]:
                raise asyncio.CancelledError
            return await real(self, *args, **named)

        monkeypatch.setattr(kind, method, dropped)
        return happened

    return patch


@pytest.mark.parametrize("method", ["start", "getmany", "commit"])
async def test_a_group_goes_on(kafka: KafkaSettings, outlet: Outlet, tools: Tools, drop: Drop, method: str) -> None:
    seen: list[int] = []

    async def handle(run: Run[Delivery]) -> None:
        seen.extend(one.position.offset for one in run.records)

    async def done() -> bool:
        (lag,) = [one for one in await lags(kafka) if one.topic == CALL_COMPLETED.name]
        return (lag.waiting, lag.completed) == (0, 1)

    await outlet.publish_record(CALL_COMPLETED.name, GOOD)
    letters = DeadLetters(outlet, tools.clock, tools.metrics)
    consumers = Consumers(kafka, [Subscription(CALL_COMPLETED, handle)], letters, tools)
    happened = drop(AIOKafkaConsumer, method)
    await consumers.start()
    try:
        await eventually(done, "the record handled and committed")
    finally:
        await consumers.stop()
    assert (happened[0], set(happened[1:]), seen) == ("dropped", {"went through"}, [0])


async def test_a_send_fails_and_the_next_one_arrives(outlet: Outlet, drop: Drop) -> None:
    drop(AIOKafkaProducer, "send_and_wait")
    with pytest.raises(BrokerDown):
        await outlet.publish_record(CALL_COMPLETED.name, GOOD)
    await eventually(lambda: taken(outlet, CALL_COMPLETED.name, GOOD), "the next send")


async def test_an_outlet_that_is_replacing_its_producer_can_be_stopped(
    kafka: KafkaSettings, tools: Tools, drop: Drop
) -> None:
    outlet = Outlet(client_options(kafka), kafka.kafka_topic_prefix, tools.clock, tools.metrics)
    await outlet.start()
    await outlet.wait_ready(10)
    drop(AIOKafkaProducer, "send_and_wait")
    with pytest.raises(BrokerDown):
        await outlet.publish_record(CALL_COMPLETED.name, GOOD)
    for _ in range(5):  # until it is closing the one before
        await asyncio.sleep(0)
    async with asyncio.timeout(7):
        await outlet.stop()


async def test_an_outlet_outlives_a_connection_that_cannot_be_closed(
    kafka: KafkaSettings, tools: Tools, drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS to a host that vanished: the stop runs into its limit, and the next close raises what that cancelled."""
    outlet = Outlet(client_options(kafka), kafka.kafka_topic_prefix, tools.clock, tools.metrics)
    await outlet.start()
    await outlet.wait_ready(10)
    stuck = outlet._producer
    assert stuck
    closed = asyncio.get_running_loop().create_future()
    real: Any = stuck.client.close

    async def close() -> None:
        await asyncio.gather(closed)
        await real()

    monkeypatch.setattr(stuck.client, "close", close)
    monkeypatch.setattr("kit.kafka.outlet.STOP_S", 0.2)
    drop(AIOKafkaProducer, "send_and_wait")
    with pytest.raises(BrokerDown):
        await outlet.publish_record(CALL_COMPLETED.name, GOOD)
    await eventually(lambda: taken(outlet, CALL_COMPLETED.name, GOOD), "a send through another producer")
    assert not any(one.done() for one in outlet.failures)
    await outlet.stop()
    await real()


async def test_an_outlet_that_is_over_ends_its_process(kafka: KafkaSettings, tools: Tools) -> None:
    outlet = Outlet(client_options(kafka), kafka.kafka_topic_prefix, tools.clock, tools.metrics)
    await outlet.start()
    await outlet.wait_ready(10)
    assert outlet._supervisor
    outlet._supervisor.cancel()
    (failure,) = outlet.failures
    async with asyncio.timeout(2):
        assert "supervisor ended" in str(await failure)
    await outlet.stop()


async def test_an_outlet_connects_again(kafka: KafkaSettings, tools: Tools, drop: Drop) -> None:
    happened = drop(AIOKafkaProducer, "start")
    async with connected(kafka, tools):
        pass
    assert happened == ["dropped", "went through"]


@pytest.mark.parametrize("method", ["start", "end_offsets", "getmany", "position"])
async def test_a_reader_says_that_kafka_is_away(kafka: KafkaSettings, outlet: Outlet, drop: Drop, method: str) -> None:
    await outlet.publish_record(CALL_COMPLETED.name, GOOD)
    drop(AIOKafkaConsumer, method)
    with pytest.raises(BrokerDown):
        async with reader(kafka) as reading:
            assert [one async for one in reading.read(await reading.whole(CALL_COMPLETED.name))]


async def test_a_consumer_that_is_stopped_at_once_raises_nothing(kafka: KafkaSettings) -> None:
    async with groupless(kafka):
        pass


@pytest.mark.parametrize("kind", [AIOKafkaAdminClient, AIOKafkaConsumer])
async def test_the_janitor_s_rounds_go_on(kafka: KafkaSettings, tools: Tools, drop: Drop, kind: type) -> None:
    happened = drop(kind, "start")
    rounds = Lag(kafka, tools, timedelta(milliseconds=10))
    await rounds.start()
    try:
        await eventually(lambda: _is(len(happened) > 1), "the next round")
    finally:
        await rounds.stop()


async def test_what_is_meant_for_us_stays_what_it_is() -> None:
    async def wait() -> None:
        with dropped_requests():
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await wait()
    with pytest.raises(KafkaConnectionError), dropped_requests():
        raise asyncio.CancelledError


async def _is(value: bool) -> bool:
    return value
