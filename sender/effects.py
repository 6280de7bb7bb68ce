"""The effect ledger: what we meant to show, what became of it. One row per part in `sends`.

| state      | means                                          | next                            |
|------------|------------------------------------------------|---------------------------------|
| intent     | a POST may be under way until the lease ends   | accepted, rejected, unknown     |
| unknown    | a POST went out, nobody knows what came of it  | accepted, or intent once more   |
| accepted   | it has a SID; statuses follow                  | final                           |
| rejected   | Twilio refused it                              | final                           |
| withheld   | never posted: expired, window closed, fenced   | final                           |
"""

from datetime import datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from kit.clock import Clock
from kit.mongo import Database, store_errors
from schemas.documents import Attempt, SendDocument

__all__ = ["RANK", "EffectLedger"]

RANK = {"accepted": 0, "scheduled": 0, "queued": 1, "sending": 2, "sent": 3, "failed": 3, "undelivered": 3}
RANK |= {"delivered": 4, "read": 5}


class EffectLedger:
    """Writes an intent before its effect, so that a crash between the two is seen and never guessed away.

    Rows change by compare-and-swap on `rev`: a process that was paused beyond its lease loses, whoever took over wins.
    """

    def __init__(self, database: Database, clock: Clock, lease_s: float) -> None:
        self._sends = database.sends
        self._clock = clock
        self._lease = timedelta(seconds=lease_s)

    async def find(self, send_id: str) -> SendDocument | None:
        with store_errors():
            found = await self._sends.find_one({"_id": send_id})
        return SendDocument.from_mongo(found) if found else None

    async def intend(self, send: SendDocument) -> SendDocument | None:
        """Take the lease for one POST. None: somebody else has it, or the row has moved on."""
        after = send.model_copy(update={"state": "intent", "lease_until": self._clock.now() + self._lease})
        return await self._insert(after) if not send.rev else await self.change(send, after)

    async def record(self, send: SendDocument, attempt: Attempt, state: str) -> SendDocument | None:
        """What came of a POST."""
        row: SendDocument | None = send
        while row is not None:
            update: dict[str, Any] = {"attempts": [*row.attempts, attempt], "state": state}
            if attempt.sid and not row.sid:
                update["sid"] = attempt.sid
            if attempt.code:
                update["error_code"] = attempt.code
            if changed := await self.change(row, row.model_copy(update=update)):
                return changed
            row = await self.find(send.id)  # a callback was faster: what it told is kept
            if row is not None and not _same(row.lease_until, send.lease_until):
                return None  # somebody else has taken over
        return None

    async def claimed(self, sids: list[str]) -> set[str]:
        """Which of these belong to a row already."""
        with store_errors():
            cursor = self._sends.find({"sid": {"$in": sids}}, {"sid": 1})
            return {one["sid"] async for one in cursor}

    async def change(self, before: SendDocument, after: SendDocument) -> SendDocument | None:
        """Compare and swap. None when `before` is not the row any more."""
        stamped = self._stamped(after, before.rev)
        with store_errors():
            result = await self._sends.replace_one({"rev": before.rev}, stamped.to_mongo())
        return stamped if result.modified_count else None

    async def _insert(self, send: SendDocument) -> SendDocument | None:
        stamped = self._stamped(send, f"{send.id}#0")
        try:
            with store_errors():
                await self._sends.insert_one(stamped.to_mongo())
        except DuplicateKeyError:
            return None
        return stamped

    def _stamped(self, send: SendDocument, rev: str) -> SendDocument:
        number = int(rev.rpartition("#")[2]) + 1
        return send.model_copy(update={"rev": f"{send.id}#{number}", "updated_at": self._clock.now()})

    def lease_over(self, send: SendDocument) -> datetime | None:
        """None when nobody may be posting it now."""
        return send.lease_until if send.lease_until and send.lease_until > self._clock.now() else None


def _same(one: datetime | None, other: datetime | None) -> bool:
    """MongoDB keeps milliseconds."""
    return one == other or (one is not None and other is not None and abs(one - other) < timedelta(milliseconds=1))
