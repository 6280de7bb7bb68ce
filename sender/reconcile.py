"""Rows without a final status: callbacks may be lost, so Twilio is asked twelve hours after the POST, then daily."""

import asyncio
from datetime import timedelta

from kit.errors import DependencyDown, HiloError, NoAnswer
from kit.logs import get_log
from kit.service import Tools
from kit.twilio import Twilio
from schemas.documents import SendDocument
from schemas.events import StatusChanged
from sender.effects import EffectLedger
from sender.statuses import StatusHandler

__all__ = ["Reconciliation"]

EVERY_S = 3600.0  # between two rounds; each row says itself when it is due
MOST = 500  # rows in one round: a bad day must not become a flood of reads
AGAIN = timedelta(days=1)
NEVER = timedelta(days=36_500)
GIVEN_UP = timedelta(days=4)  # switched off, or they blocked us: Twilio never says so (error 63033)


class Reconciliation:
    """Several at once are harmless: rows change by compare-and-swap."""

    def __init__(self, ledger: EffectLedger, twilio: Twilio, statuses: StatusHandler, tools: Tools) -> None:
        self._ledger = ledger
        self._twilio = twilio
        self._statuses = statuses
        self._tools = tools
        self._log = get_log("reconcile")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._loop(), name="reconcile")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _loop(self) -> None:
        while True:
            await self._tools.clock.sleep(EVERY_S)
            try:
                await self.once()
            except DependencyDown as error:
                self._log.warning("put off", error=str(error))
            except Exception:  # noqa: BLE001  # one bad row must not end the rounds of this process
                self._log.exception("a round failed")

    async def once(self) -> int:
        """How many rows were looked at. Raises StoreDown, BrokerDown."""
        rows = await self._ledger.due(MOST)
        for send in rows:
            result = await self._ask(send)
            self._tools.metrics.count("hilo_reconciled_total", result=result)
        if rows:
            self._log.info("reconciled", rows=len(rows))
        return len(rows)

    async def _ask(self, send: SendDocument) -> str:
        now = self._tools.clock.now()
        over = now - send.created_at > GIVEN_UP
        moved = await self._ledger.change(send, send.model_copy(update={"due": now + (NEVER if over else AGAIN)}))
        if moved is None or over or not moved.sid:
            return "moved_on" if moved is None else "given_up" if over else "no_sid"
        try:
            found = await self._twilio.fetch(send.sid or "")
        except NoAnswer:
            return "twilio_away"
        if found is None:
            return "gone"
        event = StatusChanged(
            message_sid=moved.sid,
            status=found.status,
            send_id=send.id,
            address=send.to,
            error_code=found.code,
            error_message=found.detail,
            received_at=now,
        )
        try:
            await self._statuses.apply(moved, event)
        except DependencyDown:
            raise
        except HiloError:  # somebody else has it in hand
            return "moved_on"
        return "asked"
