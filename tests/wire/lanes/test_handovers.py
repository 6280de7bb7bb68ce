"""What becomes of running work when partitions move or the process stops, on Apache Kafka."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import TopicPartition

from kit.kafka.consumers import Consumers
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.lanes import Subscription
from kit.kafka.outlet import Outlet
from kit.kafka.subscriber import KeyedSubscriber
from kit.lanes import Limits
from kit.service import Tools
from kit.settings import KafkaSettings
from schemas.topics import CALL_COMPLETED
from tests.wire.lanes.handling import (
    TIMING,
    Consume,
    Seen,
    committed,
    consuming,
    counted,
    produce,
    started,
    until,
    until_committed,
)


@pytest.fixture
def consume(kafka: KafkaSettings, outlet: Outlet, tools: Tools) -> Consume:
    return consuming(kafka, outlet, tools)


def rebalance(consumers: Consumers) -> None:
    """As when a member joins; this one is alone, and gets everything again."""
    for subscriber in consumers.subscribers:
        coordinator: Any = subscriber.consumer._coordinator  # type: ignore[union-attr]
        coordinator.request_rejoin()


async def test_records_that_come_before_their_ledger_is_open_are_given_back_and_handled_once(
    kafka: KafkaSettings, consume: Consume, seen: Seen, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race of aiokafka, held open: records are fetched during the revocation, and the ledger opens only after."""
    group = CALL_COMPLETED.group or ""
    revoked, assigned = KeyedSubscriber.revoked, KeyedSubscriber.assigned

    async def revoked_while_records_arrive(self: KeyedSubscriber, partitions: Iterable[TopicPartition]) -> None:
        await revoked(self, partitions)
        if partitions:
            await produce(kafka, 30)
            fetcher: Any = self.consumer._fetcher  # type: ignore[union-attr]
            await until(lambda: len(fetcher._records) > 0, "records prefetched")

    async def assigned_late(self: KeyedSubscriber, partitions: Iterable[TopicPartition]) -> None:
        if seen.offsets:
            await until(lambda: counted(tools, "hilo_given_back_total", group=group) > 0, "a record given back")
        await assigned(self, partitions)

    monkeypatch.setattr(KeyedSubscriber, "revoked", revoked_while_records_arrive)
    monkeypatch.setattr(KeyedSubscriber, "assigned", assigned_late)
    await produce(kafka, 30)
    async with started(consume(seen, replace(TIMING, poll=2.0, stop=3.0))) as consumers:
        await seen.until(30)
        rebalance(consumers)
        await seen.until(60)
        await until_committed(kafka, 60)
    assert len(seen.offsets) == 60
    for partition in range(3):
        assert [offset for at, offset in seen.offsets if at == partition] == list(range(20))


async def test_a_stop_lets_running_handlers_finish_commits_them_and_leaves_the_rest(
    kafka: KafkaSettings, consume: Consume, seen: Seen
) -> None:
    seen.gate.clear()
    await produce(kafka, 30)
    consumers = consume(seen, limits=Limits(concurrency=5))
    await consumers.start()
    await seen.until_begun(5)
    stopping = asyncio.create_task(consumers.stop())
    await until(lambda: consumers.subscribers[0].executor.wanted() == [], "no more polls")  # type: ignore[union-attr]
    seen.gate.set()
    await stopping
    assert len(seen.offsets) == 5
    assert await committed(kafka) == 5
    async with started(consume(seen)):
        await seen.until(30)
    assert await committed(kafka) == 30
    assert len(seen.began) == 30


async def test_a_handler_at_work_may_finish_before_its_partition_moves_and_is_committed(
    kafka: KafkaSettings, consume: Consume, seen: Seen, tools: Tools
) -> None:
    group = CALL_COMPLETED.group or ""
    seen.gate.clear()
    await produce(kafka, 3)
    async with started(consume(seen, replace(TIMING, revoke_grace=10.0))) as consumers:
        await seen.until_begun(3)
        rebalance(consumers)
        await until(lambda: counted(tools, "hilo_rebalances_total", group=group) == 1, "partitions revoked")
        seen.gate.set()
        await seen.until(3)
        await until_committed(kafka, 3)
        await produce(kafka, 3)
        await seen.until(6)
    assert len(seen.began) == 6


async def test_a_handler_that_outlasts_the_grace_is_cut_short_and_its_record_comes_again(
    kafka: KafkaSettings, consume: Consume, seen: Seen
) -> None:
    seen.gate.clear()
    await produce(kafka, 3)
    async with started(consume(seen, replace(TIMING, revoke_grace=0.2))) as consumers:
        await seen.until_begun(3)
        rebalance(consumers)
        await seen.until_begun(6)
        assert not seen.offsets
        seen.gate.set()
        await seen.until(3)
    assert await committed(kafka) == 3
    assert len(seen.offsets) == 3


async def test_whoever_keeps_something_per_contact_is_told_of_a_revocation_after_its_handlers_ended(
    kafka: KafkaSettings, outlet: Outlet, seen: Seen, tools: Tools
) -> None:
    told: list[int] = []

    async def revoked() -> None:
        told.append(len(seen.offsets))

    wanted = Subscription(CALL_COMPLETED, seen, on_revoked=revoked)
    letters = DeadLetters(outlet, tools.clock, tools.metrics)
    await produce(kafka, 3)
    async with started(Consumers(kafka, [wanted], letters, tools, TIMING)) as consumers:
        await seen.until(3)
        told.clear()  # joining revokes nothing, and is told as well
        rebalance(consumers)
        await until(lambda: bool(told), "the revocation is told")
    assert told[0] == 3
