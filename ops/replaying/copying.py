"""Records put somewhere else, or back on their own topic: same key, headers and bytes, marked with where they stood."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from kit.clock import Clock
from kit.errors import Poison
from kit.kafka.broker import client_options, prefixed
from kit.kafka.outlet import Outlet
from kit.kafka.reading import Stored
from kit.kafka.topics import admin
from kit.metrics import Metrics
from kit.settings import KafkaSettings
from ops.replaying.chosen import WrongChoice
from schemas.attributes import WireRecord

__all__ = ["REPLAYED", "Copied", "Copying", "elsewhere", "open_outlet", "require_target"]

REPLAYED = "hilo_replayed_"
PREFIX = re.compile(r"[A-Za-z0-9._-]*")
SERVERS = re.compile(r"[^\s,:@]+:\d{1,5}(,[^\s,:@]+:\d{1,5})*")
S = TypeVar("S", bound=KafkaSettings)


@dataclass(slots=True)
class Copied:
    done: int = 0
    left: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    """Position → why it was left out."""


class Copying:
    """One record after the other, so that order is kept.

    An interruption may leave one put there and not counted: its id makes another copy harmless.
    """

    def __init__(self, outlet: Outlet, clock: Clock, *, by: str, mode: str) -> None:
        self._outlet = outlet
        self._clock = clock
        self._by = by
        self._mode = mode

    async def copy(self, records: Sequence[Stored], copied: Copied, *, rate: float = 0) -> AsyncGenerator[int, None]:
        """`rate` a second, 0 as fast as it goes. `copied` tells how far it came, also when this raises BrokerDown."""
        copied.left = len(records)
        for number, one in enumerate(records):
            if number and rate:
                await self._clock.sleep(1 / rate)
            try:
                await self._outlet.publish_record(one.position.topic, self._marked(one))
                copied.done += 1
            except Poison as error:
                copied.skipped[str(one.position)] = str(error)
            copied.left -= 1
            yield number + 1

    def _marked(self, stored: Stored) -> WireRecord:
        about = {"from": str(stored.position), "by": self._by, "at": self._clock.now().isoformat(), "mode": self._mode}
        kept = [(name, value) for name, value in stored.record.headers if not name.startswith(REPLAYED)]
        headers = [*kept, *((REPLAYED + name, text.encode()) for name, text in about.items())]
        return WireRecord(stored.record.key, stored.record.value, headers)


def elsewhere(settings: S, into: str) -> S:
    """The same settings for `PREFIX`, `SERVERS` or `PREFIX@SERVERS`. Raises WrongChoice."""
    before, at, after = into.strip().rpartition("@")
    prefix, servers = (before, after) if at or ":" in after else (after, "")
    if not after or not PREFIX.fullmatch(prefix) or (servers and not SERVERS.fullmatch(servers)):
        raise WrongChoice(
            f"--into {into!r}: write a prefix as test. or servers as host:9092, or both as test.@host:9092"
        )
    known = {"kafka_topic_prefix": prefix, "kafka_bootstrap_servers": servers or settings.kafka_bootstrap_servers}
    return settings.model_copy(update=known)


async def require_target(here: KafkaSettings, there: KafkaSettings, topic: str) -> None:
    """It is not the very topic the records come from, and it exists. Raises WrongChoice, BrokerDown."""
    cluster, topics = await _cluster(there)
    if prefixed(here, topic) == prefixed(there, topic) and cluster == (await _cluster(here))[0]:
        raise WrongChoice(f"--into is where the records come from: to put them back on {topic} there is --again")
    if prefixed(there, topic) not in topics:
        how = f"KAFKA_TOPIC_PREFIX={there.kafka_topic_prefix} "
        how += f"KAFKA_BOOTSTRAP_SERVERS={there.kafka_bootstrap_servers} hilo topics create"
        raise WrongChoice(f"there is no topic {prefixed(there, topic)}: run `{how}`")


async def _cluster(settings: KafkaSettings) -> tuple[str, set[str]]:
    """Its own name for itself: two spellings of one address are one cluster."""
    async with admin(settings) as client:
        about = await client.describe_cluster()
        return str(about.get("cluster_id") or settings.kafka_bootstrap_servers), set(await client.list_topics())


@asynccontextmanager
async def open_outlet(settings: KafkaSettings) -> AsyncIterator[Outlet]:
    """Raises BrokerDown."""
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, settings.clock(), Metrics())
    await outlet.start()
    try:
        await outlet.wait_ready(5)
        yield outlet
    finally:
        await asyncio.shield(outlet.stop())
