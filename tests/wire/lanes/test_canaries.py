"""Every seam of FastStream 0.7 that `kit/kafka/subscriber.py` leans on; each says what breaks in us without it."""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import ConsumerRebalanceListener
from faststream import AckPolicy
from faststream._internal.broker.registrator import Registrator
from faststream._internal.endpoint.subscriber.call_item import CallsCollection
from faststream.kafka import KafkaBroker
from faststream.kafka.helpers import make_logging_listener
from faststream.kafka.schemas import Topic as StreamTopic
from faststream.kafka.subscriber.config import KafkaSubscriberConfig, KafkaSubscriberSpecificationConfig
from faststream.kafka.subscriber.specification import KafkaSubscriberSpecification
from faststream.kafka.subscriber.usecase import LogicSubscriber

from kit.kafka.subscriber import KeyedSubscriber, Timing, keyed
from kit.metrics import Metrics


def no_lanes(*_: Any) -> Any:
    raise AssertionError("nothing is started here")


def nowhere() -> KafkaBroker:
    return KafkaBroker("nowhere:1", consumer_only=True, apply_types=False, allow_auto_create_topics=False, logger=None)


def subscriber(call: Callable[[Any], Any], broker: KafkaBroker | None = None) -> KeyedSubscriber:
    broker = broker or nowhere()
    one = keyed(broker, "a", call, group="g", options={}, build=no_lanes, metrics=Metrics(), timing=Timing())
    broker._setup_logger()  # as `connect` does
    return one


RUN: Any = SimpleNamespace(records=[SimpleNamespace(envelope=SimpleNamespace(id="1"), position="a-0-1")])


async def handled(call: Callable[[Any], Any]) -> Any:
    one = subscriber(call)
    one.parser._setup(None)  # type: ignore[arg-type]
    one._build_fastdepends_model()
    return (await one.process_message(RUN)).body


def parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_a_subscriber_is_made_of_config_specification_and_calls_or_keyed_cannot_make_one() -> None:
    assert parameters(LogicSubscriber.__init__) == ["self", "config", "specification", "calls"]
    assert parameters(Registrator.subscriber)[:2] == ["self", "subscriber"]
    assert {"parser_", "decoder_", "dependencies_"} <= set(parameters(LogicSubscriber.add_call))
    assert len(CallsCollection()) == 0


def test_the_configs_have_the_fields_that_keyed_sets_or_no_subscriber_can_be_registered() -> None:
    ours = {"topics", "connection_args", "group_id", "no_reply", "parser", "decoder", "listener", "_ack_policy"}
    assert ours | {"_outer_config"} <= {one.name for one in fields(KafkaSubscriberConfig)}
    named = {"topics", "title_", "description_", "include_in_schema"}
    assert named <= {one.name for one in fields(KafkaSubscriberSpecificationConfig)}
    assert {"_outer_config", "calls", "specification_config"} <= set(parameters(KafkaSubscriberSpecification))


def test_manual_switches_automatic_commits_off_or_records_would_be_committed_before_their_work() -> None:
    config = KafkaSubscriberConfig(topics=[StreamTopic("a", declare=False)], _ack_policy=AckPolicy.MANUAL)
    assert config.connection_args["enable_auto_commit"] is False
    assert config.auto_ack_disabled
    assert subscriber(print)._connection_args["enable_auto_commit"] is False


def test_a_registered_subscriber_is_kept_and_started_with_its_broker_or_nothing_would_consume() -> None:
    broker = nowhere()
    subscriber(print, broker)  # nobody but the broker holds it
    (kept,) = broker.subscribers
    assert isinstance(kept, KeyedSubscriber)


def test_our_listener_is_called_by_aiokafka_itself_or_an_error_in_ours_would_hide_behind_another() -> None:
    listener = subscriber(print)._listener
    assert isinstance(listener, ConsumerRebalanceListener)
    assert make_logging_listener(consumer=None, logger=None, log_extra={}, listener=listener) is listener  # type: ignore[arg-type]
    broker = nowhere()
    subscriber(print, broker)
    assert broker.config.logger.logger.logger is None  # what `start` passes as logger


async def test_what_a_handler_returns_comes_out_or_a_prefix_could_not_be_settled() -> None:
    async def handle(_run: object) -> int:
        return 3

    assert await handled(handle) == 3


async def test_a_handler_gets_the_run_itself_without_injection_or_every_record_costs_a_thread_hop() -> None:
    seen = []

    async def handle(run: object) -> None:
        seen.append(run)

    assert await handled(handle) is None
    assert seen == [RUN]


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), asyncio.CancelledError("a drain")], ids=["error", "cancelled"]
)
async def test_process_message_raises_what_the_handler_raised_or_failures_would_be_settled(
    error: BaseException,
) -> None:
    async def handle(_run: object) -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        await handled(handle)


async def test_start_runs_our_consume_loop_with_its_consumer_and_stop_ends_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If not, FastStream's own loop would consume: serial, and it swallows errors."""
    ran, calls = asyncio.Event(), list[str]()
    consumer: Any = _Consumer(calls)

    async def loop(_self: object, given: object) -> None:
        assert given is consumer
        ran.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(KeyedSubscriber, "_run_consume_loop", loop)
    monkeypatch.setattr(KeyedSubscriber, "builder", property(lambda _self: lambda **_: consumer))
    one = subscriber(print)
    await LogicSubscriber.start(one)
    async with asyncio.timeout(5):
        await ran.wait()
    (task,) = one.tasks
    assert one.running
    assert one.consumer is consumer
    assert calls == ["subscribe", "start"]  # the listener must hear of the first assignment
    await LogicSubscriber.stop(one)
    await asyncio.wait({task})
    assert task.cancelled()
    assert calls[2:] == ["stop"]
    assert (one.running, one.consumer) == (False, None)


class _Consumer:
    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def subscribe(self, topics: list[str], pattern: None, listener: object) -> None:
        assert topics == ["a"]
        assert listener is not None
        self.calls.append("subscribe")

    async def start(self) -> None:
        self.calls.append("start")

    async def stop(self) -> None:
        self.calls.append("stop")
