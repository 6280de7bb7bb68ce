"""What consumers do while their broker misbehaves, on a cluster whose faults are on demand."""

import asyncio
import time
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, NotCoordinatorForGroupError, RebalanceInProgressError
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.fetch import FetchRequest

from kit.kafka import committer
from kit.kafka import consumers as consumers_module
from kit.service import Tools
from kit.settings import KafkaSettings
from schemas.topics import CALL_COMPLETED
from tests.mock_cluster import MockCluster
from tests.wire.lanes.handling import (
    TIMING,
    Consume,
    Seen,
    committed,
    counted,
    produce,
    started,
    until,
    until_committed,
)

GROUP = CALL_COMPLETED.group or ""
FOR_LONG = 1000


async def test_while_the_coordinator_is_away_commits_are_bounded_work_goes_on_and_marks_are_accepted_later(
    cluster: MockCluster,
    faulty: KafkaSettings,
    consume: Consume,
    seen: Seen,
    tools: Tools,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(committer, "COMMIT_S", 0.5)  # aiokafka itself would try for ever
    await produce(faulty, 3)
    async with started(consume(seen)):
        await seen.until(3)
        cluster.fail(OffsetCommitRequest.API_KEY, NotCoordinatorForGroupError, FOR_LONG)
        await produce(faulty, 30)
        await seen.until(33)
        enough = counted(tools, "hilo_commits_total", result="failed") + 3
        await until(lambda: counted(tools, "hilo_commits_total", result="failed") >= enough, "one mark tried thrice")
        cluster.heal(OffsetCommitRequest.API_KEY)
        await until_committed(faulty, 33)
    assert len(seen.offsets) == 33


async def test_a_commit_refused_in_a_rebalance_means_redelivery_and_never_loss(
    cluster: MockCluster, faulty: KafkaSettings, consume: Consume, seen: Seen, tools: Tools
) -> None:
    await produce(faulty, 30)
    cluster.fail(OffsetCommitRequest.API_KEY, RebalanceInProgressError, 3)
    async with started(consume(seen)):
        await seen.until(30)
        await until(lambda: counted(tools, "hilo_commits_total", result="fenced") > 0, "a refused commit")
        await until(lambda: counted(tools, "hilo_rebalances_total", group=GROUP) > 0, "the rebalance it asks for")
        await produce(faulty, 30)
        await seen.until(60, within=30)
        await until_committed(faulty, 60)


async def test_two_members_share_the_work_and_lose_nothing_though_commits_in_rebalances_are_refused(
    faulty: KafkaSettings, consume: Consume, seen: Seen
) -> None:
    await produce(faulty, 60)
    async with started(consume(seen)):
        await seen.until(20)
        async with started(consume(seen)):
            await produce(faulty, 60)
            await seen.until(120, within=40)
        await produce(faulty, 60)
        await seen.until(180, within=40)
        await until_committed(faulty, 180)


async def test_an_error_of_the_poll_is_survived_after_a_pause(
    faulty: KafkaSettings, consume: Consume, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [KafkaError("one"), KafkaError("two")]
    met: list[float] = []
    getmany = AIOKafkaConsumer.getmany

    async def failing(self: AIOKafkaConsumer, *wanted: TopicPartition, **options: int) -> object:
        if errors:
            met.append(time.monotonic())
            raise errors.pop()
        return await getmany(self, *wanted, **options)

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", failing)
    await produce(faulty, 5)
    async with started(consume(seen)):
        await seen.until(5)
    assert met[1] - met[0] >= TIMING.poll_error


async def test_a_fetch_that_is_refused_costs_nothing(
    cluster: MockCluster, faulty: KafkaSettings, consume: Consume, seen: Seen
) -> None:
    cluster.fail(FetchRequest.API_KEY, RebalanceInProgressError, 5)
    await produce(faulty, 30)
    async with started(consume(seen)):
        await seen.until(30)
    assert len(seen.offsets) == 30


@pytest.mark.parametrize("finishes", [True, False], ids=["a mark to commit", "a handler that never ends"])
async def test_a_stop_with_the_broker_away_ends_within_its_bounds(
    cluster: MockCluster, faulty: KafkaSettings, consume: Consume, seen: Seen, finishes: bool
) -> None:
    seen.gate.clear()
    await produce(faulty, 3)
    consumers = consume(seen)
    await consumers.start()
    await seen.until_begun(3)
    cluster.down()
    began = time.monotonic()
    if finishes:
        asyncio.get_running_loop().call_later(0.5, seen.gate.set)
    await consumers.stop()
    took = time.monotonic() - began
    drained = 0.5 if finishes else TIMING.drain
    cancelled, commits, loop_and_leave = 1.0, 2 * committer.COMMIT_S, 2 * TIMING.stop
    assert drained <= took < drained + cancelled + commits + loop_and_leave + 0.5
    cluster.up()
    assert await committed(faulty) == 0


async def test_a_stop_in_a_rebalance_that_cannot_end_is_bounded_too(
    cluster: MockCluster, faulty: KafkaSettings, consume: Consume, seen: Seen, tools: Tools
) -> None:
    """While partitions move aiokafka's poll waits for the new assignment, and knows no time-out."""
    await produce(faulty, 3)
    consumers = consume(seen)
    await consumers.start()
    await seen.until(3)
    cluster.down()
    coordinator: Any = consumers.subscribers[0].consumer._coordinator  # type: ignore[union-attr]
    coordinator.request_rejoin()
    await until(lambda: counted(tools, "hilo_rebalances_total", group=GROUP) == 1, "partitions revoked")
    began = time.monotonic()
    await consumers.stop()
    assert time.monotonic() - began < 2 * committer.COMMIT_S + 2 * TIMING.stop + 0.5
    cluster.up()


async def test_an_outage_longer_than_the_session_loses_nothing_and_is_no_reason_to_restart_us(
    cluster: MockCluster, faulty: KafkaSettings, consume: Consume, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers_module, "STALE_S", 1.0)
    await produce(faulty, 30)
    async with started(consume(seen)) as consumers:
        await seen.until(30)
        cluster.down()
        await asyncio.sleep(2 * faulty.kafka_session_timeout_ms / 1000)  # the length of the outage
        assert consumers.alive
        cluster.up()
        await produce(faulty, 30)
        await seen.until(60, within=30)
        await until_committed(faulty, 60)


async def test_a_slow_broker_is_waited_for(
    cluster: MockCluster, faulty: KafkaSettings, consume: Consume, seen: Seen
) -> None:
    await produce(faulty, 30)
    cluster.slow(0.3)
    async with started(consume(seen)):
        await seen.until(30, within=30)
    cluster.slow(0)
    assert await committed(faulty) == 30
    assert len(seen.offsets) == 30
