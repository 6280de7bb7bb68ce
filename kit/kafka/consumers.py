"""The subscribers of one process, on one FastStream broker: one consumer and one group for each topic."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from kit.errors import BrokerDown, Misconfigured
from kit.kafka import clients, topics
from kit.kafka.broker import prefixed, ssl_context
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.gauges import LaneGauges
from kit.kafka.lanes import Subscription, executor
from kit.kafka.subscriber import KeyedSubscriber, Timing, keyed
from kit.logs import get_log
from kit.service import Tools
from kit.settings import KafkaSettings

__all__ = ["Consumers"]

RETRY_S = 2.0
STALE_S = 90.0  # a consumer that has not polled for so long is stuck (aiokafka#1154)


class Consumers:
    """Starts when Kafka is there and the topics are; stops after running handlers finished."""

    def __init__(
        self,
        settings: KafkaSettings,
        subscriptions: Sequence[Subscription],
        letters: DeadLetters,
        tools: Tools,
        timing: Timing | None = None,
    ) -> None:
        self._settings = settings
        self._letters = letters
        self._tools = tools
        self._log = get_log("consumers")
        self._broker = _broker(settings)
        self.subscribers = [self._subscriber(one, timing or Timing()) for one in subscriptions]

    @property
    def alive(self) -> bool:
        """Whether every consumer has polled lately. A broker that is away for a while does not change that."""
        polled = [one.polled_at for one in self.subscribers if one.polled_at is not None]
        return not polled or asyncio.get_running_loop().time() - min(polled) < STALE_S

    @property
    def failures(self) -> list[asyncio.Future[BaseException]]:
        return [one.failed for one in self.subscribers if one.failed is not None]

    async def start(self) -> None:
        """Waits for a broker that is away. Raises Misconfigured when a topic is missing."""
        try:
            await self._start()
        except asyncio.CancelledError:
            await self.stop()  # one that has joined already must leave, or its partitions wait out the session
            raise

    async def _start(self) -> None:
        while True:
            try:
                await self._require_topics()
                await clients.start(self._broker)
            except (BrokerDown, KafkaError, OSError) as error:
                self._log.warning("Kafka not reached", error=str(error), retry_in_s=RETRY_S)
                await self.stop()  # FastStream would start a second time what has started already
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def stop(self) -> None:
        """All at once: each drains, commits and leaves its group."""
        await asyncio.gather(*(subscriber.stop() for subscriber in self.subscribers))
        await self._broker.stop()

    def _subscriber(self, wanted: Subscription, timing: Timing) -> KeyedSubscriber:
        group = prefixed(self._settings, wanted.topic.group or "")
        return keyed(
            self._broker,
            prefixed(self._settings, wanted.topic.name),
            wanted.handler,
            group=group,
            options=self._options(),
            build=partial(executor, wanted, letters=self._letters, group=group, tools=self._tools),
            metrics=self._tools.metrics,
            timing=timing,
            on_revoked=wanted.on_revoked,
            name=wanted.topic.group or "",
            gauges=LaneGauges(wanted.topic.name, self._tools.metrics, self._tools.clock),
        )

    def _options(self) -> dict[str, Any]:
        session = self._settings.kafka_session_timeout_ms
        return {
            "auto_offset_reset": "earliest",  # a new group must not skip; the decision absorbs a replay
            "isolation_level": "read_committed",
            "partition_assignment_strategy": (StickyPartitionAssignor,),  # one only: aiokafka joins once for each
            "session_timeout_ms": session,
            "heartbeat_interval_ms": min(session // 5, 1000),  # by its answer the others learn of a rebalance
            "rebalance_timeout_ms": 45_000,  # or a drain longer than the session would expel us
            "max_poll_interval_ms": 300_000,
            "max_partition_fetch_bytes": 256 * 1024,  # bounds what is prefetched; a larger record still comes
            "fetch_max_wait_ms": 250,
        }

    async def _require_topics(self) -> None:
        missing = [one.subject for one in await topics.check(self._settings) if one.state == "fail"]
        if missing:
            raise Misconfigured([f"topic {name} is missing: run `hilo topics create`" for name in missing])


def _broker(settings: KafkaSettings) -> KafkaBroker:
    """FastStream's broker for subscribers. Publishing goes through the outlet, which has deadlines."""
    return KafkaBroker(
        settings.kafka_bootstrap_servers,
        security=_security(settings),
        consumer_only=True,
        apply_types=False,  # handlers take a run as it is; injection costs a thread hop a message
        allow_auto_create_topics=False,  # FastStream would create a missing topic with one partition
        logger=None,  # one line of ours per outcome instead of two of its per record
        graceful_timeout=25.0,  # s; `None` would mean "do not wait"
    )


def _security(settings: KafkaSettings) -> BaseSecurity | None:
    context, encrypted = ssl_context(settings), settings.kafka_security_protocol in {"SSL", "SASL_SSL"}
    if not settings.kafka_security_protocol.startswith("SASL"):
        return BaseSecurity(ssl_context=context, use_ssl=True) if encrypted else None
    kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    password = settings.kafka_sasl_password
    return kinds[settings.kafka_sasl_mechanism](
        username=settings.kafka_sasl_username or "",
        password=password.get_secret_value() if password else "",
        ssl_context=context,
        use_ssl=encrypted,
    )
