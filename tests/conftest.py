"""What every tier shares: the local stack, started once, and a clock that only tests move."""

import asyncio
import gc
import logging
import os
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kit import logs
from kit.kafka import topics
from kit.kafka.outlet import Outlet
from kit.metrics import Metrics
from kit.mongo import Database, Mongo
from kit.service import Tools
from kit.settings import KafkaSettings, MongoSettings
from sandbox.stack.stack import Stack
from tests.running import connected

PARTITIONS = 3
# A phone number in any spelling that has a sign, and the secrets that tests and simulators use.
TELLTALE = re.compile(
    r"(\+|%2B|whatsapp:|whatsapp%3A)\d{7}"
    r"|s3cret|simulated-auth-token|wsec_sim|sk_sim|(first|second)-api-token|sekreto",
    re.IGNORECASE,
)


def pytest_configure() -> None:
    """Until everything is collected: a garbage collection while CPython 3.11 parses a file can fail it (gh-106905)."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stack",
        choices=("embedded", "containers", "env"),
        default="embedded",
        help="Kafka and MongoDB: on the JRE wheel, in containers, or KAFKA_BOOTSTRAP_SERVERS and MONGODB_URI",
    )


class FakeClock:
    """Moves only when told to; a sleep moves it at once and is remembered."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        self._monotonic = 1000.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)

    async def sleep_until(self, moment: datetime) -> None:
        await self.sleep(max(0.0, (moment - self._now).total_seconds()))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tools(clock: FakeClock) -> Tools:
    return Tools("test", clock, Metrics())


@pytest.fixture(scope="session", autouse=True)
def _lines() -> logging.Formatter:
    """Logs as a service makes them; pytest keeps its own handlers."""
    logging.getLogger().setLevel(logging.INFO)
    logs.hush()
    return logs.structure("test")


@pytest.fixture(autouse=True)
def _logs_are_fit_to_be_read(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, _lines: logging.Formatter
) -> Iterator[None]:
    """No line of any test shows a phone number or a secret; none is an ERROR unless the test says it expects one."""
    yield
    records = [one for phase in ("setup", "call") for one in caplog.get_records(phase)]
    shown = [line for line in (_lines.format(record) for record in records) if TELLTALE.search(line)]
    assert not shown, shown
    if request.node.get_closest_marker("expects_errors"):
        return
    found = [one for one in caplog.get_records("call") if one.levelno >= logging.ERROR and ours(one)]
    assert not found, [one.getMessage() for one in found]


def ours(record: logging.LogRecord) -> bool:
    """A line of ours, or one about a handler of ours that broke."""
    return isinstance(record.msg, logs.Finished) or record.name == "uvicorn.error"


@pytest.fixture(scope="session")
async def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Real Kafka and a MongoDB wire server; what cannot be started fails every test that needs it."""
    kind = request.config.getoption("--stack")
    data = tmp_path_factory.mktemp("stack")
    if kind == "containers":
        async for one in _containers(data):
            yield one
        return
    given = os.environ if kind == "env" else {}
    async with Stack(data, kafka=given.get("KAFKA_BOOTSTRAP_SERVERS"), mongo=given.get("MONGODB_URI")) as running:
        yield running


async def _containers(data: Path) -> AsyncIterator[Stack]:
    from testcontainers.kafka import KafkaContainer
    from testcontainers.mongodb import MongoDbContainer

    with KafkaContainer("apache/kafka:4.1.1") as kafka, MongoDbContainer("mongo:8.0.15") as mongo:
        yield Stack(data, kafka=kafka.get_bootstrap_server(), mongo=mongo.get_connection_url())


@pytest.fixture
def mongo_uri(stack: Stack) -> str:
    return stack.mongodb_uri


@pytest.fixture
async def wire_database(mongo_uri: str) -> AsyncIterator[Database]:
    """On a MongoDB-wire server: empty, with its indexes; gone afterwards."""
    settings = MongoSettings(mongodb_uri=mongo_uri, mongodb_database=f"test_{uuid.uuid4().hex[:12]}", _env_file=None)
    mongo = Mongo(settings)
    await mongo.start()
    yield mongo.database
    await mongo.database.client.drop_database(mongo.database.name)
    await mongo.stop()


@pytest.fixture
def database(wire_database: Database) -> Database:
    return wire_database


@pytest.fixture
async def kafka(stack: Stack) -> KafkaSettings:
    """Settings with a prefix of its own: topics that no other test sees."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=stack.bootstrap_servers,
        kafka_topic_prefix=f"t{uuid.uuid4().hex[:8]}.",
        kafka_session_timeout_ms=6000,
        _env_file=None,
    )
    await topics.create(settings, PARTITIONS)
    return settings


@pytest.fixture
async def outlet(kafka: KafkaSettings, tools: Tools) -> AsyncIterator[Outlet]:
    async with connected(kafka, tools) as running:
        yield running
