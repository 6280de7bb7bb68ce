"""One part to Twilio: at most one POST at a time, and none again before it was asked what became of the last one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any

from kit.errors import HiloError, TwilioDown, Wait
from kit.logs import get_log
from kit.service import Tools
from kit.tracing import outgoing
from kit.twilio import Created, Twilio
from schemas.documents import Attempt, SendDocument
from sender.effects import FINAL, EffectLedger, failed
from sender.inquiry import POLL_S, Inquiry, why_not
from sender.outcomes import label, once_more, outcome_for
from sender.pacing import Pacer
from sender.telling import Teller
from sender.window import CALLBACK_OVERRIDES, validity

__all__ = ["HALTED_S", "Poster"]

POST_S = 10.0  # a POST takes no longer (kit/http): the lease has to last that long when it begins
CONNECTIONS = 32  # POSTs at once; Twilio's own limit is not published
HALTED_S = 5.0  # between two looks whether a number may send again
SLOT_S = 15.0  # for a free one; with POST_S well below the handler's deadline (60)


class _Withdrawn(HiloError):
    """Nothing was posted: something changed between the intent and the POST."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


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
        self.inquiry = Inquiry(ledger, twilio, teller, tools)
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._log = get_log("delivery")

    async def post(self, send: SendDocument, fields: dict[str, str]) -> SendDocument:
        """Accepted, rejected or withheld. Raises Wait, TwilioDown, StoreDown, BrokerDown: come again."""
        left = self._pacer.wait(send.channel, send.contact, send.id)
        if left > 0:
            raise Wait("its turn has not come", after=left)
        repeat = _may_be_shown(send)
        if repeat:
            await self._teller.repeated(send)
        async with self._slot():
            content = {"template": "ContentSid" in fields, "content": fields}
            send = _ours(await self._ledger.intend(send.model_copy(update=content), repeat=repeat))
            began = self._tools.clock.now()
            try:
                created = await self._twilio.create(
                    to=send.to,
                    channel=send.channel,
                    callback=f"{self._callback}?{_query(send)}{CALLBACK_OVERRIDES}",
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
            recorded = await self._ledger.record(send, attempt, **_becomes(send, created, self._tools.clock.now()))
        self._count(send, created)
        return await self._judge(_ours(recorded), created)

    async def _still(self, send: SendDocument) -> None:
        """Immediately before the bytes: the row is ours, the lease lasts, nothing forbids it."""
        glance = await self._ledger.glance(send.contact, send.channel, [send.id])
        row = glance.rows.get(send.id)
        if row is None or row.rev != send.rev:
            raise _Withdrawn("moved_on")
        if reason := why_not(send, glance.fence, self._tools.clock.now()):
            raise _Withdrawn(reason)
        if self._ledger.lease_left(send) < POST_S:
            raise _Withdrawn("lease")
        if not send.owed and set(glance.owed) - {send.id}:
            raise _Withdrawn("owed")
        if glance.halted(self._tools.clock.now()):
            raise _Withdrawn("halted")

    async def _step_back(self, send: SendDocument, reason: str) -> SendDocument:
        if reason in {"fenced", "expired"}:
            return await self.withhold(send, reason)
        if reason in {"lease", "owed", "halted"}:
            await self._ledger.moved(send, lease_until=None)
        if reason == "halted":  # this number only: others go on
            raise Wait("this number sends nothing for now", after=HALTED_S)
        raise Wait(f"not posted: {reason}", after=0.2)

    async def withhold(self, send: SendDocument, reason: str, *, told: bool = False) -> SendDocument:
        """It will not be posted any more. After a POST that nobody knows of, that is no proof that it is not shown."""
        state = "uncertain" if send.repeats or send.state == "unknown" else "withheld"
        gone = {"lease_until": None, "content": None, "fallback": None}
        update = {**gone, "state": state, "error_message": reason, "told": told}
        saved = await self._ledger.save(send, send.model_copy(update=update))
        self._tools.metrics.count("hilo_withheld_total", reason=reason)
        return await self._teller.not_shown(_ours(saved))

    async def ended(self, send: SendDocument) -> SendDocument:
        """A row that had its end; a crash may have come before its notice."""
        shown = send.state == "accepted" and not failed(send)  # its failure may have been told before its answer
        return send if shown else await self._teller.not_shown(send)

    async def _judge(self, send: SendDocument, created: Created) -> SendDocument:
        if send.state in FINAL:
            return await self.ended(send)
        if send.state == "unknown":
            raise Wait("Twilio's answer is unknown", after=POLL_S)
        if send.state == "again":
            raise Wait(f"Twilio refuses it now with {created.code}", after=0.1)
        outcome = outcome_for(created.code)
        if created.outcome == "CONFIG" or (created.code and outcome.alarm):
            self._teller.alarm(send, created.code, created.detail)
        held = outcome.delays[0] if outcome.action == "hold" and outcome.delays else None
        raise TwilioDown(f"{created.outcome} {created.code or created.detail}", after=created.retry_after or held)

    def _count(self, send: SendDocument, created: Created) -> None:
        metrics, now = self._tools.metrics, self._tools.clock.now()
        metrics.count("hilo_sends_total", outcome=created.outcome, code=label(created.code))
        if created.outcome == "ACCEPTED":
            metrics.observe("hilo_send_seconds", (now - send.created_at).total_seconds(), purpose=send.purpose)
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


def _query(send: SendDocument) -> str:
    """Which send a status is of, and the trace it belongs to. Twilio signs it with the rest of the URL."""
    trace = outgoing().get("traceparent")
    return f"send={send.id}&attempt={send.posts}" + (f"&trace={trace}" if trace else "")


def _ours(row: SendDocument | None) -> SendDocument:
    """The row as we wrote it; None where another process had written it first."""
    if row is None:
        raise Wait("another process has this part", after=1)
    return row


def _may_be_shown(send: SendDocument) -> bool:
    """Nobody knows what became of its last POST, or Twilio itself does not."""
    asked = send.state == "again" and outcome_for(send.error_code).action == "ask"
    return send.state == "unknown" or asked


def _becomes(send: SendDocument, created: Created, now: datetime) -> dict[str, Any]:
    """The row after this answer. Without a lease the next attempt need not wait for anything."""
    if created.outcome in {"ACCEPTED", "UNKNOWN"}:
        return {"state": created.outcome.lower()}
    if created.outcome in {"NOT_SENT", "CONFIG"} or outcome_for(created.code).action in {"halt", "hold"}:
        return {"state": "intent", "lease_until": None}
    again = once_more(send, created.code, now)
    return again or {"state": "rejected", "lease_until": None, "content": None, "fallback": None}
