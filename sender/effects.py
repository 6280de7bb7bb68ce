"""The effect ledger: what we meant to show, what became of it. One row per part in `sends`."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from kit.clock import Clock
from kit.errors import Retry, Wait
from kit.ids import fence_id, halt_id
from kit.mongo import Database, store_errors
from schemas.documents import Attempt, FenceDocument, HaltDocument, SendDocument

__all__ = ["FINAL", "RANK", "STATES", "EffectLedger", "Glance", "State", "failed", "place"]

RANK = {"accepted": 0, "scheduled": 0, "queued": 1, "sending": 2, "sent": 3, "failed": 3, "undelivered": 3}
RANK |= {"delivered": 4, "read": 5}
FIRST_ASKED = timedelta(hours=12)  # without a final status Twilio is asked (Twilio's logging guide)
ENDS = {"read", "failed", "undelivered"}
REMEMBERED = 5_000  # rows, of about 2 kB
KEPT_ATTEMPTS = 20  # an hour of 429 must not fill the row


@dataclass(frozen=True, slots=True)
class State:
    means: str
    next: tuple[str, ...]


STATES: Mapping[str, State] = {
    "new": State("no row yet", ("intent", "withheld")),
    "intent": State(
        "a POST may be under way until the lease ends; without a lease, certainly none",
        ("accepted", "rejected", "unknown", "again", "withheld", "uncertain"),
    ),
    "unknown": State(
        "a POST went out, nobody knows what came of it", ("accepted", "rejected", "again", "intent", "uncertain")
    ),
    "accepted": State("it has a SID; statuses follow", ("again",)),
    "again": State(
        "Twilio failed it: it, or its template, is posted when its time has come",
        ("intent", "accepted", "withheld", "uncertain"),
    ),
    "rejected": State("Twilio refused it", ()),
    "withheld": State(
        "not posted, or not again: expired, window closed, fenced, overtaken, or an earlier part was not shown", ()
    ),
    "uncertain": State("nobody can say whether it was shown; not posted again", ("accepted",)),
}


FINAL = {"accepted", "rejected", "withheld", "uncertain"}  # nothing is posted any more, unless a callback says so


@dataclass(frozen=True, slots=True)
class Glance:
    rows: dict[str, SendDocument]
    fence: int
    """No part with a lower seq may be posted."""
    owed: list[str]
    """Parts that have to be posted before any newer one."""
    halted_until: datetime | None
    """Our number sends nothing before that."""

    def halted(self, now: datetime) -> bool:
        return self.halted_until is not None and now < self.halted_until


class EffectLedger:
    """Writes an intent before its effect, so that a crash between the two is seen and never guessed away.

    Rows change by compare-and-swap on `rev`: a process that was paused beyond its lease loses, whoever took over wins.
    """

    def __init__(self, database: Database, clock: Clock, lease_s: float) -> None:
        self._sends = database.sends
        self._clock = clock
        self._lease = timedelta(seconds=lease_s)
        self._last: OrderedDict[str, SendDocument] = OrderedDict()

    def last(self, send_id: str) -> SendDocument | None:
        """The row as this process wrote it last, if it is still to move: a guess, which `change` verifies."""
        return self._last.get(send_id)

    async def find(self, send_id: str) -> SendDocument | None:
        with store_errors():
            found = await self._sends.find_one({"_id": send_id})
        return SendDocument.from_mongo(found) if found else None

    async def of_sid(self, sid: str) -> SendDocument | None:
        with store_errors():
            found = await self._sends.find_one({"sid": sid})
        return SendDocument.from_mongo(found) if found else None

    async def found(self, send_ids: Sequence[str]) -> list[SendDocument]:
        with store_errors():
            rows = self._sends.find({"_id": {"$in": list(send_ids)}})
            return [SendDocument.from_mongo(one) async for one in rows]

    async def glance(self, contact: str, channel: str, send_ids: Sequence[str] = ()) -> Glance:
        """Rows, the contact's fence and what our number may do, in one look."""
        fence, halt = fence_id(contact), halt_id(channel)
        with store_errors():
            found = {one["_id"]: one async for one in self._sends.find({"_id": {"$in": [fence, halt, *send_ids]}})}
        raised = FenceDocument.from_mongo(found.pop(fence)) if fence in found else None
        until = HaltDocument.from_mongo(found.pop(halt)).until if halt in found else None
        rows = {name: SendDocument.from_mongo(one) for name, one in found.items()}
        return Glance(rows, raised.fence if raised else 0, raised.owed if raised else [], until)

    async def intend(self, send: SendDocument, *, repeat: bool = False) -> SendDocument | None:
        """Take the lease for one POST. None: somebody else has it, or the row has moved on.

        `repeat`: the last one may have been shown.
        """
        update: dict[str, Any] = {
            "state": "intent",
            "lease_until": self._clock.now() + self._lease,
            "posts": send.posts + 1,
            "repeats": send.repeats + repeat,
            "looks": 0,
        }
        if send.state == "again":  # its former SID stays among the attempts
            update |= {"sid": None, "status": "", "error_code": None, "error_message": None, "again_at": None}
        return await self.save(send, send.model_copy(update=update))

    async def record(self, send: SendDocument, attempt: Attempt, **update: Any) -> SendDocument | None:
        """What came of a POST. None: somebody else has taken over."""
        row: SendDocument | None = send
        while row is not None and row.posts == send.posts:
            if row.state == "again":
                return row  # a callback has told its end already
            told = {**update, "attempts": [*row.attempts, attempt][-KEPT_ATTEMPTS:]}
            told["error_code"] = attempt.code or row.error_code
            if row.sid or attempt.sid:
                told |= {"state": "accepted", "sid": row.sid or attempt.sid}
            if told["state"] not in {row.state, *STATES[row.state].next}:
                return row  # it was given up meanwhile, and this answer tells nothing better
            if changed := await self.change(row, row.model_copy(update=told)):
                return changed
            row = await self.find(send.id)  # a callback was faster: what it told is kept
        return None

    async def claimed(self, contact: str) -> set[str | None]:
        """SIDs that belong to a part already, those included that another message has taken the place of."""
        rows = await self.of_contact(contact)
        return {row.sid for row in rows} | {one.sid for row in rows for one in row.attempts}

    async def of_contact(self, contact: str) -> list[SendDocument]:
        """Every row; for what is rare: a lost answer, a take-over, an erasure."""
        with store_errors():
            return [SendDocument.from_mongo(one) async for one in self._sends.find({"contact": contact})]

    async def due(self, limit: int) -> list[SendDocument]:
        """Rows that had no final status for long."""
        with store_errors():
            cursor = self._sends.find({"due": {"$lte": self._clock.now()}}).limit(limit)
            return [SendDocument.from_mongo(one) async for one in cursor]

    async def save(self, before: SendDocument, after: SendDocument) -> SendDocument | None:
        """Insert a new row, or change one. None when it is not as `before` any more."""
        return await self.change(before, after) if before.rev else await self._insert(after)

    async def change(self, before: SendDocument, after: SendDocument) -> SendDocument | None:
        """Compare and swap. None when `before` is not the row any more. Raises Retry if its SID has another row."""
        if after.state not in {before.state, *STATES[before.state].next}:
            raise AssertionError(f"{before.state} → {after.state} is no transition")
        stamped = self._stamped(after, before.rev)
        try:
            with store_errors():
                result = await self._sends.replace_one({"rev": before.rev}, stamped.to_mongo())
        except DuplicateKeyError:
            raise Retry("this SID belongs to another part") from None
        return self._remembered(stamped) if result.modified_count else None

    async def moved(self, before: SendDocument, **update: Any) -> SendDocument:
        """Change these fields. Raises Wait where the row is not as `before` any more."""
        changed = await self.change(before, before.model_copy(update=update))
        if changed is None:
            raise Wait("the part has moved on", after=0.1)
        return changed

    async def _insert(self, send: SendDocument) -> SendDocument | None:
        if send.state not in STATES["new"].next:
            raise AssertionError(f"new → {send.state} is no transition")
        stamped = self._stamped(send, f"{send.id}#0")
        try:
            with store_errors():
                await self._sends.insert_one(stamped.to_mongo())
        except DuplicateKeyError:
            return None
        return self._remembered(stamped)

    def _remembered(self, send: SendDocument) -> SendDocument:
        """Two or three callbacks of one part come soon after its POST, each of which would read the row."""
        self._last.pop(send.id, None)
        if send.status not in ENDS and send.state in {"intent", "accepted"} and not send.erased:
            self._last[send.id] = send
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        return send

    def _stamped(self, send: SendDocument, rev: str) -> SendDocument:
        now = self._clock.now()
        number = int(rev.rpartition("#")[2]) + 1
        due = (send.due or now + FIRST_ASKED) if _open(send) else None
        return send.model_copy(update={"rev": f"{send.id}#{number}", "updated_at": now, "due": due})

    def posted_at(self, send: SendDocument) -> datetime:
        """When the last POST was intended."""
        return send.lease_until - self._lease if send.lease_until else send.created_at

    def lease_left(self, send: SendDocument) -> float:
        """Seconds; 0 when nobody may be posting it now."""
        return max(0.0, (send.lease_until - self._clock.now()).total_seconds()) if send.lease_until else 0.0


def failed(send: SendDocument) -> bool:
    """Twilio accepted it and could not show it."""
    return send.status in {"failed", "undelivered"}


def place(send: SendDocument) -> tuple[int, int]:
    """In the order of its contact: part 2 of turn 7 is before part 1 of turn 8."""
    number = send.id.rpartition("-")[2]
    return send.seq, int(number) if number.isdecimal() else 0


def _open(send: SendDocument) -> bool:
    final = send.status in {"delivered", "read", "failed", "undelivered"}
    return send.state in {"intent", "unknown", "again"} or (send.state == "accepted" and not final)
