"""What others have to know of a send. Ids are stable: told again after a crash, it is the same notice."""

from kit.kafka.outlet import Outlet
from kit.logs import get_log
from kit.service import Tools
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.documents import SendDocument
from schemas.events import AddressRefused, Event, FenceRaised, SendAgain
from schemas.notices import ConversationTakenOver, MessageExpired, MessageUncertain, MessageUndeliverable, Notice
from schemas.topics import CONTACT_LOG, MESSAGE_OUTBOUND, SYSTEM_NOTICES, Topic
from sender.effects import EffectLedger, failed
from sender.outcomes import label, outcome_for

__all__ = ["Teller"]

SOURCE = "hilo/sender"


class Teller:
    """Raises BrokerDown, StoreDown; whoever called comes again."""

    def __init__(self, outlet: Outlet, ledger: EffectLedger, tools: Tools) -> None:
        self._outlet = outlet
        self._ledger = ledger
        self._tools = tools
        self._log = get_log("delivery")

    async def not_shown(self, send: SendDocument) -> SendDocument:
        """Once, why this part was not shown or may not have been; the row as it is afterwards."""
        if send.told:
            return send
        end = "failed" if send.state == "accepted" else send.state
        await self._publish(f"{send.id}-{end}", SYSTEM_NOTICES, send.contact, self._notice(send))
        if failed(send) or send.state == "rejected":
            await self._refused(send, send.error_code)
        changed = await self._ledger.change(send, send.model_copy(update={"told": True}))
        return changed or send

    async def repeated(self, send: SendDocument) -> None:
        """It is about to be posted again, though the first one may be on the handset."""
        self._tools.metrics.count("hilo_sends_repeated_total", end="posted_again")
        notice = MessageUncertain(**_about(send), reason="posted_again")
        await self._publish(f"{send.id}-repeated", SYSTEM_NOTICES, send.contact, notice)

    async def again(self, send: SendDocument) -> None:
        """Wake the lane of its contact: this part is to be posted again."""
        event = SendAgain(contact=send.contact, channel=send.channel, send_id=send.id)
        await self._publish(f"{send.id}-again-{send.posts}", MESSAGE_OUTBOUND, send.contact, event)

    async def taken_over(self, event: FenceRaised) -> None:
        now = self._tools.clock.now()
        notice = ConversationTakenOver(
            contact=event.contact, at=now, conversation_id=event.conversation_id, turn=event.turn, by=event.by
        )
        await self._publish(f"{event.turn}-taken-over", SYSTEM_NOTICES, event.contact, notice)

    def alarm(self, send: SendDocument, code: int | None, detail: str) -> None:
        """Somebody has to look: our account, our number, our content."""
        self._tools.metrics.count("hilo_send_alarms_total", code=label(code))
        self._log.warning("alarm", send=send.id, code=code, detail=detail)

    def _notice(self, send: SendDocument) -> Notice:
        if send.state == "uncertain":
            self._tools.metrics.count("hilo_sends_repeated_total", end="uncertain")
            return MessageUncertain(**_about(send), reason=send.error_message or "answer_lost")
        if send.error_message == "expired":
            return MessageExpired(**_about(send))
        reason = send.error_message or f"refused by Twilio with {send.error_code}"
        return MessageUndeliverable(**_about(send), code=send.error_code, reason=reason)

    async def _refused(self, send: SendDocument, code: int | None) -> None:
        outcome = outcome_for(code)
        if code and outcome.action in {"suppress", "opt_out"}:
            event = AddressRefused(address=send.to, code=code)
            await self._publish(f"{send.id}-refused", CONTACT_LOG, send.contact, event)
        if outcome.action == "fix":
            self._log.error("a message of ours is at fault", send=send.id, turn_id=send.turn, code=code)
        if outcome.alarm:
            self.alarm(send, code, outcome.action)

    async def _publish(self, name: str, topic: Topic, contact: str, event: Event) -> None:
        await self._outlet.publish(topic.name, Envelope(name, SOURCE, self._tools.clock.now(), Contact(contact), event))


def _about(send: SendDocument) -> dict[str, object]:
    return {
        "contact": send.contact,
        "at": send.updated_at,
        "send_id": send.id,
        "conversation_id": send.conversation_id,
    }
