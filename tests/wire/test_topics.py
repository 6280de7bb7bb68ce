"""The topic table against a real cluster."""

import pytest

from kit.errors import BrokerDown
from kit.kafka import topics
from kit.settings import KafkaSettings
from sandbox.stack.ports import free_ports
from sandbox.stack.stack import Stack
from schemas.topics import TOPICS


async def test_created_topics_are_as_the_table_says(stack: Stack) -> None:
    settings = KafkaSettings(
        kafka_bootstrap_servers=stack.bootstrap_servers, kafka_topic_prefix="whole.", _env_file=None
    )
    found = await topics.create(settings)
    assert [(one.subject, one.state, one.detail) for one in found] == [
        (f"whole.{topic.name}", "ok", "24 partitions, 1 replicas") for topic in TOPICS
    ]


async def test_creating_twice_changes_nothing(kafka: KafkaSettings) -> None:
    before = await topics.check(kafka)
    assert await topics.create(kafka) == before


async def test_another_partition_count_is_named_and_never_changed_in_place(kafka: KafkaSettings) -> None:
    found = await topics.create(kafka)
    assert {one.state for one in found} == {"warn"}
    assert all("never change the count" in one.remedy for one in found)


async def test_a_missing_topic_is_a_failure_with_its_remedy(stack: Stack) -> None:
    settings = KafkaSettings(
        kafka_bootstrap_servers=stack.bootstrap_servers, kafka_topic_prefix="absent.", _env_file=None
    )
    assert {(one.state, one.remedy) for one in await topics.check(settings)} == {("fail", "run `hilo topics create`")}


async def test_no_broker_is_one_clear_error() -> None:
    settings = KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}", _env_file=None)
    with pytest.raises(BrokerDown, match="KAFKA_BOOTSTRAP_SERVERS"):
        await topics.check(settings)
