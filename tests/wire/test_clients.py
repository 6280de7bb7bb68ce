"""Whoever cuts off a start or a stop of aiokafka's: no socket stays open, no task goes on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator, NoGroupCoordinator
from aiokafka.protocol.metadata import MetadataRequest

from kit.kafka import clients
from kit.kafka.broker import prefixed
from kit.kafka.consumers import Consumers
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.delivery import Delivery
from kit.kafka.groupless import groupless
from kit.kafka.lanes import Subscription
from kit.kafka.outlet import Outlet
from kit.kafka.subscriber import Timing
from kit.kafka.topics import admin
from kit.lanes import Run
from kit.service import Tools
from kit.settings import KafkaSettings
from schemas.topics import CALL_COMPLETED
from tests.running import connected

Opens = Callable[[KafkaSettings, Tools], Coroutine[Any, Any, None]]
Close = Callable[[Any], Awaitable[None]]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[AIOKafkaConnection]]:
    """All that are made during the test; none is open at its end."""
    made: list[AIOKafkaConnection] = []
    connect: Any = AIOKafkaConnection.connect

    async def noted(self: AIOKafkaConnection) -> Any:
        made.append(self)
        return await connect(self)

    monkeypatch.setattr(AIOKafkaConnection, "connect", noted)
    yield made
    assert made
    assert not [one for one in made if one.connected()]


async def _reading(settings: KafkaSettings, _: Tools) -> None:
    async with groupless(settings):
        pass


async def _administering(settings: KafkaSettings, _: Tools) -> None:
    async with admin(settings):
        pass


async def _publishing(settings: KafkaSettings, tools: Tools) -> None:
    async with connected(settings, tools):
        pass


async def _cancelled(work: Coroutine[Any, Any, None], when: asyncio.Event) -> None:
    """And says so."""
    task = asyncio.create_task(work)
    await when.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("opens", [_reading, _administering, _publishing])
async def test_a_start_that_is_cut_off(
    kafka: KafkaSettings,
    tools: Tools,
    connections: list[AIOKafkaConnection],
    opens: Opens,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While it asks for the metadata, on a connection that nobody else knows of."""
    asked = asyncio.Event()
    send: Any = AIOKafkaConnection.send

    def noted(self: AIOKafkaConnection, request: Any, *args: Any, **named: Any) -> Any:
        if isinstance(request, MetadataRequest):
            asked.set()
        return send(self, request, *args, **named)

    monkeypatch.setattr(AIOKafkaConnection, "send", noted)
    await _cancelled(opens(kafka, tools), asked)


@pytest.mark.parametrize("opens", [_reading, _administering, _publishing])
async def test_a_cancellation_that_a_closing_swallows(
    kafka: KafkaSettings, tools: Tools, opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As aiokafka's does while it waits for a task of its own: whoever was cancelled must not go on."""
    closing = asyncio.Event()
    close: Any = AIOKafkaClient.close

    async def swallowing(self: AIOKafkaClient) -> None:
        closing.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await close(self)

    monkeypatch.setattr(AIOKafkaClient, "close", swallowing)
    await _cancelled(opens(kafka, tools), closing)


async def test_a_start_that_has_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        cancelled = False

        async def start(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled = True

    monkeypatch.setattr(clients, "CUT_OFF_S", 0)
    endless = Endless()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await clients.start(endless)
    assert endless.cancelled


async def _hangs(_: Any) -> None:
    await asyncio.Event().wait()


async def _is_cancelled(_: Any) -> None:
    raise asyncio.CancelledError


@pytest.fixture
async def tasks() -> AsyncIterator[None]:
    """None of aiokafka's that the test began goes on."""
    before = asyncio.all_tasks()
    yield
    left: list[Any] = [one.get_coro() for one in asyncio.all_tasks() - before]
    assert [one for one in left if "aiokafka" in one.cr_code.co_filename] == []


@pytest.mark.usefixtures("connections", "tasks")
@pytest.mark.parametrize("broken", [NoGroupCoordinator, Fetcher])
@pytest.mark.parametrize("close", [_hangs, _is_cancelled])
async def test_a_stop_that_breaks_off(
    kafka: KafkaSettings, broken: type, close: Close, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "STOP_S", 0.1)
    partition = TopicPartition(prefixed(kafka, CALL_COMPLETED.name), 0)
    async with groupless(kafka) as consumer:
        consumer.assign([partition])
        await consumer.getmany(timeout_ms=50)
        monkeypatch.setattr(broken, "close", close)


@pytest.mark.usefixtures("connections", "tasks")
@pytest.mark.parametrize("close", [_hangs, _is_cancelled])
async def test_a_group_s_member_that_cannot_leave(
    kafka: KafkaSettings, outlet: Outlet, tools: Tools, close: Close, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not go on beating either: the group would keep a member that reads nothing."""

    async def handle(_: Run[Delivery]) -> None: ...

    letters = DeadLetters(outlet, tools.clock, tools.metrics)
    consumers = Consumers(kafka, [Subscription(CALL_COMPLETED, handle)], letters, tools, Timing(stop=0.1))
    await consumers.start()
    monkeypatch.setattr(GroupCoordinator, "close", close)
    await consumers.stop()
