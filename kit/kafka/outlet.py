"""Publishing with a deadline: a send ends in the broker's acknowledgement or in BrokerDown, never in silence.

aiokafka's idempotent producer waits for ever while the broker is away (its batches never expire), and is dead for good
once its sender task died (aiokafka#1017). So: every send has a deadline of ours, and a supervisor replaces a producer
that died or that let a send run into its deadline. A replaced producer drops what it had queued; those sends fail, and
whoever wanted them sends again with the same id.
"""

import asyncio
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from kit.clock import Clock
from kit.errors import BrokerDown, Misconfigured, Poison
from kit.kafka import clients
from kit.kafka.dropped import dropped_requests
from kit.kafka.refusal import refusal
from kit.logs import get_log
from kit.metrics import Metrics
from kit.tracing import SpanKind, inner, outgoing
from schemas.attributes import Envelope, WireRecord, encode
from schemas.events import Event
from schemas.topics import SYSTEM_NOTICES

__all__ = ["Outlet"]

SENDING = {"messaging.system": "kafka", "messaging.operation.name": "send", "messaging.operation.type": "send"}
STOP_S = 5.0  # a producer's stop hangs while the broker is away (aiokafka#1101)
REBUILD_S = (0.2, 2.0)  # first and longest pause between attempts to connect


class Outlet:
    """A supervised producer. `start` returns at once; until the broker is reached every send fails fast.

    A broker that answers and does not take us is a wrong setting while we have never been connected, and ends the
    process. Later it is an outage like any other: somebody is changing passwords or certificates.
    """

    def __init__(self, options: dict[str, Any], prefix: str, clock: Clock, metrics: Metrics) -> None:
        self._options = options
        self._prefix = prefix
        self._clock = clock
        self._metrics = metrics
        self._log = get_log("outlet")
        self._producer: AIOKafkaProducer | None = None
        self._broken = asyncio.Event()
        self._connected = asyncio.Event()
        self._failed: asyncio.Future[BaseException] | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._trusted = False
        """Whether a broker ever took us."""

    @property
    def ready(self) -> bool:
        return self._connected.is_set()

    @property
    def failures(self) -> list[asyncio.Future[BaseException]]:
        return [self._failed] if self._failed else []

    async def start(self) -> None:
        self._failed = asyncio.get_running_loop().create_future()
        self._supervisor = asyncio.create_task(self._supervise(), name="outlet")
        self._supervisor.add_done_callback(self._ended)

    async def wait_ready(self, seconds: float) -> None:
        """Raises BrokerDown when the broker was not reached in time, Misconfigured when it does not take us."""
        connected = asyncio.create_task(self._connected.wait())
        waiting: set[asyncio.Future[Any]] = {connected, *self.failures}
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        connected.cancel()
        if self._connected.is_set():
            return
        for refused in self.failures:
            if refused.done():
                raise refused.result()
        raise BrokerDown(f"Kafka not reached within {seconds:g} s")

    async def publish(self, topic: str, envelope: Envelope[Event], *, deadline: float = 5.0) -> None:
        """Return once every in-sync replica has it. Raises BrokerDown after `deadline` seconds, Poison if too large."""
        about = {**SENDING, "messaging.destination.name": topic, "messaging.message.id": envelope.id}
        with inner(f"send {topic}", envelope.extensions, kind=SpanKind.PRODUCER, attributes=about) as one:
            trace = (
                {**envelope.extensions, **outgoing()} if one.is_recording() else {**outgoing(), **envelope.extensions}
            )
            await self.publish_record(topic, encode(replace(envelope, extensions=trace)), deadline=deadline)
        if topic == SYSTEM_NOTICES.name:
            self._metrics.count("hilo_notices_total", type=type(envelope.data).__name__)

    async def publish_record(
        self, topic: str, record: WireRecord, *, deadline: float = 5.0, partition: int | None = None
    ) -> None:
        """Like `publish`, for bytes that are already encoded, or that never were an event of ours.

        Without a `partition` the key decides.
        """
        producer = self._producer
        if producer is None:
            self._metrics.count("hilo_publish_failures_total", topic=topic)
            raise BrokerDown("Kafka is not connected")
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(deadline):
                with dropped_requests():
                    await producer.send_and_wait(
                        f"{self._prefix}{topic}",
                        record.value,
                        key=record.key,
                        headers=list(record.headers),
                        partition=partition,
                    )
        except MessageSizeTooLargeError:
            raise Poison("too_large", f"{len(record.value or b'')} bytes for {topic}") from None
        except (KafkaError, TimeoutError) as error:
            self._metrics.count("hilo_publish_failures_total", topic=topic)
            if producer is self._producer:
                self._broken.set()
            raise BrokerDown(f"{topic} not acknowledged: {type(error).__name__}", sent=True) from None
        self._metrics.observe("hilo_publish_seconds", self._clock.monotonic() - began, topic=topic)

    async def stop(self) -> None:
        """At most three times STOP_S seconds, and one; what is not acknowledged by then has failed for its sender."""
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        await self._discard()

    async def _supervise(self) -> None:
        while True:
            await self._connect()
            self._trust()
            self._broken.clear()
            self._connected.set()
            await self._until_broken()
            self._connected.clear()
            self._log.warning("producer replaced")
            await self._discard()

    async def _until_broken(self) -> None:
        assert self._producer is not None  # noqa: S101
        broken = asyncio.create_task(self._broken.wait())
        try:
            await asyncio.wait({broken, self._producer._sender.sender_task}, return_when=asyncio.FIRST_COMPLETED)  # noqa: SLF001
        finally:
            broken.cancel()

    async def _connect(self) -> None:
        pause, longest = REBUILD_S
        while True:
            producer = AIOKafkaProducer(
                **self._options,
                enable_idempotence=True,  # acks=all, and no doubles from its own retries
                linger_ms=2,
                request_timeout_ms=5000,
                max_request_size=2 * 1024 * 1024
                + 64 * 1024,  # a dead letter of 1 MiB with its headers; topics cap the rest
            )
            try:
                await clients.start(producer)
            except (KafkaError, OSError) as error:
                await _close(producer)
                refused = await refusal(self._options)
                self._log.warning("Kafka not reached", error=refused or type(error).__name__, retry_in_s=pause)
                self._refuse(refused)
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)
            except BaseException:
                await _close(producer)
                raise
            else:
                self._producer = producer
                return

    def _trust(self) -> None:
        """From now on it is an outage: also what a broker said at first, while somebody was setting it up."""
        if not self._trusted and self._failed and self._failed.done():
            self._failed = asyncio.get_running_loop().create_future()
        self._trusted = True

    def _refuse(self, why: str | None) -> None:
        if why and not self._trusted:
            self._fail(Misconfigured([why]))

    def _ended(self, supervisor: asyncio.Task[None]) -> None:
        """Nothing would ever be published again: the process has to end, and to be started anew."""
        cause = None if supervisor.cancelled() else supervisor.exception()
        self._fail(RuntimeError(f"the outlet's supervisor ended: {cause!r}"))

    def _fail(self, error: BaseException) -> None:
        if self._failed and not self._failed.done():
            self._failed.set_result(error)

    async def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _close(producer)


async def _close(producer: AIOKafkaProducer) -> None:
    closed = False
    try:
        closed = await clients.within(STOP_S, producer.stop())
    finally:
        if not closed:
            await _drop(producer)


async def _drop(producer: AIOKafkaProducer) -> None:
    task = producer._sender.sender_task  # noqa: SLF001
    if task is not None:
        task.cancel()
        await asyncio.wait({task}, timeout=STOP_S)
    await clients.within(STOP_S, producer.client.close())
