"""Parts that Twilio failed after it had accepted them, and that are posted again: where and when, so that order holds.

A callback cannot wait five minutes, and it comes in another lane than the replies. So it writes down what is owed, and
wakes the contact's lane of `message.outbound` with a record (ADR 0019). Whatever that lane comes to next pays first.
"""

from kit.errors import Wait
from kit.service import Tools
from schemas.documents import SendDocument
from sender.effects import FINAL, EffectLedger, Glance, failed, place
from sender.fences import Fences
from sender.inquiry import POLL_S, why_not
from sender.posting import Poster
from sender.telling import Teller

__all__ = ["Debts"]


class Debts:
    """While a part is owed nothing newer of its contact is posted; where something newer was, it is owed no more.

    Both look at what the other has written: the part at the rows of its contact after it is owed, a newer one at what
    is owed after its intent. So one of them steps back, in whatever order they come.
    """

    def __init__(self, ledger: EffectLedger, poster: Poster, fences: Fences, teller: Teller, tools: Tools) -> None:
        self._ledger = ledger
        self._poster = poster
        self._fences = fences
        self._teller = teller
        self._clock = tools.clock

    async def owe(self, send: SendDocument) -> None:
        """Written down, then the lane is woken. A crash in between: the callback's record comes again."""
        await self._fences.owe(send.contact, send.id)
        await self._teller.again(send)

    async def pay(self, contact: str, glance: Glance, fence: int) -> None:
        """Raises Wait until nothing of this contact is owed any more; TwilioDown, StoreDown, BrokerDown."""
        if not glance.owed:
            return
        found = await self._ledger.found(glance.owed)
        for send in sorted(found, key=place):
            if not send.erased:
                await self.settled(send, fence)
        await self._fences.paid(contact, glance.owed)

    async def settled(self, send: SendDocument, fence: int) -> SendDocument:
        """A part that is owed, brought to its end: posted again, or its failure told."""
        reason = why_not(send, fence, self._clock.now())
        if send.state not in FINAL:
            send = await self._poster.inquiry.resolve(send, reason)
        if send.state in FINAL:
            return await self._poster.ended(send)
        if not reason:
            self._in_time(send)
            reason = await self._overtaken(send)
        if reason:
            return await self._given_up(send, reason)
        return await self._poster.post(send, send.content or {})

    def _in_time(self, send: SendDocument) -> None:
        left = (send.again_at - self._clock.now()).total_seconds() if send.again_at else 0.0
        if left > 0:  # in small steps: a take-over may come to stand behind
            raise Wait("it is posted again later", after=min(POLL_S, left))

    async def _overtaken(self, send: SendDocument) -> str:
        newer = [one for one in await self._ledger.of_contact(send.contact) if place(one) > place(send)]
        under_way = [left for one in newer if one.state == "intent" and (left := self._ledger.lease_left(one))]
        if under_way:
            raise Wait("something newer may be under way", after=min(POLL_S, *under_way))
        return "overtaken" if any(map(_may_be_shown, newer)) else ""

    async def _given_up(self, send: SendDocument, reason: str) -> SendDocument:
        """With a SID it is what Twilio says of it: accepted, and failed."""
        if send.state != "again" or not send.sid:
            return await self._poster.withhold(send, reason)
        ended = await self._ledger.moved(send, state="accepted", error_message=reason, content=None, fallback=None)
        return await self._poster.ended(ended)


def _may_be_shown(send: SendDocument) -> bool:
    under_way = send.state == "intent" and send.lease_until is not None
    return under_way or send.state in {"unknown", "uncertain"} or (send.state == "accepted" and not failed(send))
