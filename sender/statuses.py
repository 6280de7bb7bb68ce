"""What Twilio says about a message, into the ledger: by rank, never backwards, in whatever order it comes."""

from collections.abc import Sequence
from typing import Any

from kit.errors import TwilioDown, Wait
from kit.kafka.delivery import Delivery
from kit.lanes import Run
from kit.logs import get_log
from kit.service import Tools
from schemas.documents import Attempt, SendDocument
from schemas.events import Event, StatusChanged
from sender.effects import RANK, EffectLedger, failed
from sender.outcomes import action_for
from sender.posting import Poster
from sender.telling import Teller

__all__ = ["StatusHandler", "merged"]

AGAIN_S = 10.0  # a template that Twilio cannot take now; statuses of others must not wait for it


class StatusHandler:
    def __init__(self, ledger: EffectLedger, poster: Poster, teller: Teller, tools: Tools) -> None:
        self._ledger = ledger
        self._poster = poster
        self._teller = teller
        self._tools = tools
        self._log = get_log("statuses")

    async def handle(self, run: Run[Delivery]) -> None:
        """A callback may come before its POST returned: it also tells the SID. Raises StoreDown, BrokerDown, Wait."""
        (delivery,) = run.records
        event = delivery.envelope.data
        assert isinstance(event, StatusChanged)  # noqa: S101
        send = await self._ledger.find(event.send_id) if event.send_id else None
        if send is None or send.erased:
            self._tools.metrics.count("hilo_statuses_total", status="stranger")
            self._log.warning("status of a stranger", event_id=delivery.envelope.id, status=event.status)
            return
        await self.apply(send, event, [one.envelope.data for one in run.behind])

    async def apply(self, send: SendDocument, event: StatusChanged, behind: Sequence[Event] = ()) -> None:
        """Also for what Twilio answered when it was asked."""
        after = merged(send, event)
        if after != send:
            changed = await self._ledger.change(send, after)
            if changed is None:
                raise Wait("the part has moved on", after=0.05)
            after = changed
        known = event.status if event.status in RANK else "other"
        known = "second_sid" if _second(after, event) else known
        self._tools.metrics.count("hilo_statuses_total", status=known)
        self._log.info("status", send=send.id, turn_id=send.turn, status=event.status, code=event.error_code)
        await self._follow(after, behind)

    async def _follow(self, send: SendDocument, behind: Sequence[Event]) -> None:
        """What a failure asks for: its template, or a notice. After a crash the record comes again, so this does."""
        if send.state in {"fallback", "intent", "unknown"} and send.template and send.fallback:
            try:
                await self._poster.finish(await self._overtaken(send, behind))
            except TwilioDown as down:
                raise Wait("the template has to wait for Twilio", after=down.after or AGAIN_S) from None
        elif send.state == "accepted" and failed(send):
            await self._teller.not_shown(send)

    async def _overtaken(self, send: SendDocument, behind: Sequence[Event]) -> SendDocument:
        """The callback that tells the template's SID may wait behind the one that asked for the template."""
        known = {one.sid for one in send.attempts}
        events = [one for one in behind if isinstance(one, StatusChanged) and one.send_id == send.id]
        sid = send.sid or next((one.message_sid for one in events if one.message_sid not in known), None)
        if sid == send.sid:
            return send
        changed = await self._ledger.change(send, send.model_copy(update={"sid": sid}))
        if changed is None:
            raise Wait("the part has moved on", after=0.05)
        return changed


def merged(send: SendDocument, event: StatusChanged) -> SendDocument:
    """Pure. The higher rank wins; `failed` and `undelivered` lose to a later `delivered`; an error is never blanked."""
    sid = event.message_sid
    if sid != send.sid and (send.sid or sid in {one.sid for one in send.attempts}):
        return send  # of a message that another one has taken the place of
    update: dict[str, Any] = {"sid": sid}
    if RANK.get(event.status, -1) > RANK.get(send.status, -1):
        update["status"] = event.status
    if event.status in {"failed", "undelivered"} and RANK.get(send.status, -1) <= RANK["sent"]:
        update["status"] = event.status
    if event.error_code and not send.error_code:
        update |= {"error_code": event.error_code, "error_message": event.error_message}
    if send.state == "uncertain":
        update |= {"state": "accepted", "told": False, "error_message": update.get("error_message")}
    after = send.model_copy(update=update)
    if (
        failed(after)
        and after.fallback
        and not (after.template or after.repeats)
        and action_for(after.error_code) == "template"
    ):
        return after.model_copy(update=_to_template(after))
    settled = RANK.get(after.status, -1) >= RANK["sent"] and not failed(after) and after.template
    return after.model_copy(update={"fallback": None}) if settled else after


def _to_template(send: SendDocument) -> dict[str, Any]:
    """WhatsApp's clock is right, ours was not. Its SID stays among the attempts, so that late news of it are known."""
    attempts = list(send.attempts)
    if send.sid not in {one.sid for one in attempts}:
        attempts = [*attempts, _unanswered(send)]
    fresh = {"sid": None, "status": "", "error_code": None, "error_message": None, "lease_until": None}
    return {**fresh, "state": "fallback", "template": True, "attempts": attempts}


def _unanswered(send: SendDocument) -> Attempt:
    return Attempt(number=send.posts, at=send.updated_at, outcome="UNKNOWN", sid=send.sid)


def _second(send: SendDocument, event: StatusChanged) -> bool:
    """Two messages for one part: it was shown twice."""
    known = {send.sid, *(one.sid for one in send.attempts)}
    return event.message_sid not in known
