"""Provision and verify the topic table. Never raises a partition count: keys would move, and order be lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

from kit.errors import BrokerDown
from kit.kafka import clients
from kit.kafka.broker import client_options, prefixed
from kit.kafka.dropped import dropped_requests
from kit.kafka.refusal import not_reached
from kit.settings import KafkaSettings
from schemas.topics import TOPICS, Topic

__all__ = ["Finding", "admin", "check", "create"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `hilo topics` and `hilo doctor`."""

    subject: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""


@asynccontextmanager
async def admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Raises BrokerDown, or Misconfigured where a broker answers and does not take us."""
    client = AIOKafkaAdminClient(**client_options(settings), request_timeout_ms=5000)
    try:
        await clients.start(client)
        with dropped_requests():
            yield client
    except (KafkaError, OSError) as error:
        raise await not_reached(settings, error) from None
    finally:
        await clients.within(clients.STOP_S, client.close())


async def create(settings: KafkaSettings, partitions: int | None = None) -> list[Finding]:
    """Create what is missing; what exists is left as it is and checked. Raises BrokerDown."""
    async with admin(settings) as client:
        present = set(await client.list_topics())
        missing = [topic for topic in TOPICS if prefixed(settings, topic.name) not in present]
        if missing:
            response = await client.create_topics([_new(settings, topic, partitions) for topic in missing])
            _require_created(response.topic_errors)  # type: ignore[attr-defined]  # aiokafka types the base class
            await _await_leaders(client, [prefixed(settings, topic.name) for topic in missing])
    return await check(settings)


def _require_created(errors: Sequence[tuple[Any, ...]]) -> None:
    """Somebody else may have made it in between: that is as good."""
    for name, code, *about in errors:
        error = for_code(code)
        if error not in {NoError, TopicAlreadyExistsError}:
            raise BrokerDown(f"topic {name} was not created: {error.__name__} {about}")


async def _await_leaders(client: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    """Until every partition has a leader; before that a producer's first sends are refused."""
    for _ in range(100):
        described = await client.describe_topics(list(names))
        leaders = [[partition["leader"] for partition in one["partitions"]] for one in described]
        if len(leaders) == len(names) and all(found and min(found) >= 0 for found in leaders):
            return
        await asyncio.sleep(0.1)
    raise BrokerDown("the new topics have no leaders yet: try again")


def _new(settings: KafkaSettings, topic: Topic, partitions: int | None) -> NewTopic:
    return NewTopic(
        name=prefixed(settings, topic.name),
        num_partitions=partitions or topic.partitions,
        replication_factor=-1,  # the broker's default
        replica_assignments={},  # aiokafka wants either a factor or assignments to be given
        topic_configs=topic.config,
    )


async def check(settings: KafkaSettings) -> list[Finding]:
    """Compare the cluster with the table. Raises BrokerDown."""
    async with admin(settings) as client:
        names = [prefixed(settings, topic.name) for topic in TOPICS]
        present = set(await client.list_topics())
        found = {one["topic"]: one for one in await client.describe_topics([n for n in names if n in present])}
        configs = await _configs(client, list(found))
    return [_judge(topic, prefixed(settings, topic.name), found, configs) for topic in TOPICS]


async def _configs(client: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    responses = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for response in responses
        for resource in response.resources  # type: ignore[attr-defined]  # aiokafka types the base class
    }


def _judge(topic: Topic, name: str, found: dict[str, dict], configs: dict[str, dict[str, str]]) -> Finding:  # type: ignore[type-arg]
    if name not in found:
        return Finding(name, "fail", "missing", "run `hilo topics create`")
    partitions = found[name]["partitions"]
    replicas = min(len(partition["replicas"]) for partition in partitions)
    config = configs.get(name, {})
    summary = f"{len(partitions)} partitions, {replicas} replicas"
    different = [f"{key}={config.get(key)}" for key, wanted in topic.config.items() if config.get(key) != wanted]
    if len(partitions) != topic.partitions:
        return Finding(
            name,
            "warn",
            f"{summary}; the table says {topic.partitions}",
            "never change the count in place: keys would move and order be lost; drain the topic into a new one",
        )
    if replicas >= 3 and config.get("min.insync.replicas") != "2":
        return Finding(name, "warn", f"{summary}, min.insync.replicas is not 2", "set min.insync.replicas=2")
    if different:
        return Finding(name, "warn", f"{summary}; set differently: {', '.join(different)}", "set it as the table says")
    return Finding(name, "ok", summary)
