"""A record as a handler sees it: decoded, with where it stood and what it was."""

from collections.abc import Callable
from dataclasses import dataclass

from aiokafka import ConsumerRecord

from kit.kafka.dead_letters import Position
from schemas.attributes import Envelope, WireRecord, decode
from schemas.events import Event
from schemas.topics import Topic

__all__ = ["Delivery", "Raw", "decoder", "wire"]

Raw = ConsumerRecord[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Delivery:
    envelope: Envelope[Event]
    position: Position


def decoder(topic: Topic) -> Callable[[Raw], Delivery]:
    """What makes deliveries of a topic's records; it raises Undecodable."""

    def deliver(raw: Raw) -> Delivery:
        position = Position(topic.name, raw.partition, raw.offset)
        return Delivery(decode(wire(raw), topic.events, fallback_id=str(position)), position)

    return deliver


def wire(raw: Raw) -> WireRecord:
    return WireRecord(raw.key, raw.value, raw.headers)
