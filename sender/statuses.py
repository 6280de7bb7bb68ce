"""What Twilio says about a message, into the ledger: by rank, never backwards, in whatever order it comes."""

from typing import Any

from kit.errors import Wait
from kit.kafka.delivery import Delivery
from kit.lanes import Run
from kit.logs import get_log
from kit.service import Tools
from schemas.documents import SendDocument
from schemas.events import StatusChanged
from sender.effects import RANK, EffectLedger

__all__ = ["StatusHandler", "merged"]


class StatusHandler:
    def __init__(self, ledger: EffectLedger, tools: Tools) -> None:
        self._ledger = ledger
        self._tools = tools
        self._log = get_log("statuses")

    async def handle(self, run: Run[Delivery]) -> None:
        """A callback may come before its POST returned: it also tells the SID. Raises StoreDown, Wait."""
        (delivery,) = run.records
        event = delivery.envelope.data
        assert isinstance(event, StatusChanged)  # noqa: S101
        send = await self._ledger.find(event.send_id) if event.send_id else None
        if send is None:
            self._tools.metrics.count("hilo_statuses_total", status="stranger")
            self._log.warning("status of a stranger", event_id=delivery.envelope.id, status=event.status)
            return
        after = merged(send, event)
        if after != send and await self._ledger.change(send, after) is None:
            raise Wait("the part has moved on", after=0.05)
        known = event.status if event.status in RANK else "other"
        self._tools.metrics.count("hilo_statuses_total", status=known)
        self._log.info("status", send=send.id, turn_id=send.turn, status=event.status, code=event.error_code)


def merged(send: SendDocument, event: StatusChanged) -> SendDocument:
    """Pure. The higher rank wins; `failed` and `undelivered` lose to a later `delivered`; an error is never blanked."""
    update: dict[str, Any] = {}
    if RANK.get(event.status, -1) > RANK.get(send.status, -1):
        update["status"] = event.status
    if event.status in {"failed", "undelivered"} and RANK.get(send.status, -1) <= RANK["sent"]:
        update["status"] = event.status
    if event.error_code and not send.error_code:
        update |= {"error_code": event.error_code, "error_message": event.error_message}
    if send.sid is None:
        update["sid"] = event.message_sid
    return send.model_copy(update=update)
