"""What is broken beyond repair says so, and ends its process; what is only half started starts again whole."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaConnectionError

from kit.kafka import consumers as consumers_module
from kit.kafka import topics
from kit.kafka.broker import client_options
from kit.kafka.consumers import Consumers
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.lanes import Subscription
from kit.kafka.outlet import Outlet
from kit.lanes import LaneExecutor
from kit.service import Tools
from kit.settings import KafkaSettings
from schemas.topics import CALL_COMPLETED, MESSAGE_STATUS
from tests.mock_cluster import MockCluster
from tests.wire.lanes.handling import Consume, Seen, committed, produce, started, until


@pytest.mark.expects_errors
async def test_a_bug_at_admission_is_a_crash_and_nothing_behind_it_is_committed(
    faulty: KafkaSettings, consume: Consume, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit = LaneExecutor.admit

    def broken(self: LaneExecutor[Any, Any], source: Any, offset: int, key: Any, raw: Any) -> bool:
        if (source.partition, offset) == (0, 5):
            raise ZeroDivisionError("a bug at admission")
        return admit(self, source, offset, key, raw)

    monkeypatch.setattr(LaneExecutor, "admit", broken)
    await produce(faulty, 30)
    consumers = consume(seen)
    async with started(consumers):
        (failure,) = consumers.failures
        async with asyncio.timeout(10):
            assert isinstance(await failure, ZeroDivisionError)
    assert {offset for partition, offset in seen.offsets if partition == 0} <= set(range(5))
    assert await committed(faulty) <= 25


@pytest.mark.expects_errors
async def test_polls_that_fail_for_good_end_a_process_that_only_looks_alive(
    faulty: KafkaSettings, consume: Consume, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An assignor that raises kills aiokafka's coordinator for good; every poll fails from then on."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug in an assignor")

    monkeypatch.setattr(consumers_module, "STALE_S", 1.0)
    consumers = consume(seen)
    async with started(consumers):
        monkeypatch.setattr(StickyPartitionAssignor, "assign", broken)
        coordinator: Any = consumers.subscribers[0].consumer._coordinator  # type: ignore[union-attr]
        coordinator.request_rejoin()
        await until(lambda: not consumers.alive, "liveness lost")


async def test_a_start_that_fails_half_way_leaves_no_second_consumer_behind(
    faulty: KafkaSettings,
    cluster: MockCluster,
    faulty_outlet: Outlet,
    tools: Tools,
    seen: Seen,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first subscriber has started when the broker goes away before the second."""
    cluster.create_topic(MESSAGE_STATUS.name, 3)
    living: list[AIOKafkaConsumer] = []
    start: Any = AIOKafkaConsumer.start
    stop: Any = AIOKafkaConsumer.stop

    async def flaky(self: AIOKafkaConsumer) -> None:
        if len(living) == 1 and not flaked.is_set():
            flaked.set()
            raise KafkaConnectionError("gone")
        await start(self)
        living.append(self)

    async def stopping(self: AIOKafkaConsumer) -> None:
        await stop(self)
        if self in living:
            living.remove(self)

    flaked = asyncio.Event()
    monkeypatch.setattr(AIOKafkaConsumer, "start", flaky)
    monkeypatch.setattr(AIOKafkaConsumer, "stop", stopping)
    monkeypatch.setattr(consumers_module, "RETRY_S", 0.1)
    wanted = [Subscription(topic, seen) for topic in (CALL_COMPLETED, MESSAGE_STATUS)]
    letters = DeadLetters(faulty_outlet, tools.clock, tools.metrics)
    await produce(faulty, 30)
    async with started(Consumers(faulty, wanted, letters, tools)) as consumers:
        assert flaked.is_set()
        assert len(living) == 2
        await seen.until(30)
    assert not living
    assert [one.polled_at for one in consumers.subscribers] == [
        None,
        None,
    ]  # or a long wait would look like a stuck poll
    assert await committed(faulty) == 30


async def test_a_start_waits_for_a_broker_that_is_away(
    faulty: KafkaSettings, cluster: MockCluster, consume: Consume, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[KafkaSettings] = []

    async def nothing_missing(settings: KafkaSettings) -> list[topics.Finding]:
        attempts.append(settings)
        return []

    monkeypatch.setattr(topics, "check", nothing_missing)
    monkeypatch.setattr(consumers_module, "RETRY_S", 0.1)
    await produce(faulty, 3)
    cluster.down()
    consumers = consume(seen)
    starting = asyncio.create_task(consumers.start())
    await until(lambda: len(attempts) >= 3, "two attempts that failed")
    assert consumers.alive
    cluster.up()
    await starting
    await seen.until(3)
    await consumers.stop()


async def test_a_bug_in_a_cut_ends_the_process_with_code_1_and_says_why(kafka: KafkaSettings, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.kafka_bootstrap_servers,
        "KAFKA_TOPIC_PREFIX": kafka.kafka_topic_prefix,
    }
    producer = AIOKafkaProducer(**client_options(kafka), linger_ms=20)
    await producer.start()
    for _ in range(5):  # of one key: a rule is asked only where several wait
        await producer.send(f"{kafka.kafka_topic_prefix}{CALL_COMPLETED.name}", b'{"phone_number": "+1"}', key=b"k")
    await producer.stop()
    command = (sys.executable, "-m", "tests.wire.lanes.member", str(tmp_path / "seen"), "bug")
    member = await asyncio.create_subprocess_exec(
        *command, env=environment, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, said = await member.communicate()
    assert member.returncode == 1, (out + said).decode()
    assert "a bug in a cut" in (out + said).decode()
