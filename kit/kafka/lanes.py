"""Lanes for one topic: our errors as fates, burial in `dead.letters`, and every outcome counted."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from kit.errors import DependencyDown, Poison, Wait
from kit.kafka.dead_letters import DeadLetters, Position
from kit.kafka.delivery import Delivery, Raw, decoder, wire
from kit.kafka.spans import burying, processing
from kit.lanes import Burial, LaneExecutor, Limits, Observer, RetryPolicy, Run
from kit.logs import get_log
from kit.metrics import Metrics
from kit.service import Tools
from schemas.topics import Topic

__all__ = ["Cut", "Handler", "Subscription", "executor"]

Handler = Callable[[Run[Delivery]], Awaitable[int | None]]
Cut = Callable[[Sequence[Delivery]], int]
OnBuried = Callable[[Position, Exception, Delivery | None], Awaitable[None]]
POLICY = RetryPolicy(poison=(Poison,), down=(DependencyDown,), wait=(Wait,))


@dataclass(frozen=True)
class Subscription:
    """What a service wants of a topic."""

    topic: Topic
    handler: Handler
    """Gets a run, settles it by returning None, or its first n records by returning n. A repeat must be harmless."""
    cut: Cut | None = None
    """How many of the records that wait make up one run; one, without it."""
    on_buried: OnBuried | None = None
    """Called after a burial, and again if it fails: its effects must bear a repeat. None: it did not decode."""
    on_revoked: Callable[[], Awaitable[None]] | None = None
    """Called when partitions were taken away, after their handlers ended: whatever is kept per contact is stale now."""
    limits: Limits = field(default_factory=Limits)
    policy: RetryPolicy = POLICY


def executor(
    subscription: Subscription,
    handle: Handler,
    crash: Callable[[BaseException], None],
    *,
    letters: DeadLetters,
    group: str,
    tools: Tools,
) -> LaneExecutor[Raw, Delivery]:
    """Lanes whose sources are topic-partitions. `handle` is the subscription's handler, through FastStream."""
    topic = subscription.topic

    async def work(run: Run[Delivery]) -> int | None:
        with processing(topic, group, run):
            return await handle(run)

    async def bury(burial: Burial[Raw]) -> None:
        position = Position(topic.name, burial.raw.partition, burial.offset)
        with burying(topic, group, burial.raw, position, burial.reason):
            about = {"reason": burial.reason, "detail": _detail(burial.error)}
            await letters.bury(wire(burial.raw), position, group=group, attempts=burial.attempts, **about)
            if subscription.on_buried:
                await subscription.on_buried(position, burial.error, _decoded(topic, burial.raw))

    return LaneExecutor(
        work,
        decode=decoder(topic),
        bury=bury,
        policy=subscription.policy,
        clock=asyncio.get_running_loop().time,
        crash=crash,
        limits=subscription.limits,
        cut=subscription.cut,
        observer=Counting(topic.name, tools.metrics),
    )


def _decoded(topic: Topic, raw: Raw) -> Delivery | None:
    try:
        return decoder(topic)(raw)
    except ValueError:
        return None


class Counting(Observer):
    def __init__(self, topic: str, metrics: Metrics) -> None:
        self._topic = topic
        self._metrics = metrics
        self._log = get_log("lanes")

    def started(self, source: Hashable, waited: float) -> None:
        self._metrics.observe("hilo_lane_wait_seconds", waited, topic=self._topic)

    def settled(self, source: Hashable, records: int, seconds: float) -> None:
        for _ in range(records):
            self._count("ok")
        self._metrics.observe("hilo_handler_seconds", seconds, topic=self._topic)

    def buried(self, source: Hashable, reason: str) -> None:
        self._count("buried")

    def put_off(self, source: Hashable, fate: str, error: BaseException, delay: float) -> None:
        self._count(fate)
        unknown = error if fate == "retry" else None
        self._log.warning("put off", source=_name(source), fate=fate, error=_detail(error), exc_info=unknown)

    def regressed(self, source: Hashable) -> None:
        self._log.warning("offsets went back: the topic was truncated or made anew", source=_name(source))

    def frozen(self, source: Hashable) -> None:
        self._metrics.count("hilo_partitions_frozen_total", topic=self._topic)
        self._log.error("most records would be buried: this partition stands still", source=_name(source))

    def _count(self, outcome: str) -> None:
        self._metrics.count("hilo_records_total", topic=self._topic, outcome=outcome)


def _name(source: Hashable) -> str:
    return f"{source.topic}-{source.partition}" if isinstance(source, TopicPartition) else str(source)


def _detail(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
