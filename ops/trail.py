"""What Kafka still has of a story: the records a turn covers, and the callbacks of its parts."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kit.kafka.dead_letters import Position
from kit.kafka.reading import Reader, Stored, reader
from kit.kafka.refusal import UNREACHED
from kit.settings import KafkaSettings
from ops.story import Story
from schemas.attributes import Undecodable, decode, header
from schemas.events import StatusChanged
from schemas.topics import MESSAGE_STATUS

__all__ = ["Status", "Trail", "follow"]

MOST = 20_000  # records looked through for callbacks: a bound for busy partitions
SKEW = timedelta(seconds=60)  # between our clock and Kafka's
LAST = {"read", "failed", "undelivered"}


@dataclass(frozen=True, slots=True)
class Status:
    status: str
    at: datetime
    """When the callback was received."""
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Trail:
    records: dict[str, Stored] = field(default_factory=dict)
    """By position, as a turn writes it."""
    statuses: dict[str, list[Status]] = field(default_factory=dict)
    """By SID."""
    gap: str = ""
    """What could not be looked at, in words."""


async def follow(settings: KafkaSettings, story: Story) -> Trail:
    """Never raises: what the log does not tell is a gap, and the stores tell the rest."""
    try:
        async with reader(settings) as kafka:
            records = await _records(kafka, story.turn.positions)
            statuses, cut = await _statuses(kafka, story)
    except UNREACHED as error:
        return Trail(gap=str(error))
    return Trail(records, statuses, f"only the first {MOST} records after the POST were searched" if cut else "")


async def _records(kafka: Reader, positions: list[str]) -> dict[str, Stored]:
    wanted = {text: found for text in positions if (found := _position(text))}
    spans = await kafka.around(list(wanted.values())) if wanted else []
    stored = {str(one.position): one async for one in kafka.read(spans)}
    return {text: stored[text] for text in wanted if text in stored}


def _position(text: str) -> Position | None:
    topic, _, rest = text.rpartition("-")
    topic, _, partition = topic.rpartition("-")
    return Position(topic, int(partition), int(rest)) if partition.isdecimal() and rest.isdecimal() else None


async def _statuses(kafka: Reader, story: Story) -> tuple[dict[str, list[Status]], bool]:
    """And whether there was more to read than is looked through."""
    posted = [one.created_at for one in story.sends.values() if one.sid]
    if not posted or story.turn.outcome == "erased":
        return {}, False
    key = story.turn.contact.encode()
    spans = await kafka.of_key(MESSAGE_STATUS.name, key, min(posted) - SKEW)
    found: dict[str, list[Status]] = defaultdict(list)
    open_ones, seen = {one.sid for one in story.sends.values() if one.sid}, 0
    async for stored in kafka.read(spans):
        seen += 1
        if stored.record.key == key and (event := _event(stored)) and event.message_sid in story.known:
            found[event.message_sid].append(Status(event.status, event.received_at, event.error_code))
            if event.status in LAST:
                open_ones.discard(event.message_sid)
        if not open_ones or seen >= MOST:
            break
    return dict(found), seen >= MOST


def _event(stored: Stored) -> StatusChanged | None:
    try:
        if header(stored.record.headers, "ce_type") != StatusChanged.type_name():
            return None
        event = decode(stored.record, [StatusChanged]).data
    except Undecodable:
        return None
    return event if isinstance(event, StatusChanged) else None
