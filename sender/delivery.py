"""The sender's handler: every part shown once, in order, or a notice that says why not."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from kit.errors import Wait
from kit.ids import digest
from kit.kafka.delivery import Delivery
from kit.lanes import Run
from kit.service import Tools
from schemas.documents import SendDocument
from schemas.events import EraseSends, FenceRaised, Part, SendAgain, SendRequested
from sender.debts import Debts
from sender.effects import FINAL, RANK, EffectLedger, Glance, failed
from sender.fences import Fences
from sender.inquiry import why_not
from sender.posting import HALTED_S, Poster
from sender.window import Content, content, fallback

__all__ = ["DeliveryHandler"]

NEXT_AFTER = timedelta(seconds=5)  # without a `sent` callback of the part before
POLL_S = 0.25  # between two looks for that callback; the lane holds no permit meanwhile


class DeliveryHandler:
    """Repeating a record shows nothing twice: the ledger knows what became of each part.

    One part of a contact at a time. A part that was not shown ends its reply: the rest would only confuse.
    """

    def __init__(
        self, ledger: EffectLedger, poster: Poster, fences: Fences, debts: Debts, reengage: str, tools: Tools
    ) -> None:
        self._ledger = ledger
        self._poster = poster
        self._fences = fences
        self._debts = debts
        self._reengage = reengage
        self._tools = tools

    async def handle(self, run: Run[Delivery]) -> None:
        """Raises TwilioDown, StoreDown, BrokerDown, and Wait while it is only this contact's time that has not come."""
        (delivery,) = run.records
        event = delivery.envelope.data
        if isinstance(event, FenceRaised):
            await self._fences.raised(event)
        elif isinstance(event, EraseSends):
            await self._fences.erased(event)
        elif isinstance(event, SendAgain):
            await self._paid(event, (), _fence_behind(run.behind, event.contact))
        elif isinstance(event, SendRequested):
            await self._deliver(event, _fence_behind(run.behind, event.contact))

    async def _paid(self, event: SendRequested | SendAgain, send_ids: Sequence[str], behind: int) -> Glance:
        """What this contact is owed comes before anything newer of theirs."""
        glance = await self._ledger.glance(event.contact, event.channel, send_ids)
        if not glance.owed:
            return glance
        await self._debts.pay(event.contact, glance, max(behind, glance.fence))
        return await self._ledger.glance(event.contact, event.channel, send_ids)

    async def _deliver(self, request: SendRequested, behind: int) -> None:
        names = [part.send_id for part in request.parts]
        glance = await self._paid(request, [*names, request.follows or ""], behind)
        glance = replace(glance, fence=max(behind, glance.fence))
        before = glance.rows.get(request.follows or "")
        former: SendDocument | None = None
        for number, part in enumerate(request.parts):
            send = glance.rows.get(part.send_id) or self._new(request, part)
            send = await self._settled(request, part, send, former, glance, former or before)
            if send.state != "accepted" or failed(send):
                rest = [glance.rows.get(one.send_id) or self._new(request, one) for one in request.parts[number + 1 :]]
                return await self._stop(rest)
            former = send
        return None

    async def _settled(
        self,
        request: SendRequested,
        part: Part,
        send: SendDocument,
        former: SendDocument | None,
        glance: Glance,
        before: SendDocument | None,
    ) -> SendDocument:
        """`former` is the part before in this reply; `before` may be of an earlier one."""
        if send.owed:
            return await self._debts.settled(send, glance.fence)
        reason = why_not(send, glance.fence, self._tools.clock.now())
        if send.rev:
            send = send if send.state in FINAL else await self._poster.inquiry.resolve(send, reason)
            if send.state in FINAL:
                return await self._poster.ended(send)
        if not reason:
            self._turn_after(before)
        found = Content({}, reason) if reason else self._content(request, part, former)
        if found.reason:
            return await self._poster.withhold(send, found.reason)
        self._require_no_halt(glance)
        return await self._poster.post(send, found.fields)

    def _require_no_halt(self, glance: Glance) -> None:
        """Before anything is written: thousands may wait. The last look, immediately before the bytes, is the guard."""
        if glance.halted(self._tools.clock.now()):
            raise Wait("this number sends nothing for now", after=HALTED_S)

    def _turn_after(self, before: SendDocument | None) -> None:
        """WhatsApp keeps the order of what it has sent, not of what is queued."""
        if before is None or before.state != "accepted" or RANK.get(before.status, -1) >= RANK["sent"]:
            return
        left = (self._ledger.posted_at(before) + NEXT_AFTER - self._tools.clock.now()).total_seconds()
        if left > 0:
            raise Wait("the part before is not sent yet", after=min(POLL_S, left))

    def _content(self, request: SendRequested, part: Part, former: SendDocument | None) -> Content:
        if former and former.template:
            return Content({}, "window_closed")  # also when WhatsApp found so, against our clock
        return content(request, part, self._tools.clock.now(), self._reengage)

    async def _stop(self, rest: Sequence[SendDocument]) -> None:
        """One notice for a reply: that of the part it ended with."""
        for send in rest:
            found = (
                send
                if send.state in FINAL or not send.rev
                else await self._poster.inquiry.resolve(send, "earlier_part")
            )
            if found.state not in FINAL:
                await self._poster.withhold(found, "earlier_part", told=True)

    def _new(self, request: SendRequested, part: Part) -> SendDocument:
        now = self._tools.clock.now()
        return SendDocument(
            id=part.send_id,
            contact=request.contact,
            turn=request.turn,
            seq=request.seq,
            conversation_id=request.conversation_id,
            purpose=request.purpose,
            to=request.to,
            channel=request.channel,
            body_hash=digest(part.text),
            not_after=request.not_after,
            fallback=fallback(request, part, self._reengage),
            created_at=now,
            updated_at=now,
        )


def _fence_behind(behind: Sequence[Delivery], contact: str) -> int:
    """A take-over that already waits in this lane counts at once: what is still open need not be tried for long."""
    events = (delivery.envelope.data for delivery in behind)
    return max((one.seq for one in events if isinstance(one, FenceRaised) and one.contact == contact), default=0)
