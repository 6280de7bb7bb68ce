"""A cluster whose faults are on demand, and what talks to it."""

from collections.abc import AsyncIterator

import pytest

from kit.kafka import topics
from kit.kafka.broker import client_options
from kit.kafka.outlet import Outlet
from kit.service import Tools
from kit.settings import KafkaSettings
from schemas.topics import CALL_COMPLETED, DEAD_LETTERS
from tests.mock_cluster import MockCluster, mock_cluster, slow_leader
from tests.wire.lanes.handling import PARTITIONS, Consume, Seen, consuming


@pytest.fixture
async def cluster(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MockCluster]:
    slow_leader(monkeypatch)
    async with mock_cluster() as running:
        running.create_topic(CALL_COMPLETED.name, PARTITIONS)
        running.create_topic(DEAD_LETTERS.name, 1)
        yield running


@pytest.fixture
def faulty(cluster: MockCluster, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    """Settings of that cluster. It has the topics, but cannot describe their configuration."""

    async def nothing_missing(_settings: KafkaSettings) -> list[topics.Finding]:
        return []

    monkeypatch.setattr(topics, "check", nothing_missing)
    return KafkaSettings(
        kafka_bootstrap_servers=cluster.bootstrap_servers, kafka_session_timeout_ms=1500, _env_file=None
    )


@pytest.fixture
async def faulty_outlet(faulty: KafkaSettings, tools: Tools) -> AsyncIterator[Outlet]:
    outlet = Outlet(client_options(faulty), "", tools.clock, tools.metrics)
    await outlet.start()
    await outlet.wait_ready(10)
    yield outlet
    await outlet.stop()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def consume(faulty: KafkaSettings, faulty_outlet: Outlet, tools: Tools) -> Consume:
    return consuming(faulty, faulty_outlet, tools)
