"""One part to Twilio: at most one POST at a time, and none again before it was asked what became of the last one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from kit.errors import HiloError, NoAnswer, TwilioDown, Wait
from kit.logs import get_log
from kit.service import Tools
from kit.twilio import Created, Listed, Twilio
from schemas.documents import Attempt, SendDocument
from sender.effects import EffectLedger, failed
from sender.fences import digest
from sender.outcomes import action_for
from sender.pacing import Pacer
from sender.telling import Teller
from sender.window import CALLBACK_OVERRIDES, validity

__all__ = ["Poster", "why_not"]

SKEW = timedelta(seconds=5)  # between our clock and Twilio's
POST_S = 10.0  # a POST takes no longer (kit/http): the lease has to last that long when it begins
LOOKS = (5.0, 15.0, 45.0, 60.0)  # s after the POST: when its message is looked for in Twilio's list
HURRIED = (5.0, 15.0)  # the same, when a fence waits: it will not be posted again anyway
POLL_S = 2.0  # between two looks at the row, where a callback may have told the SID
MOST_REPEATS = 1  # of a POST whose answer stayed unknown
MOST_LATER = 4  # attempts at what only this contact is refused for
LATER_S = 30.0
CONNECTIONS = 32  # POSTs at once; Twilio's own limit is not published
SLOT_S = 15.0  # for a free one; with POST_S well below the handler's deadline (60)


class _Withdrawn(HiloError):
    """Nothing was posted: something changed between the intent and the POST."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def why_not(send: SendDocument, fence: int, now: datetime) -> str:
    """Why this must not be shown any more; empty if it may."""
    if send.seq < fence:
        return "fenced"
    return "expired" if send.not_after and now > send.not_after else ""


class Poster:
    """Of a part whose POST may have arrived, Twilio is asked before it is posted again, and that once at most.

    A row that has a SID is never posted. A POST begins only with a lease that outlasts it, checked together with the
    row and the fence when the connection is free: a process that was paused in between posts nothing.
    """

    def __init__(
        self, ledger: EffectLedger, twilio: Twilio, teller: Teller, pacer: Pacer, public_url: str, tools: Tools
    ) -> None:
        self._ledger = ledger
        self._twilio = twilio
        self._teller = teller
        self._pacer = pacer
        self._callback = f"{public_url}/webhook/twilio/status"
        self._tools = tools
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._log = get_log("delivery")

    async def finish(self, send: SendDocument) -> SendDocument:
        """Bring the template of a part to its end, which WhatsApp found outside the window."""
        fence = (await self._ledger.glance(send.contact, [])).fence
        reason = why_not(send, fence, self._tools.clock.now())
        send = await self.resolve(send, reason)
        if send.state in {"accepted", "uncertain"}:
            return await self.ended(send)
        return await self.withhold(send, reason) if reason else await self.post(send, send.fallback or {})

    async def resolve(self, send: SendDocument, reason: str = "") -> SendDocument:
        """Accepted or uncertain; or any other state, and it may be posted. Raises Wait while nobody knows yet."""
        if send.sid:
            return await self._changed(send, state="accepted")
        if send.lease_until is None:
            return send
        send = await self._looked_for(send, HURRIED if reason == "fenced" else LOOKS)
        if send.state != "accepted" and (reason or send.repeats >= MOST_REPEATS):
            send = await self._changed(send, state="uncertain", error_message="answer_lost")
            return await self._teller.not_shown(send)
        return send

    async def _looked_for(self, send: SendDocument, looks: tuple[float, ...]) -> SendDocument:
        if send.looks >= len(looks):
            return await self._given_up(send)
        age = (self._tools.clock.now() - self._ledger.posted_at(send)).total_seconds()
        if age < looks[send.looks]:
            raise Wait("Twilio's answer is unknown", after=min(POLL_S, looks[send.looks] - age))
        found = await self._listed(send)
        if found:
            return await self._changed(send, state="accepted", sid=found.sid)
        done = max(send.looks + 1, sum(age >= one for one in looks))
        send = await self._changed(send, looks=done)
        if done < len(looks):
            raise Wait("Twilio does not list it yet", after=min(POLL_S, max(0.1, looks[done] - age)))
        return await self._given_up(send)

    async def _given_up(self, send: SendDocument) -> SendDocument:
        """Neither callback nor list know it; nobody posts it again before the lease is over."""
        if left := self._ledger.lease_left(send):
            raise Wait("a POST may be under way", after=min(POLL_S, left))
        return send if send.state == "unknown" else await self._changed(send, state="unknown")

    async def _listed(self, send: SendDocument) -> Listed | None:
        try:
            messages = await self._twilio.list_to(to=send.to, channel=send.channel)
        except NoAnswer as error:
            raise TwilioDown(f"list: {error}") from None
        since = (self._ledger.posted_at(send) if send.template else send.created_at) - SKEW
        ours = [one for one in messages if one.direction.startswith("outbound") and one.created_at >= since]
        taken = await self._ledger.claimed(send.contact) if ours else set()
        alike = (one for one in reversed(ours) if send.template or digest(one.body) == send.body_hash)
        return next((one for one in alike if one.sid not in taken), None)  # the oldest that nobody else has

    async def post(self, send: SendDocument, fields: dict[str, str]) -> SendDocument:
        """Accepted, rejected or withheld. Raises Wait, TwilioDown, StoreDown, BrokerDown: come again."""
        left = self._pacer.wait(send.channel, send.contact, send.id)
        if left > 0:
            raise Wait("its turn has not come", after=left)
        if send.state == "unknown":
            await self._teller.repeated(send)
        async with self._slot():
            send = await self._intended(send.model_copy(update={"template": "ContentSid" in fields}))
            began = self._tools.clock.now()
            try:
                created = await self._twilio.create(
                    to=send.to,
                    channel=send.channel,
                    callback=f"{self._callback}?send={send.id}&attempt={send.posts}{CALLBACK_OVERRIDES}",
                    content={**fields, **validity(send.not_after, began)},
                    before=partial(self._still, send),
                )
            except _Withdrawn as withdrawn:
                return await self._step_back(send, withdrawn.reason)
            attempt = Attempt(
                number=send.posts,
                at=began,
                outcome=created.outcome,
                sid=created.sid,
                code=created.code,
                detail=created.detail,
            )
            recorded = await self._ledger.record(send, attempt, **_becomes(send, created))
        self._count(send, created)
        if recorded is None:
            raise Wait("another process has this part", after=1)
        return await self._judge(recorded, created)

    async def _still(self, send: SendDocument) -> None:
        """Immediately before the bytes: the row is ours, the lease lasts, nothing forbids it."""
        glance = await self._ledger.glance(send.contact, [send.id])
        row = glance.rows.get(send.id)
        if row is None or row.rev != send.rev:
            raise _Withdrawn("moved_on")
        if reason := why_not(send, glance.fence, self._tools.clock.now()):
            raise _Withdrawn(reason)
        if self._ledger.lease_left(send) < POST_S:
            raise _Withdrawn("lease")

    async def _step_back(self, send: SendDocument, reason: str) -> SendDocument:
        if reason in {"fenced", "expired"}:
            return await self.withhold(send, reason)
        if reason == "lease":
            await self._changed(send, lease_until=None)
        raise Wait(f"not posted: {reason}", after=0.2)

    async def withhold(self, send: SendDocument, reason: str, *, told: bool = False) -> SendDocument:
        """It will not be posted any more. After a POST that nobody knows of, that is no proof that it is not shown."""
        state = "uncertain" if send.repeats or send.state == "unknown" else "withheld"
        update = {"state": state, "error_message": reason, "lease_until": None, "fallback": None, "told": told}
        saved = await self._ledger.save(send, send.model_copy(update=update))
        if saved is None:
            raise Wait("another process has this part", after=1)
        return await self._teller.not_shown(saved)

    async def ended(self, send: SendDocument) -> SendDocument:
        """A row that had its end; a crash may have come before its notice."""
        shown = send.state == "accepted" and not failed(send)  # its failure may have been told before its answer
        return send if shown else await self._teller.not_shown(send)

    async def _judge(self, send: SendDocument, created: Created) -> SendDocument:
        if send.state in {"accepted", "rejected", "withheld", "uncertain"}:
            return await self.ended(send)
        if send.state == "unknown":
            raise Wait("Twilio's answer is unknown", after=POLL_S)
        action = action_for(created.code)
        if send.state == "fallback" or (created.outcome == "REJECTED" and action == "later"):
            raise Wait(f"Twilio refuses it now with {created.code}", after=LATER_S if action == "later" else 0.1)
        if created.outcome == "CONFIG" or action == "halt":
            self._teller.alarm(send, created.code, created.detail)
        raise TwilioDown(f"{created.outcome} {created.code or created.detail}", after=created.retry_after)

    def _count(self, send: SendDocument, created: Created) -> None:
        self._tools.metrics.count("hilo_sends_total", outcome=created.outcome)
        about = {"outcome": created.outcome, "code": created.code, "detail": created.detail}
        self._log.info("posted", send=send.id, turn_id=send.turn, contact=send.contact, **about)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(SLOT_S):
                await self._slots.acquire()
        except TimeoutError:
            raise Wait("no connection is free", after=1) from None
        try:
            yield
        finally:
            self._slots.release()

    async def _intended(self, send: SendDocument) -> SendDocument:
        taken = await self._ledger.intend(send)
        if taken is None:
            raise Wait("another process has this part", after=1)
        return taken

    async def _changed(self, before: SendDocument, **update: Any) -> SendDocument:
        changed = await self._ledger.change(before, before.model_copy(update=update))
        if changed is None:
            raise Wait("the part has moved on", after=0.1)
        return changed


def _becomes(send: SendDocument, created: Created) -> dict[str, Any]:
    """The row after this answer. Without a lease the next attempt need not wait for anything."""
    action = action_for(created.code)
    again: dict[str, Any] = {"state": "intent", "lease_until": None}
    if created.outcome in {"ACCEPTED", "UNKNOWN"}:
        return {"state": created.outcome.lower()}
    if created.outcome in {"NOT_SENT", "CONFIG"} or action in {"halt", "backoff"}:
        return again
    if action == "later" and len(send.attempts) < MOST_LATER:
        return again
    if action == "template" and send.fallback and not (send.template or send.repeats):
        return {"state": "fallback", "lease_until": None, "template": True}
    return {"state": "rejected", "lease_until": None}
