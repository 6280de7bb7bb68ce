"""Events on the wire: CloudEvents 1.0 in Kafka's binary mode. Attributes in headers, the event's own JSON as value."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar

from pydantic import ValidationError

from schemas.contact import Contact
from schemas.events import Event

__all__ = ["CONTENT_TYPE", "Envelope", "Headers", "Undecodable", "WireRecord", "decode", "encode", "header"]

CONTENT_TYPE = "application/json"
E_co = TypeVar("E_co", bound=Event, covariant=True)
Headers = Sequence[tuple[str, bytes]]


class Undecodable(ValueError):
    """These bytes are no event of this topic. The message names fields, never their contents."""


@dataclass(frozen=True, slots=True)
class Envelope(Generic[E_co]):
    """An event with its attributes. `contact` is the record's key."""

    id: str
    source: str
    time: datetime
    contact: Contact
    data: E_co
    extensions: Mapping[str, str] = field(default_factory=dict)
    """Further headers: `traceparent`, `ce_replayed`, … Names are lower case."""

    @property
    def type(self) -> str:
        return self.data.type_name()


@dataclass(frozen=True, slots=True)
class WireRecord:
    """What goes to Kafka, and what comes from it."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def encode(envelope: Envelope[Event]) -> WireRecord:
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": envelope.id,
        "ce_type": envelope.type,
        "ce_source": envelope.source,
        "ce_time": envelope.time.isoformat(),
        "content-type": CONTENT_TYPE,
        **envelope.extensions,
    }
    return WireRecord(
        key=envelope.contact.encode(),
        value=envelope.data.model_dump_json(exclude_none=True).encode(),
        headers=[(name, value.encode()) for name, value in attributes.items()],
    )


def decode(record: WireRecord, events: Iterable[type[Event]], *, fallback_id: str = "") -> Envelope[Event]:
    """The envelope in `record`, one of `events`; without a `ce_type` the first of them is assumed.

    `fallback_id` stands in for a missing `ce_id`. Raises Undecodable.
    """
    known = {event.type_name(): event for event in events}
    kind = header(record.headers, "ce_type") or next(iter(known))
    if kind not in known:
        raise Undecodable(f"unknown event type {kind!r}")
    if not record.value:
        raise Undecodable("empty value")
    return Envelope(
        id=header(record.headers, "ce_id") or fallback_id,
        source=header(record.headers, "ce_source") or "",
        time=_time(header(record.headers, "ce_time")),
        contact=Contact((record.key or b"").decode("utf-8", "replace")),
        data=_parse(known[kind], record.value),
        extensions=_extensions(record.headers),
    )


def header(headers: Headers, name: str) -> str | None:
    """The last header of that name, as text. Raises Undecodable where it is not UTF-8."""
    found = [value for key, value in headers if key.lower() == name]
    try:
        return found[-1].decode() if found and found[-1] is not None else None
    except UnicodeDecodeError:
        raise Undecodable(f"header {name} is not UTF-8") from None


def _parse(event: type[Event], value: bytes) -> Event:
    try:
        return event.model_validate_json(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        named = [f"{'.'.join(map(str, fault['loc'])) or 'value'}: {fault['msg']}" for fault in faults]
        raise Undecodable("; ".join(named)) from None


def _time(text: str | None) -> datetime:
    """A foreign producer may leave the time out; then the epoch says "unknown"."""
    if text is None:
        return datetime.fromtimestamp(0, UTC)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise Undecodable("header ce_time is not an ISO 8601 time") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


STANDARD = {"ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type"}


def _extensions(headers: Headers) -> dict[str, str]:
    names = {key.lower() for key, _ in headers} - STANDARD
    return {name: header(headers, name) or "" for name in names}
