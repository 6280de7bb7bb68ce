"""A send ends in an acknowledgement or in an error, also with the broker away; the outlet comes back by itself."""

import asyncio
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from kit.errors import BrokerDown, Poison
from kit.kafka import topics
from kit.kafka.broker import client_options
from kit.kafka.dead_letters import KEPT, DeadLetters, Position
from kit.kafka.outlet import Outlet
from kit.service import Tools
from kit.settings import KafkaSettings
from sandbox.stack.kafka import KafkaServer
from sandbox.stack.ports import free_ports
from schemas.attributes import WireRecord
from schemas.topics import CONTACT_LOG, DEAD_LETTERS
from tests.mock_cluster import mock_cluster
from tests.running import eventually, records, taken

RECORD = WireRecord(b"key", b"value", [("name", b"v")])


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[KafkaServer]:
    """A broker of its own, on a port it keeps: this test kills it."""
    async with KafkaServer(tmp_path, free_ports(1)[0]) as server:
        yield server


async def test_a_record_arrives_as_it_was_given(outlet: Outlet, kafka: KafkaSettings) -> None:
    await outlet.publish_record(CONTACT_LOG.name, RECORD)
    (found,) = await records(kafka, CONTACT_LOG.name)
    assert (found.key, found.value, list(found.headers)) == (b"key", b"value", [("name", b"v")])


async def test_a_broker_that_dies_is_an_error_in_time_and_one_that_returns_is_used_again(
    broker: KafkaServer, tools: Tools
) -> None:
    settings = KafkaSettings(kafka_bootstrap_servers=broker.bootstrap_servers, _env_file=None)
    await topics.create(settings, 1)
    outlet = Outlet(client_options(settings), "", tools.clock, tools.metrics)
    await outlet.start()
    try:
        await outlet.wait_ready(10)
        await broker.kill()
        began = time.monotonic()
        with pytest.raises(BrokerDown) as unsure:
            await outlet.publish_record(CONTACT_LOG.name, RECORD, deadline=1.5)
        assert unsure.value.sent, "nobody knows what the broker did before it died"
        assert time.monotonic() - began < 3
        with pytest.raises(BrokerDown):  # and from now on at once
            await outlet.publish_record(CONTACT_LOG.name, RECORD, deadline=1.5)
        await broker.start()
        back = partial(taken, outlet, CONTACT_LOG.name, RECORD, deadline=2)
        await eventually(back, "a send after the broker's return", within=30)
    finally:
        began = time.monotonic()
        await outlet.stop()
        assert time.monotonic() - began < 7


@pytest.mark.parametrize("fault", ["down", "slow"])
async def test_refusing_thousands_costs_no_memory(tools: Tools, fault: str) -> None:
    """Whether connections break or nothing is answered any more: what was given up is not kept."""
    async with mock_cluster() as cluster:
        cluster.create_topic(CONTACT_LOG.name, 3)
        outlet = Outlet({"bootstrap_servers": cluster.bootstrap_servers}, "", tools.clock, tools.metrics)
        await outlet.start()
        await outlet.wait_ready(10)
        await outlet.publish_record(CONTACT_LOG.name, RECORD)
        cluster.down() if fault == "down" else cluster.slow(5)
        await refused(outlet, 500)
        tracemalloc.start()
        await refused(outlet, 500)
        before = traced()
        await refused(outlet, 5000)
        grown = traced() - before
        tracemalloc.stop()
        cluster.up() if fault == "down" else cluster.slow(0)
        await eventually(lambda: publishes(outlet), "a send after the fault", within=30)
        await outlet.stop()
    assert grown < 500_000, f"{grown} bytes for 5000 refused records of 2 kB"


async def refused(outlet: Outlet, count: int) -> None:
    """A hundred at once, so often that there were `count`."""
    big = WireRecord(b"key", b"x" * 2000)
    for _ in range(count // 100):
        sends = [outlet.publish_record(CONTACT_LOG.name, big, deadline=0.1) for _ in range(100)]
        errors = await asyncio.gather(*sends, return_exceptions=True)
        assert all(isinstance(error, BrokerDown) for error in errors)


async def publishes(outlet: Outlet) -> bool:
    try:
        await outlet.publish_record(CONTACT_LOG.name, RECORD, deadline=2)
    except BrokerDown:
        return False
    return True


def traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def test_without_a_broker_it_starts_at_once_and_refuses_at_once(tools: Tools) -> None:
    settings = KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}", _env_file=None)
    outlet = Outlet(client_options(settings), "", tools.clock, tools.metrics)
    began = time.monotonic()
    await outlet.start()
    with pytest.raises(BrokerDown) as certain:
        await outlet.publish_record(CONTACT_LOG.name, RECORD)
    assert not certain.value.sent
    await outlet.stop()
    assert time.monotonic() - began < 2


async def test_a_producer_whose_sender_task_died_is_replaced(outlet: Outlet, kafka: KafkaSettings) -> None:
    assert outlet._producer is not None
    outlet._producer._sender.sender_task.cancel()
    replaced = partial(taken, outlet, CONTACT_LOG.name, RECORD, deadline=1)
    await eventually(replaced, "a send through a new producer")
    assert await records(kafka, CONTACT_LOG.name)


async def test_a_record_of_one_mebibyte_fits_into_the_dead_letters_with_its_headers(
    outlet: Outlet, kafka: KafkaSettings
) -> None:
    big = WireRecord(b"key", b"x" * 1024 * 1024, [("about", b"y" * 10_000)])
    await outlet.publish_record(DEAD_LETTERS.name, big)
    assert len((await records(kafka, DEAD_LETTERS.name))[0].value or b"") == 1024 * 1024


@pytest.mark.expects_errors  # a burial is one
async def test_what_is_too_large_even_for_a_dead_letter_is_buried_in_part(
    outlet: Outlet, kafka: KafkaSettings, tools: Tools
) -> None:
    """A producer that compresses gets more through than we can send: its partition must not stand still for ever."""
    huge = WireRecord(b"key", b"x" * 4 * 1024 * 1024, [("about", b"y")])
    letters = DeadLetters(outlet, tools.clock, tools.metrics)
    await letters.bury(huge, Position("call.completed", 0, 7), group="g", reason="too_large", detail="")
    (found,) = await records(kafka, DEAD_LETTERS.name)
    headers = dict(found.headers)
    assert (found.key, len(found.value or b"")) == (b"key", KEPT)
    assert (headers["hilo_dead_cut"], "about" in headers) == (b"4194304", False)


async def test_a_record_no_broker_would_take_is_poison(outlet: Outlet) -> None:
    with pytest.raises(Poison):
        await outlet.publish_record(CONTACT_LOG.name, WireRecord(b"key", b"x" * 4 * 1024 * 1024))
