"""What happened: messages with their life, every call to us, every call we made."""

import itertools
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sandbox.twilio.wire import rfc2822


@dataclass(slots=True)
class Media:
    sid: str
    content_type: str
    content: bytes
    misses: int = 0
    """How often it was asked for before it was there (`media_404_first_n`)."""


@dataclass(slots=True)
class Message:
    """One message resource; `log` is its whole life, which Twilio does not show."""

    n: int
    sid: str
    direction: str
    sender: str
    """Our number's address; `To` of an inbound message."""
    contact: str
    """The address as written on the wire, not the canonical one."""
    body: str
    status: str
    created: datetime
    updated: datetime
    appeared: float
    """Monotonic, for `list_lag_ms`."""
    sent: datetime | None = None
    service: str | None = None
    callback: str | None = None
    content_sid: str | None = None
    category: str | None = None
    validity_s: float = 36_000
    media_urls: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()
    error: int | None = None
    error_text: str | None = None
    fault: str | None = None
    show_sender: bool = True
    log: list[tuple[str, datetime]] = field(default_factory=list)

    @property
    def inbound(self) -> bool:
        return self.direction == "inbound"

    @property
    def from_(self) -> str:
        return self.contact if self.inbound else self.sender

    @property
    def to(self) -> str:
        return self.sender if self.inbound else self.contact

    def resource(self, account: str) -> dict[str, Any]:
        """The JSON of the REST API."""
        uri = f"/2010-04-01/Accounts/{account}/Messages/{self.sid}"
        return {
            "sid": self.sid,
            "account_sid": account,
            "messaging_service_sid": self.service,
            "api_version": "2010-04-01",
            "body": self.body,
            "from": self.from_ if self.show_sender else None,
            "to": self.to,
            "direction": self.direction,
            "status": self.status,
            "num_media": str(len(self.media) or len(self.media_urls)),
            "num_segments": "1",
            "price": None,
            "price_unit": "USD",
            "error_code": self.error,
            "error_message": self.error_text,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "date_sent": rfc2822(self.sent) if self.sent else None,
            "uri": f"{uri}.json",
            "subresource_uris": {"media": f"{uri}/Media.json"},
        }

    def story(self) -> dict[str, Any]:
        """What the control API tells: also what Twilio keeps to itself."""
        return {
            "n": self.n,
            "sid": self.sid,
            "direction": self.direction,
            "from": self.from_,
            "to": self.to,
            "body": self.body,
            "status": self.status,
            "error": self.error,
            "callback": self.callback,
            "content_sid": self.content_sid,
            "fault": self.fault,
            "log": [[status, at.isoformat()] for status, at in self.log],
        }


@dataclass(slots=True)
class Post:
    """One `POST /Messages`, created or not."""

    n: int
    at: str
    to: str
    body: str
    http: int | None
    """None: the caller never saw an answer."""
    code: int | None
    fault: str | None
    sid: str | None


@dataclass(slots=True)
class Delivery:
    """One attempt of one webhook request."""

    n: int
    at: str
    kind: str
    """inbound, status, fallback"""
    sid: str
    status: str
    contact: str
    url: str
    attempt: int
    token: str
    form: dict[str, str]
    fault: str | None = None
    http: int | None = None
    content_type: str | None = None
    latency_ms: float | None = None
    error: str | None = None
    """`ct`, `rt`, `4xx`, `5xx`, `outage`; None when answered 2xx"""


class Ledger:
    """Bounded on purpose: the oldest entries leave when a ring is full; the counters keep counting."""

    def __init__(self, messages: int, deliveries: int) -> None:
        self._keep = messages
        self.messages: OrderedDict[str, Message] = OrderedDict()
        self.media: dict[str, Media] = {}
        self.by_contact: dict[str, OrderedDict[str, Message]] = {}
        self.posts: deque[Post] = deque(maxlen=messages)
        self.deliveries: deque[Delivery] = deque(maxlen=deliveries)
        self.debugger: deque[dict[str, Any]] = deque(maxlen=deliveries)
        self.counts: Counter[str] = Counter()
        self.latencies: dict[str, deque[float]] = {}
        self.serial = itertools.count(1)

    def add(self, message: Message) -> None:
        self.messages[message.sid] = message
        self.by_contact.setdefault(message.contact, OrderedDict())[message.sid] = message
        self.media.update((media.sid, media) for media in message.media)
        if len(self.messages) > self._keep:
            self.remove(next(iter(self.messages)))

    def remove(self, sid: str) -> None:
        message = self.messages.pop(sid)
        theirs = self.by_contact[message.contact]
        del theirs[sid]
        if not theirs:
            del self.by_contact[message.contact]
        for media in message.media:
            self.media.pop(media.sid, None)

    def newest_first(self, contact: str | None = None) -> Iterator[Message]:
        some = self.messages if contact is None else self.by_contact.get(contact)
        return reversed(some.values()) if some else iter(())

    def complain(self, code: int, sid: str, url: str, text: str, at: datetime) -> None:
        self.counts[f"debugger.{code}"] += 1
        self.debugger.append({"code": code, "sid": sid, "url": url, "text": text, "at": at.isoformat()})

    def answered(self, delivery: Delivery) -> None:
        self.counts[f"{delivery.kind}.attempts"] += 1
        if delivery.latency_ms is not None:
            self.latencies.setdefault(delivery.kind, deque(maxlen=10_000)).append(delivery.latency_ms)
        if delivery.error:
            self.counts[f"{delivery.kind}.{delivery.error}"] += 1

    def stats(self) -> dict[str, Any]:
        spread = {kind: _quantiles(sorted(values)) for kind, values in self.latencies.items()}
        return {"counts": dict(self.counts), "latency_ms": spread, "messages": len(self.messages)}


def _quantiles(ordered: list[float]) -> dict[str, float]:
    last = len(ordered) - 1
    return {f"p{p}": round(ordered[last * p // 100], 2) for p in (50, 90, 99, 100)}


def row(entry: Post | Delivery) -> dict[str, Any]:
    return asdict(entry)
