"""The two servers, for real: what they keep, what they allow, what they say when they cannot."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import AsyncMongoClient
from pymongo.errors import DuplicateKeyError

from sandbox.stack import KafkaServer, MongoServer, StackError, free_ports, port_taken

pytestmark = pytest.mark.stack
TOPIC = "letters"
TWO_MIB = 2 << 20


@pytest.fixture
async def kafka(tmp_path: Path) -> AsyncIterator[KafkaServer]:
    async with KafkaServer(tmp_path) as server:
        yield server


@pytest.fixture
async def mongo(tmp_path: Path) -> AsyncIterator[MongoServer]:
    async with MongoServer(tmp_path, embedded=True) as server:
        yield server


async def create_topic(server: KafkaServer) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap_servers)
    await admin.start()
    try:
        configs = {"max.message.bytes": str(TWO_MIB)}
        await admin.create_topics([NewTopic(TOPIC, 1, 1, topic_configs=configs)])
    finally:
        await admin.close()


async def send(server: KafkaServer, *values: bytes) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=server.bootstrap_servers, max_request_size=TWO_MIB, enable_idempotence=True
    )
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(TOPIC, value)
    finally:
        await producer.stop()


async def read(server: KafkaServer, count: int, group: str | None = None) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=server.bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        session_timeout_ms=1500,
        heartbeat_interval_ms=300,
        max_partition_fetch_bytes=TWO_MIB,
    )
    if group:
        consumer.subscribe([TOPIC])
    else:
        consumer.assign([TopicPartition(TOPIC, 0)])
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            return [(await consumer.getone()).value or b"" for _ in range(count)]
    finally:
        await consumer.stop()


async def test_kafka_carries_records_and_keeps_them_over_kill_and_restart(kafka: KafkaServer) -> None:
    await create_topic(kafka)
    large = b"x" * (TWO_MIB - 1000)
    await send(kafka, b"one", large)
    assert await read(kafka, 2, group="readers") == [b"one", large]

    await kafka.kill()
    assert kafka.child.returncode is not None
    await kafka.start()
    await send(kafka, b"two")
    assert await read(kafka, 3) == [b"one", large, b"two"]

    await kafka.stop()
    await kafka.start()
    assert len(await read(kafka, 3)) == 3


async def test_mongo_keeps_documents_and_its_unique_sparse_index(mongo: MongoServer) -> None:
    for attempt in range(2):
        async with AsyncMongoClient[dict[str, object]](mongo.uri) as client:
            letters = client.hilo.letters
            await letters.create_index("open", unique=True, sparse=True)
            if attempt == 0:
                await letters.insert_many([{"_id": 1, "open": "a"}, {"_id": 2}, {"_id": 3}])
            with pytest.raises(DuplicateKeyError):
                await letters.insert_one({"_id": 4, "open": "a"})
            assert await letters.count_documents({}) == 3
        async with asyncio.timeout(2):
            await mongo.stop()
        assert mongo.child.returncode == 0
        await mongo.start()


async def test_a_restart_keeps_the_port_that_was_free(mongo: MongoServer) -> None:
    before = mongo.uri, mongo.child.pid
    await mongo.restart()
    assert mongo.uri == before[0]
    assert mongo.child.pid != before[1]


@pytest.mark.parametrize("server", [KafkaServer, MongoServer])
async def test_a_port_in_use_is_named_with_its_setting(server: type[KafkaServer | MongoServer], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StackError, match=rf"Port {port} .* --(kafka|mongo)-port"):
            await server(tmp_path, port).start()


async def test_a_server_that_loses_its_free_port_takes_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        offers = [[other.getsockname()[1]], free_ports(1)]
        monkeypatch.setattr("sandbox.stack.mongo.free_ports", lambda _count: offers.pop(0))
        async with MongoServer(tmp_path, embedded=True) as server:
            assert offers == []
            assert not server.uri.endswith(f":{other.getsockname()[1]}")


async def test_a_data_folder_belongs_to_one_server(kafka: KafkaServer, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="in use by another sandbox"):
        await KafkaServer(tmp_path).start()
    with pytest.raises(RuntimeError, match="runs already"):
        await kafka.start()
    assert port_taken(int(kafka.bootstrap_servers.split(":")[1]))


async def test_a_server_that_cannot_start_says_why_and_where(tmp_path: Path) -> None:
    (tmp_path / "mongo").mkdir()
    (tmp_path / "mongo" / "store.mv").write_bytes(b"not a store" * 1000)
    with pytest.raises(StackError, match=r"MongoDB ended with code 1 .*mongo\.log says: .*MVStoreException"):
        await MongoServer(tmp_path, embedded=True).start()


async def test_a_java_that_cannot_run_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kafka" / "log").mkdir(parents=True)
    monkeypatch.setattr("sandbox.stack.java._runtime", lambda: (tmp_path / "no-java", tmp_path))
    with pytest.raises(StackError, match=r"cannot start here \(.*no-java: No such file"):
        await KafkaServer(tmp_path).start()


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="file/kafka cannot be written"):
        await KafkaServer(tmp_path / "file").start()


async def test_a_mongod_on_the_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mongod = tmp_path / "mongod"
    mongod.write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    mongod.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    server = MongoServer(tmp_path / "data")
    assert not server.embedded
    with pytest.raises(StackError, match=r"MongoDB ended with code 3 .* --dbpath \S+/data/mongod --nounixsocket"):
        await server.start()
    assert MongoServer(tmp_path / "data", embedded=True).embedded
