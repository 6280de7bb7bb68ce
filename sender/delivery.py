"""The sender's handler: every part shown once, in order, or a notice that says why not."""

import hashlib
from datetime import timedelta

import httpx

from kit.errors import TwilioDown, Wait
from kit.kafka.delivery import Delivery
from kit.kafka.outlet import Outlet
from kit.lanes import Run
from kit.logs import get_log
from kit.service import Tools
from kit.twilio import Created, Listed, Twilio
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.documents import Attempt, SendDocument
from schemas.events import Part, SendRequested
from schemas.notices import MessageExpired, MessageUndeliverable, Notice
from schemas.topics import SYSTEM_NOTICES
from sender.effects import EffectLedger
from sender.outcomes import action_for
from sender.window import CALLBACK_OVERRIDES, Content, content

__all__ = ["DeliveryHandler"]

SOURCE = "hilo/sender"
SKEW = timedelta(seconds=5)  # between our clock and Twilio's
STATES = {
    "ACCEPTED": "accepted",
    "REJECTED": "rejected",
    "NOT_SENT": "intent",
    "CONFIG": "intent",
    "UNKNOWN": "unknown",
}


class DeliveryHandler:
    """Repeating a record shows nothing twice: the ledger knows what became of each part.

    Of a part whose POST may have arrived, Twilio is asked before it is posted again.
    """

    def __init__(self, ledger: EffectLedger, twilio: Twilio, outlet: Outlet, public_url: str, tools: Tools) -> None:
        self._ledger = ledger
        self._twilio = twilio
        self._outlet = outlet
        self._callback = f"{public_url}/webhook/twilio/status"
        self._tools = tools
        self._log = get_log("delivery")

    async def handle(self, run: Run[Delivery]) -> None:
        """Raises TwilioDown, StoreDown, BrokerDown, and Wait while another process may be posting."""
        (delivery,) = run.records
        request = delivery.envelope.data
        if not isinstance(request, SendRequested):
            return  # fences and erasures come with human take-over
        for part in request.parts:
            shown = await self._show(request, part)
            if not shown:
                return  # the rest of a reply without its beginning would only confuse

    async def _show(self, request: SendRequested, part: Part) -> bool:
        send = await self._ledger.find(part.send_id) or self._new(request, part)
        if send.rev and send.state in {"accepted", "rejected", "withheld"}:
            if send.state != "accepted":
                await self._tell(request, send)
            return send.state == "accepted"
        if send.rev:
            send = await self._resolve(send)
            if send.state == "accepted":
                return True
        found = content(request, part, self._tools.clock.now())
        if found.reason:
            return await self._withhold(request, send, found.reason)
        return await self._post(request, send, found)

    async def _resolve(self, send: SendDocument) -> SendDocument:
        """A POST may have arrived: a callback has told its SID by now, or Twilio's list does, or it is posted again."""
        if send.sid:
            return await self._changed(send, send.model_copy(update={"state": "accepted"}))
        over = self._ledger.lease_over(send)
        if over:
            left = (over - self._tools.clock.now()).total_seconds()
            raise Wait("a POST may be under way", after=max(0.1, left))
        found = await self._listed(send)
        if found:
            return await self._changed(send, send.model_copy(update={"state": "accepted", "sid": found.sid}))
        return send

    async def _listed(self, send: SendDocument) -> Listed | None:
        try:
            messages = await self._twilio.list_to(to=send.to, channel=send.channel)
        except httpx.HTTPError as error:
            raise TwilioDown(f"list: {type(error).__name__}") from None
        since = min([one.at for one in send.attempts], default=send.created_at) - SKEW
        ours = [one for one in messages if one.direction.startswith("outbound") and one.created_at >= since]
        claimed = await self._ledger.claimed([one.sid for one in ours])
        alike = (one for one in reversed(ours) if send.template or _hash(one.body) == send.body_hash)
        return next((one for one in alike if one.sid not in claimed), None)  # the oldest that nobody else has

    async def _post(self, request: SendRequested, send: SendDocument, found: Content) -> bool:
        send = await self._intended(send.model_copy(update={"template": "ContentSid" in found.fields}))
        number = len(send.attempts) + 1
        callback = f"{self._callback}?send={send.id}&attempt={number}{CALLBACK_OVERRIDES}"
        began = self._tools.clock.now()
        created = await self._twilio.create(to=send.to, channel=send.channel, callback=callback, content=found.fields)
        attempt = Attempt(
            number=number, at=began, outcome=created.outcome, sid=created.sid, code=created.code, detail=created.detail
        )
        self._tools.metrics.count("hilo_sends_total", outcome=created.outcome)
        recorded = await self._ledger.record(send, attempt, STATES[created.outcome])
        self._log.info(
            "posted",
            send=send.id,
            turn_id=send.turn,
            contact=send.contact,
            outcome=created.outcome,
            code=created.code,
            detail=created.detail,
        )
        return await self._judge(request, recorded or send, created)

    async def _judge(self, request: SendRequested, send: SendDocument, created: Created) -> bool:
        if created.outcome == "ACCEPTED":
            return True
        if created.outcome == "UNKNOWN":
            raise Wait("Twilio's answer is unknown", after=5)
        if created.outcome in {"NOT_SENT", "CONFIG"} or action_for(created.code) in {"halt", "backoff"}:
            await self._release(send)
            raise TwilioDown(f"{created.outcome} {created.code or created.detail}", after=created.retry_after)
        await self._tell(request, send)
        return False

    async def _release(self, send: SendDocument) -> None:
        """Certainly nothing was sent: the next attempt need not wait for the lease."""
        await self._ledger.change(send, send.model_copy(update={"state": "intent", "lease_until": None}))

    async def _withhold(self, request: SendRequested, send: SendDocument, reason: str) -> bool:
        send = await self._intended(send)
        update = {"state": "withheld", "error_message": reason, "lease_until": None}
        await self._tell(request, await self._changed(send, send.model_copy(update=update)))
        return False

    async def _tell(self, request: SendRequested, send: SendDocument) -> None:
        """A notice with a stable id: told again after a crash, it is the same one."""
        about = {"contact": send.contact, "at": send.updated_at, "send_id": send.id}
        notice: Notice
        if send.error_message == "expired":
            notice = MessageExpired(**about, conversation_id=request.conversation_id)
        else:
            reason = send.error_message or f"refused by Twilio with {send.error_code}"
            notice = MessageUndeliverable(
                **about,
                conversation_id=request.conversation_id,
                code=send.error_code,
                reason=reason,
            )
        envelope = Envelope(f"{send.id}-{send.state}", SOURCE, self._tools.clock.now(), Contact(send.contact), notice)
        await self._outlet.publish(SYSTEM_NOTICES.name, envelope)

    async def _intended(self, send: SendDocument) -> SendDocument:
        taken = await self._ledger.intend(send)
        if taken is None:
            raise Wait("another process has this part", after=1)
        return taken

    async def _changed(self, before: SendDocument, after: SendDocument) -> SendDocument:
        changed = await self._ledger.change(before, after)
        if changed is None:
            raise Wait("the part has moved on", after=0.1)
        return changed

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
            body_hash=_hash(part.text),
            created_at=now,
            updated_at=now,
        )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
