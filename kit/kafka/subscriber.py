"""A FastStream subscriber whose consume loop feeds lanes. The only file that imports FastStream's internals (ADR 0015).

Everything else of FastStream stays as it is: registration, middlewares, test broker, AsyncAPI, start and stop. Rules
learnt from aiokafka 0.14: select the partitions to poll, never `pause()` (it throws prefetched records away); never
cancel a poll (it disables the poll-interval guard for good); bound every commit and every stop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream._internal.broker.registrator import Registrator
from faststream._internal.endpoint.subscriber.call_item import CallsCollection
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.schemas import Topic as StreamTopic
from faststream.kafka.subscriber.config import KafkaSubscriberConfig, KafkaSubscriberSpecificationConfig
from faststream.kafka.subscriber.specification import KafkaSubscriberSpecification
from faststream.kafka.subscriber.usecase import LogicSubscriber

from kit.kafka import clients
from kit.kafka.committer import Committer
from kit.kafka.delivery import Delivery, Raw
from kit.kafka.dropped import dropped_requests
from kit.kafka.gauges import LaneGauges
from kit.lanes import LaneExecutor, Run
from kit.logs import get_log
from kit.metrics import Metrics

__all__ = ["Call", "KeyedSubscriber", "Timing", "keyed"]

NOWHERE = TopicPartition("-", 0)  # polled when nothing is wanted: keeps the poll clock, and asks for no record
Call = Callable[[Run[Delivery]], Any]
OnRevoked = Callable[[], Awaitable[None]]
Build = Callable[[Call, Callable[[BaseException], None]], LaneExecutor[Raw, Delivery]]


@dataclass(frozen=True)
class Timing:
    """Seconds. What they have to do with one another is the point of them."""

    poll: float = 0.2
    """A poll ends by its own time-out; a stop waits for that."""
    poll_error: float = 1.0
    """Before the next poll after an error of the coordinator."""
    revoke_grace: float = 12.0
    """For running handlers when partitions move; with commit and slack below the rebalance time-out of 45."""
    drain: float = 25.0
    """The same on SIGTERM; with all that follows 45 at most, below the container's grace of 60."""
    stop: float = 5.0
    """For aiokafka's own stop, which may hang while the broker is away."""


class KeyedSubscriber(LogicSubscriber[Run[Delivery]]):
    """Polls for the sources its lanes want, and gives back what it may not take.

    The subtle point is the hand-over: after a rebalance aiokafka hands out records of a partition before
    `on_partitions_assigned` has returned. A record for which no ledger is open is never dropped: we seek back to it.
    """

    def __init__(
        self,
        config: KafkaSubscriberConfig,
        specification: KafkaSubscriberSpecification,
        calls: CallsCollection[Any],
        build: Build,
        metrics: Metrics,
        timing: Timing,
        name: str,
        on_revoked: OnRevoked | None = None,
        gauges: LaneGauges | None = None,
    ) -> None:
        self._on_revoked = on_revoked
        self._name = name
        self._gauges = gauges
        metrics.look(self._show)
        self.parser = _RunParser()  # type: ignore[assignment]  # runs take the place of records
        config.parser = self.parser.parse_message
        config.decoder = self.parser.decode_message
        config.listener = _Listener(self)
        super().__init__(config, specification, calls)
        self.timing = timing
        self.polled_at: float | None = None
        self._build = build
        self._metrics = metrics
        self._logger = get_log("subscriber")
        self.failed: asyncio.Future[BaseException] | None = None
        """Done when a bug was met: the process shall end, and say so."""
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.executor: LaneExecutor[Raw, Delivery] | None = None
        self._committer: Committer | None = None
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._draining = False
        self._committer = None  # a start after a stop, or after a start that failed, has another consumer
        self.failed = asyncio.get_running_loop().create_future()
        self.executor = self._build(self._through_faststream, self._crash)
        await super().start()
        assert self.consumer is not None  # noqa: S101
        self.polled_at = asyncio.get_running_loop().time()
        self._ticker = asyncio.create_task(self._committed().run(), name=f"commit {self.group_id}")

    async def stop(self) -> None:
        """Stop polling, let running handlers finish, commit, leave the group. Bounded, also with the broker away."""
        if self.executor is None or self._draining:
            return
        self._draining = True
        marks = await asyncio.shield(self.executor.close(self.executor.sources, self.timing.drain))
        if self.consumer is not None:
            await self._committed().flush(marks)
        if self._ticker:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.timing.stop):
                await self._idle.wait()
        self.polled_at = None  # none is expected: while a start is tried again nobody may call us stuck
        await self._leave()

    async def _leave(self) -> None:
        try:
            if not await clients.within(self.timing.stop, super().stop()):
                self._logger.warning("the consumer did not stop, and is dropped", group=self.group_id)
        finally:
            await clients.discard(self.consumer)

    async def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Inside aiokafka's coordinator: heartbeats go on meanwhile."""
        if self.executor is None:
            return
        began = asyncio.get_running_loop().time()
        self._metrics.count("hilo_rebalances_total", group=self._name)
        marks = await asyncio.shield(self.executor.close(list(partitions), self.timing.revoke_grace))
        await self._committed().flush(marks)
        self._metrics.observe("hilo_revoke_seconds", asyncio.get_running_loop().time() - began, group=self._name)
        if self._on_revoked:
            await self._on_revoked()

    async def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """Eager protocol: whatever a failed revocation left open is forgotten. Opening comes last."""
        if self.executor is None or self._draining:
            return
        self.executor.forget()
        for partition in partitions:
            self.executor.open(partition)

    async def _run_consume_loop(self, consumer: AIOKafkaConsumer) -> None:
        self._idle.clear()
        try:
            while self.running and not self._draining:
                try:
                    with dropped_requests():  # also what is left of a coordinator that was cancelled
                        await self._poll(consumer)
                except ConsumerStoppedError:
                    return
                except KafkaError as error:
                    self._logger.warning("poll failed", group=self.group_id, error=type(error).__name__)
                    await asyncio.sleep(self.timing.poll_error)
                except Exception as error:  # noqa: BLE001  # FastStream would go on behind what this poll has lost
                    self._crash(error)
                    return
                else:  # aiokafka's coordinator may die for good: then every poll fails, and we must not look alive
                    self.polled_at = asyncio.get_running_loop().time()
        finally:
            self._idle.set()

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        executor = self.executor
        assert executor is not None  # noqa: S101
        room = executor.room
        wanted: list[Any] = executor.wanted() if room else []
        if not wanted:
            await consumer.getmany(NOWHERE, timeout_ms=0)
            await executor.wait_room(self.timing.poll)
            return
        found = await consumer.getmany(*wanted, timeout_ms=int(self.timing.poll * 1000), max_records=room)
        for partition, records in found.items():
            for record in records:
                if not executor.admit(partition, record.offset, record.key, record):
                    self._give_back(consumer, partition, record.offset)
                    break
        executor.pump()

    def _give_back(self, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> None:
        self._metrics.count("hilo_given_back_total", group=self._name)
        with suppress(IllegalStateError):  # it is somebody else's by now
            consumer.seek(partition, offset)

    def _crash(self, error: BaseException) -> None:
        self._logger.critical("a bug in the lanes", group=self.group_id, exc_info=error)
        if self.failed and not self.failed.done():
            self.failed.set_result(error)

    async def _through_faststream(self, run: Run[Delivery]) -> int | None:
        """Middlewares, codec and the handler's wrapper, as for any message; errors come out, unlike from `consume`."""
        answer = await self.process_message(run)
        settled: int | None = answer.body
        return settled

    def _show(self) -> None:
        if self._gauges and self.executor and self.polled_at is not None:
            self._gauges.show(self.executor, asyncio.get_running_loop().time() - self.polled_at)

    def _committed(self) -> Committer:
        assert self.consumer is not None  # noqa: S101
        assert self.executor is not None  # noqa: S101
        if self._committer is None:
            self._committer = Committer(self.consumer, self.executor, self._metrics)
        return self._committer

    async def get_msg(self, consumer: AIOKafkaConsumer) -> Run[Delivery]:
        raise NotImplementedError("runs come from the lanes")

    def get_log_context(self, message: Any) -> dict[str, str]:
        context: dict[str, str] = self.build_log_context(message, ",".join(self.topic_names), self.group_id)
        return context


class _RunParser:
    """A run is parsed already: its records were decoded at admission."""

    def _setup(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def parse_message(self, run: Run[Delivery]) -> KafkaMessage:
        first = run.records[0]
        return KafkaMessage(
            raw_message=run,
            body=run,
            consumer=self._consumer,
            correlation_id=first.envelope.id,
            message_id=str(first.position),
        )

    async def decode_message(self, message: KafkaMessage) -> Run[Delivery]:
        run: Run[Delivery] = message.body  # type: ignore[assignment]  # `parse_message` put it there
        return run


class _Listener(ConsumerRebalanceListener):
    def __init__(self, subscriber: KeyedSubscriber) -> None:
        self._subscriber = subscriber

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._subscriber.revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._subscriber.assigned(assigned)


def keyed(
    broker: KafkaBroker,
    topic: str,
    call: Call,
    *,
    group: str,
    options: dict[str, Any],
    build: Build,
    metrics: Metrics,
    timing: Timing,
    name: str = "",
    on_revoked: OnRevoked | None = None,
    gauges: LaneGauges | None = None,
) -> KeyedSubscriber:
    """Register a keyed subscriber with a broker. FastStream's own factory has no place for another class.

    `name`: the group's, without prefix, for the metrics.
    """
    topics = [StreamTopic(topic, declare=False)]
    calls: CallsCollection[Any] = CallsCollection()
    config = KafkaSubscriberConfig(
        topics=topics,
        connection_args=options,
        group_id=group,
        no_reply=True,
        _outer_config=broker.config,  # type: ignore[arg-type]
        _ack_policy=AckPolicy.MANUAL,
    )
    specification = KafkaSubscriberSpecification(
        _outer_config=broker.config,  # type: ignore[arg-type]
        calls=calls,
        specification_config=KafkaSubscriberSpecificationConfig(
            topics=topics, title_=None, description_=None, include_in_schema=True
        ),
    )
    subscriber = KeyedSubscriber(config, specification, calls, build, metrics, timing, name, on_revoked, gauges)
    Registrator.subscriber(broker, subscriber)
    subscriber.add_call(parser_=None, decoder_=None, dependencies_=())
    subscriber(call)
    return subscriber
