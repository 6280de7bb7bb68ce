"""What Twilio says about a message, into the ledger: by rank, never backwards, in whatever order it comes."""

from datetime import datetime, timedelta
from typing import Any

from kit.errors import Wait
from kit.kafka.delivery import Delivery
from kit.lanes import Run
from kit.logs import get_log
from kit.service import Tools
from schemas.documents import Attempt, SendDocument
from schemas.events import StatusChanged
from sender.debts import Debts
from sender.effects import RANK, EffectLedger, failed
from sender.fences import Fences
from sender.outcomes import label, once_more, outcome_for
from sender.telling import Teller

__all__ = ["StatusHandler", "merged"]


FAILURES = ("failed", "undelivered")
GONE: dict[str, Any] = {"content": None, "fallback": None}


class StatusHandler:
    def __init__(self, ledger: EffectLedger, debts: Debts, fences: Fences, teller: Teller, tools: Tools) -> None:
        self._ledger = ledger
        self._debts = debts
        self._fences = fences
        self._teller = teller
        self._tools = tools
        self._log = get_log("statuses")

    async def handle(self, run: Run[Delivery]) -> None:
        """A callback may come before its POST returned: it also tells the SID. Raises StoreDown, BrokerDown, Wait."""
        (delivery,) = run.records
        event = delivery.envelope.data
        assert isinstance(event, StatusChanged)  # noqa: S101
        if event.send_id and (guess := self._ledger.last(event.send_id)) and await self._guessed(guess, event):
            return
        send = await self._ledger.find(event.send_id) if event.send_id else None
        send = send or await self._ledger.of_sid(event.message_sid)
        if send is None or send.erased:
            self._tools.metrics.count("hilo_statuses_total", status="stranger", code="none")
            self._log.warning("status of a stranger", event_id=delivery.envelope.id, status=event.status)
            return
        await self.apply(send, event)

    async def apply(self, send: SendDocument, event: StatusChanged) -> None:
        """Also for what Twilio answered when it was asked."""
        after = merged(send, event, self._tools.clock.now())
        if after != send:
            changed = await self._ledger.change(send, after)
            if changed is None:
                raise Wait("the part has moved on", after=0.05)
            after = changed
        await self._told(after, event)

    async def _guessed(self, guess: SendDocument, event: StatusChanged) -> bool:
        """Whether the row was as this process remembers it, and has changed: then nobody had to read it."""
        after = merged(guess, event, self._tools.clock.now())
        changed = await self._ledger.change(guess, after) if after != guess else None
        if changed:
            await self._told(changed, event)
        return changed is not None

    async def _told(self, after: SendDocument, event: StatusChanged) -> None:
        known = event.status if event.status in RANK else "other"
        known = "second_sid" if _second(after, event) else known
        self._tools.metrics.count("hilo_statuses_total", status=known, code=label(event.error_code))
        self._log.info("status", send=after.id, turn_id=after.turn, status=event.status, code=event.error_code)
        await self._follow(after)

    async def _follow(self, send: SendDocument) -> None:
        """What a failure asks for. After a crash the record comes again, so this does."""
        outcome = outcome_for(send.error_code)
        if failed(send) and outcome.action == "halt" and send.error_code:
            until = self._tools.clock.now() + timedelta(seconds=outcome.delays[0])
            await self._fences.halt(send.channel, send.error_code, until)
            self._teller.alarm(send, send.error_code, outcome.action)
        if send.state == "again":
            await self._debts.owe(send)
        elif send.state == "accepted" and failed(send):
            await self._teller.not_shown(send)


def merged(send: SendDocument, event: StatusChanged, now: datetime) -> SendDocument:
    """Pure. The higher rank wins; `failed` and `undelivered` lose to a later `delivered`; an error is never blanked."""
    sid = event.message_sid
    if sid != send.sid and (send.sid or sid in {one.sid for one in send.attempts}):
        return send  # of a message that another one has taken the place of
    update: dict[str, Any] = {"sid": sid}
    if RANK.get(event.status, -1) > RANK.get(send.status, -1):
        update["status"] = event.status
    if event.status in FAILURES and RANK.get(send.status, -1) <= RANK["sent"]:
        update["status"] = event.status
    if event.error_code and not send.error_code:
        update |= {"error_code": event.error_code, "error_message": event.error_message}
    if send.state == "uncertain":
        update |= {"state": "accepted", "told": False, "error_message": update.get("error_message")}
    return _judged(send.model_copy(update=update), now)


def _judged(send: SendDocument, now: datetime) -> SendDocument:
    """What was posted is kept as long as it may have to be posted again."""
    if failed(send) and send.state in {"intent", "unknown", "accepted"}:
        again = once_more(send, send.error_code, now)
        return send.model_copy(update={**again, "attempts": _known(send)} if again else GONE)
    if RANK.get(send.status, -1) >= RANK["delivered"]:
        shown_after_all = {"state": "accepted", "owed": False, "again_at": None} if send.state == "again" else {}
        return send.model_copy(update={**GONE, **shown_after_all})
    return send


def _known(send: SendDocument) -> list[Attempt]:
    """Its SID stays among the attempts, so that late news of it are known."""
    known = send.sid in {one.sid for one in send.attempts}
    return send.attempts if known else [*send.attempts, _unanswered(send)]


def _unanswered(send: SendDocument) -> Attempt:
    return Attempt(number=send.posts, at=send.updated_at, outcome="UNKNOWN", sid=send.sid)


def _second(send: SendDocument, event: StatusChanged) -> bool:
    """Two messages for one part: it was shown twice."""
    known = {send.sid, *(one.sid for one in send.attempts)}
    return event.message_sid not in known
