"""Every habit of aiokafka 0.14 that we lean on; each says what breaks in us without it."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, KafkaError

from kit.kafka.broker import client_options
from kit.kafka.consumers import Consumers
from kit.kafka.subscriber import NOWHERE
from kit.kafka.topics import admin
from kit.service import Tools
from kit.settings import KafkaSettings
from schemas.topics import CALL_COMPLETED
from tests.mock_cluster import MockCluster
from tests.running import eventually

TOPIC = CALL_COMPLETED.name
ZERO, ONE = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
Callback = Callable[[], Awaitable[None]]


async def nothing() -> None: ...


class Listener(ConsumerRebalanceListener):
    def __init__(self, revoked: Callback = nothing, assigned: Callback = nothing) -> None:
        self._revoked, self._assigned = revoked, assigned
        self.revocations = 0

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.revocations += bool(list(revoked))
        await self._revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._assigned()


@asynccontextmanager
async def consuming(settings: KafkaSettings, listener: Listener | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    options = {**client_options(settings), "auto_offset_reset": "earliest", "enable_auto_commit": False}
    consumer = AIOKafkaConsumer(
        **options, group_id="g", fetch_max_wait_ms=50, session_timeout_ms=1500, heartbeat_interval_ms=300
    )
    consumer.subscribe([TOPIC], listener=listener)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


@pytest.fixture
async def two_records(faulty: KafkaSettings) -> None:
    """Two in each of the partitions 0 and 1, fetched as one batch."""
    producer = AIOKafkaProducer(**client_options(faulty), linger_ms=50)
    await producer.start()
    for partition in (0, 0, 1, 1):
        await producer.send(TOPIC, b"x", partition=partition)
    await producer.stop()


async def received(consumer: AIOKafkaConsumer, partition: TopicPartition) -> list[int]:
    async with asyncio.timeout(10):
        while not (found := await consumer.getmany(partition, timeout_ms=100, max_records=1)):
            pass
    return [one.offset for one in found[partition]]


@pytest.mark.usefixtures("two_records")
async def test_partitions_that_are_not_asked_for_keep_their_records_or_choosing_would_cost_a_fetch_each_time(
    faulty: KafkaSettings, cluster: MockCluster
) -> None:
    async with consuming(faulty) as consumer:

        async def prefetched() -> bool:
            fetcher: Any = consumer._fetcher
            return {ZERO, ONE} <= set(fetcher._records)

        await eventually(prefetched, "records of both partitions")
        cluster.down()  # from here on nothing can be fetched again
        assert await received(consumer, ZERO) == [0]
        assert await received(consumer, ONE) == [0]
        assert await received(consumer, ONE) == [1]
        assert await received(consumer, ZERO) == [1]
        cluster.up()  # or its stop would wait for a broker


@pytest.mark.usefixtures("two_records")
async def test_polling_nowhere_returns_at_once_and_counts_as_a_poll_or_full_lanes_would_be_expelled(
    faulty: KafkaSettings,
) -> None:
    async with consuming(faulty) as consumer:
        assert await received(consumer, ZERO) == [0]
        consumer._subscription._last_fetch_ended -= 100.0
        assert consumer._subscription.fetcher_idle_time >= 100.0
        async with asyncio.timeout(0.5):
            assert await consumer.getmany(NOWHERE, timeout_ms=0) == {}
        assert consumer._subscription.fetcher_idle_time < 1.0
        assert await received(consumer, ZERO) == [1]


@pytest.mark.usefixtures("two_records")
async def test_what_was_given_back_comes_again_or_it_would_be_lost(faulty: KafkaSettings) -> None:
    async with consuming(faulty) as consumer:
        assert await received(consumer, ZERO) == [0]
        consumer.seek(ZERO, 0)
        assert await received(consumer, ZERO) == [0]


@pytest.mark.usefixtures("two_records")
async def test_records_come_before_our_callback_has_returned_which_is_why_we_give_back(faulty: KafkaSettings) -> None:
    """If this fails aiokafka has closed the race, and the give-back merely rests."""
    opened = asyncio.Event()

    async def assigned() -> None:
        await opened.wait()

    async with consuming(faulty, Listener(assigned=assigned)) as consumer:
        assert await received(consumer, ZERO) == [0]
        assert not opened.is_set()
        opened.set()


@pytest.mark.usefixtures("two_records")
async def test_no_record_comes_while_partitions_are_revoked_or_the_next_owner_would_handle_it_too(
    faulty: KafkaSettings,
) -> None:
    revoking, revoked = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        revoking.set()
        await revoked.wait()

    listener = Listener(revoked=hold)
    revoked.set()
    async with consuming(faulty, listener) as consumer:
        assert await received(consumer, ZERO) == [0]
        revoked.clear()
        revoking.clear()
        coordinator: Any = consumer._coordinator
        coordinator.request_rejoin()
        await revoking.wait()
        assert {ZERO, ONE} <= consumer.assignment()  # so a commit from within is possible
        poll = asyncio.create_task(consumer.getmany(ZERO, timeout_ms=0))
        await asyncio.wait({poll}, timeout=0.3)
        assert not poll.done()
        revoked.set()
        assert not await poll  # of the old assignment nothing is left
        assert await received(consumer, ZERO) == [0]  # and the new one begins at the last commit


async def test_a_commit_takes_plain_offsets_or_no_mark_would_be_written(faulty: KafkaSettings) -> None:
    async with consuming(faulty) as consumer:
        await consumer.getmany(timeout_ms=1000)
        await consumer.commit({ZERO: 7})
        assert await consumer.committed(ZERO) == 7
    async with admin(faulty) as client:  # how `lag.py` reads it
        found = await client.list_consumer_group_offsets("g", partitions=[ZERO])
        assert found[ZERO].offset == 7


async def test_stop_does_not_revoke_or_a_drain_would_happen_twice(faulty: KafkaSettings) -> None:
    listener = Listener()
    async with consuming(faulty, listener) as consumer:
        await consumer.getmany(timeout_ms=1000)
        assert consumer.assignment()
    assert listener.revocations == 0
    with pytest.raises(ConsumerStoppedError):  # what ends our consume loop
        await consumer.getmany(ZERO)


async def test_aiokafka_takes_every_option_of_ours_or_no_consumer_could_be_built(
    faulty: KafkaSettings, tools: Tools
) -> None:
    taken = set(inspect.signature(AIOKafkaConsumer.__init__).parameters)
    letters: Any = None
    assert set(Consumers(faulty, [], letters, tools)._options()) <= taken


def test_the_errors_that_the_committer_tells_apart_are_of_the_class_that_the_loop_survives() -> None:
    assert issubclass(CommitFailedError, KafkaError)
    assert issubclass(ConsumerStoppedError, Exception)


async def test_a_producer_shows_its_sender_task_or_the_outlet_could_not_tell_that_it_died(
    faulty: KafkaSettings,
) -> None:
    producer = AIOKafkaProducer(**client_options(faulty), enable_idempotence=True)
    await producer.start()
    task = producer._sender.sender_task
    assert isinstance(task, asyncio.Task)
    assert not task.done()
    await producer.stop()
    assert task.done()
    await producer.client.close()  # a second time is harmless
