"""Below a contact's fence nothing is posted any more: after a take-over, an opt-out, an erasure."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from pymongo.errors import DuplicateKeyError

from kit.errors import Wait
from kit.ids import erased_id, fence_id, halt_id
from kit.mongo import Database, store_errors
from schemas.documents import FenceDocument, HaltDocument, SendDocument
from schemas.events import EraseSends, FenceRaised

if TYPE_CHECKING:
    from sender.effects import EffectLedger
    from sender.telling import Teller

__all__ = ["Fences"]

KEPT_TURNS = 20


class Fences:
    """The lane is serial: when it comes to a fence, nothing older of this process is being posted.

    Another process that was overtaken looks at the fence immediately before its POST; one that had looked already is
    waited for, at most a lease.
    """

    def __init__(self, database: Database, ledger: "EffectLedger", teller: "Teller") -> None:
        self._sends = database.sends
        self._ledger = ledger
        self._teller = teller

    async def raised(self, event: FenceRaised) -> None:
        """Remembered first, then told. Raises Wait while another process may be posting, StoreDown, BrokerDown."""
        fence = await self._keep(event.contact, event.seq)
        if event.reason != "takeover" or event.turn in fence.told:
            return
        await self._quiet(event.contact, event.seq)
        await self._teller.taken_over(event)
        told = [*fence.told, event.turn][-KEPT_TURNS:]
        await self._change(fence, fence.model_copy(update={"told": told}))  # lost: told again, with the same id

    async def erased(self, event: EraseSends) -> None:
        """Rows keep their id and state, under a hash of the contact: a replay still finds that they are settled."""
        await self._keep(event.contact, event.seq)
        await self._quiet(event.contact, event.seq)
        for send in await self._ledger.of_contact(event.contact):
            if send.seq < event.seq and await self._ledger.change(send, _stripped(send)) is None:
                raise Wait("a row has moved on", after=0.1)

    async def owe(self, contact: str, send_id: str) -> None:
        """Nothing newer than this part is posted before it. Repeats are harmless."""
        fence = await self._keep(contact, 0)
        if send_id not in fence.owed:
            await self._change(fence, fence.model_copy(update={"owed": [*fence.owed, send_id]}))

    async def paid(self, contact: str, send_ids: Collection[str]) -> None:
        fence = await self._keep(contact, 0)
        owed = [one for one in fence.owed if one not in send_ids]
        if owed != fence.owed:
            await self._change(fence, fence.model_copy(update={"owed": owed}))

    async def halt(self, channel: str, code: int, until: datetime) -> None:
        """Nothing is posted from this number until then. The last one to say so counts."""
        name = halt_id(channel)
        halt = HaltDocument(id=name, until=until, code=code, rev=f"{name}#{until.timestamp()}")
        with store_errors():
            await self._sends.replace_one({"_id": name}, halt.to_mongo(), upsert=True)

    async def _quiet(self, contact: str, seq: int) -> None:
        older = [one for one in await self._ledger.of_contact(contact) if one.seq < seq and one.state == "intent"]
        left = max(map(self._ledger.lease_left, older), default=0.0)
        if left > 0:
            raise Wait("a POST may be under way elsewhere", after=min(2.0, left))

    async def _keep(self, contact: str, seq: int) -> FenceDocument:
        """The contact's fence, at least at `seq`; it never goes down."""
        name = fence_id(contact)
        with store_errors():
            found = await self._sends.find_one({"_id": name})
        if found is None:
            return await self._insert(FenceDocument(id=name, fence=seq, rev=f"{name}#1"))
        fence = FenceDocument.from_mongo(found)
        return fence if fence.fence >= seq else await self._change(fence, fence.model_copy(update={"fence": seq}))

    async def _insert(self, fence: FenceDocument) -> FenceDocument:
        try:
            with store_errors():
                await self._sends.insert_one(fence.to_mongo())
        except DuplicateKeyError:
            raise Wait("the fence has moved on", after=0.1) from None
        return fence

    async def _change(self, before: FenceDocument, after: FenceDocument) -> FenceDocument:
        number = int(before.rev.rpartition("#")[2]) + 1
        stamped = after.model_copy(update={"rev": f"{before.id}#{number}"})
        with store_errors():
            result = await self._sends.replace_one({"rev": before.rev}, stamped.to_mongo())
        if not result.modified_count:
            raise Wait("the fence has moved on", after=0.1)
        return stamped


def _stripped(send: SendDocument) -> SendDocument:
    """What was not settled is settled now: a POST that may have arrived stays uncertain."""
    settled = {"intent": "withheld", "again": "withheld", "unknown": "uncertain"}
    state = settled.get(send.state, send.state)
    if send.state == "intent" and (send.lease_until or send.repeats):
        state = "uncertain"
    return SendDocument(
        id=send.id,
        contact=erased_id(send.contact),
        turn=send.turn,
        seq=send.seq,
        conversation_id="",
        purpose="",
        to="",
        channel="",
        body_hash="",
        state=state,
        status=send.status,
        told=True,
        erased=True,
        created_at=send.created_at,
        updated_at=send.updated_at,
    )
