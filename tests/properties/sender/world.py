"""A Twilio, a store and a fleet that all misbehave, in memory and in virtual time; one contact, a few replies."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery
from kit.twilio import Created, Fetched, Listed
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.events import Event, SendAgain, StatusChanged

EPOCH = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CODES = (63032, 63012, 63012, 63018, 30008, 30410, 63003, 63001)
"""Told by callback: final, a few more times, once more, once more and said, nobody there, our number."""
USER, OURS = "+34600111222", "+14155238886"


class Crash(BaseException):
    """kill -9 at an await: nothing of the process runs any more."""


class Clock:
    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def sleep_until(self, moment: datetime) -> None:
        await asyncio.sleep(max(0.0, (moment - self.now()).total_seconds()))


@dataclass
class Troubles:
    """What may go wrong in one world; everything is drawn from its seed."""

    crash: float
    pause: float
    lost_before: float
    lost_after: float
    refused: float
    busy: float
    callback_lost: float
    failing: float
    closed: float
    list_lag_s: float
    crashes_left: int = 6
    pauses_left: int = 2

    @classmethod
    def none(cls) -> "Troubles":
        return cls(**dict.fromkeys([one.name for one in fields(cls)], 0))

    @classmethod
    def drawn(cls, dice: random.Random) -> "Troubles":
        def some(most: float) -> float:
            return dice.choice((0.0, most / 4, most))

        return cls(
            crash=some(0.08),
            pause=some(0.03),
            lost_before=some(0.3),
            lost_after=some(0.4),
            refused=some(0.2),
            busy=some(0.3),
            callback_lost=dice.choice((0.0, 0.3, 1.0)),
            failing=some(0.2),
            closed=some(0.3),
            list_lag_s=dice.choice((0.0, 0.0, 3.0, 20.0, 50.0, 500.0)),
        )


@dataclass
class Message:
    """At Twilio, and on the handset once it is `shown`."""

    sid: str
    send_id: str
    body: str
    template: bool
    created: datetime
    code: int | None = None
    status: str = "queued"
    shown: bool = False
    lied: bool = False
    """It was shown, whatever its status says."""
    told: list[datetime] = field(default_factory=list)
    """When callbacks of it reached the log."""


class Perils:
    """Every await of a process goes through here."""

    def __init__(self, dice: random.Random, troubles: Troubles) -> None:
        self.dice = dice
        self.troubles = troubles
        self.on_pause: Any = lambda: None
        self.awaits = 0
        self.crash_at: int | None = None

    async def io(self, *, pause: bool = True) -> None:
        troubles = self.troubles
        await asyncio.sleep(self.dice.random() * 0.01)
        self.awaits += 1
        if self.awaits == self.crash_at:
            self.crash_at = None
            raise Crash
        if troubles.crashes_left and self.dice.random() < troubles.crash:
            troubles.crashes_left -= 1
            raise Crash
        if pause and troubles.pauses_left and self.dice.random() < troubles.pause:
            troubles.pauses_left -= 1
            self.on_pause()
            await asyncio.sleep(self.dice.choice((3, 8, 20, 90)))


class Cursor:
    def __init__(self, perils: Perils, rows: list[dict[str, Any]]) -> None:
        self._perils = perils
        self._rows = rows

    def limit(self, count: int) -> "Cursor":
        return Cursor(self._perils, self._rows[:count])

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        await self._perils.io()
        for row in self._rows:
            yield dict(row)


class Sends:
    """The collection; a write may have happened though its process crashed."""

    def __init__(self, perils: Perils) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self._perils = perils

    async def find_one(self, query: dict[str, Any]) -> dict[str, Any] | None:
        await self._perils.io()
        ((name, wanted),) = query.items()
        return next((row for row in self.rows.values() if row.get(name) == wanted), None)

    def find(self, query: dict[str, Any], _: Any = None) -> Cursor:
        ((name, wanted),) = query.items()
        if isinstance(wanted, dict) and "$in" in wanted:
            found = [row for row in self.rows.values() if row.get(name) in wanted["$in"]]
        elif isinstance(wanted, dict):
            found = [row for row in self.rows.values() if name in row and row[name] <= wanted["$lte"]]
        else:
            found = [row for row in self.rows.values() if row.get(name) == wanted]
        return Cursor(self._perils, found)

    async def insert_one(self, row: dict[str, Any]) -> None:
        await self._perils.io()
        if row["_id"] in self.rows:
            raise DuplicateKeyError("_id")
        self.rows[row["_id"]] = dict(row)
        await self._perils.io()

    async def replace_one(self, query: dict[str, Any], row: dict[str, Any], *, upsert: bool = False) -> Any:
        await self._perils.io()
        if upsert:
            self.rows[query["_id"]] = dict(row)
            return None
        found = [name for name, one in self.rows.items() if one["rev"] == query["rev"]]
        if found and any(one.get("sid") == row.get("sid", 0) for name, one in self.rows.items() if name != found[0]):
            raise DuplicateKeyError("sid")
        for name in found:
            self.rows[name] = dict(row)
        await self._perils.io()
        return type("Result", (), {"modified_count": len(found)})


class Log:
    """One partition and how far it is settled. Its owner may change; the record in hand comes again then."""

    def __init__(self, records: list[Delivery] | None = None) -> None:
        self.records = records or []
        self.position = 0
        self.more = asyncio.Event()

    def append(self, *records: Delivery) -> None:
        self.records += records
        self.more.set()

    @property
    def settled(self) -> bool:
        return self.position >= len(self.records)


class Box:
    """The outlet: what is published stays published."""

    def __init__(self, perils: Perils, outbound: Log) -> None:
        self.sent: list[tuple[datetime, Envelope[Event]]] = []
        self._perils = perils
        self._outbound = outbound

    async def publish(self, _topic: str, envelope: Envelope[Event], **_: Any) -> None:
        await self._perils.io()
        self.sent.append((Clock().now(), envelope))
        if isinstance(envelope.data, SendAgain):
            self._outbound.append(delivery(envelope.data, envelope.id))
        await self._perils.io()


class FakeTwilio:
    """Shows what it creates after a while, and tells it: late, twice, in any order, or never."""

    def __init__(self, perils: Perils, statuses: Log) -> None:
        self.messages: list[Message] = []
        self.codes: list[int | None] = []
        """Of the next messages; by chance when there are none."""
        self._perils = perils
        self._statuses = statuses
        self._tasks: set[asyncio.Task[None]] = set()

    async def create(self, *, callback: str, content: dict[str, str], before: Any, **_: Any) -> Created:
        dice, troubles = self._perils.dice, self._perils.troubles
        await asyncio.sleep(dice.random() * 0.2)
        if dice.random() < troubles.refused:
            return Created("NOT_SENT", detail="ConnectError")
        await before()
        await self._perils.io(pause=False)  # a crash with nothing sent; a pause right here nobody could see
        if dice.random() < troubles.busy:
            return Created("NOT_SENT", code=20429, retry_after=dice.choice((None, 1.0)))
        if dice.random() < troubles.lost_before:
            return await self._no_answer()
        message = self._made(callback, content)
        await self._perils.io()
        if dice.random() < troubles.lost_after:
            return await self._no_answer()
        await asyncio.sleep(dice.choice((0.05, 0.3, 5)))
        return Created("ACCEPTED", sid=message.sid)

    async def _no_answer(self) -> Created:
        await asyncio.sleep(self._perils.dice.choice((0.1, 10)))
        return Created("UNKNOWN", detail="ReadTimeout")

    def _made(self, callback: str, content: dict[str, str]) -> Message:
        found = re.search(r"send=([\w-]+)&", callback)
        assert found
        body, template = content.get("Body", "rendered"), "ContentSid" in content
        message = Message(f"SM{len(self.messages)}", found[1], body, template, Clock().now())
        if self.codes:
            message.code = self.codes.pop(0)
        elif self._perils.dice.random() < self._perils.troubles.failing:
            message.code = self._perils.dice.choice(CODES)
            message.lied = message.code == 30410 and self._perils.dice.random() < 0.3
        elif not template and self._perils.dice.random() < self._perils.troubles.closed:
            message.code = 63016
        self.messages.append(message)
        self._later(self._life(message))
        return message

    async def _life(self, message: Message) -> None:
        await asyncio.sleep(self._perils.dice.random())
        for status in ["undelivered"] if message.code else ["sent", "delivered", "read"]:
            message.status = status
            message.shown = message.shown or message.lied or status == "delivered"
            self._tell(message, status)
            await asyncio.sleep(self._perils.dice.random() * 0.5)

    def _tell(self, message: Message, status: str) -> None:
        dice = self._perils.dice
        if dice.random() < self._perils.troubles.callback_lost:
            return
        for _ in range(dice.choice((1, 1, 2))):
            self._later(self._callback(message, status, dice.choice((0, 0, 0.2, 2, 30))))

    async def _callback(self, message: Message, status: str, delay: float) -> None:
        await asyncio.sleep(delay)
        message.told.append(Clock().now())
        event = StatusChanged(
            message_sid=message.sid,
            status=status,
            send_id=message.send_id,
            address=USER,
            error_code=message.code if status == "undelivered" else None,
            received_at=Clock().now(),
        )
        self._statuses.append(delivery(event, f"{message.sid}-{status}"))

    async def list_to(self, **_: Any) -> list[Listed]:
        await self._perils.io()
        lag, now = timedelta(seconds=self._perils.troubles.list_lag_s), Clock().now()
        return [
            Listed(one.sid, one.body, one.status, "outbound-api", one.created.replace(microsecond=0))
            for one in reversed(self.messages)
            if one.created + lag <= now
        ][:20]

    async def fetch(self, sid: str) -> Fetched | None:
        await self._perils.io()
        return next((Fetched(one.status, one.code) for one in self.messages if one.sid == sid), None)

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def idle(self) -> bool:
        return not self._tasks


def delivery(event: Event, name: str) -> Delivery:
    return Delivery(Envelope(name, "hilo/test", EPOCH, Contact(USER), event), Position("message.outbound", 0, 1))
