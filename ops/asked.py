"""What an operator can ask of a conversation: the record it becomes, and how to see that it has taken effect."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kit import ids
from kit.errors import HiloError
from kit.reads import Reads
from schemas.contact import Contact, redact
from schemas.documents import ConversationDocument, SendDocument
from schemas.events import CloseRequested, Event, HandedBack, OperatorSaid, TakenOver

__all__ = ["Asked", "Refused", "closing", "hand_back", "operator_id", "say", "take_over"]

NOT_DECIDED = "the processor has not decided it: is it running?"
SHOWN = {"accepted"}
UNSEEN = {"rejected", "withheld", "uncertain"}


class Refused(HiloError):
    """It will not take effect any more. `reason` is a short name, or what Twilio said."""

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Asked:
    contact: Contact
    event: Event
    event_id: str
    seen: Callable[[Reads], Awaitable[bool]]
    """Whether it has taken effect. Raises Refused, StoreDown."""
    pending: str
    """What is missing as long as it has not."""


def operator_id(what: str) -> str:
    """Each asking is one of its own: an operator may take over again an hour later."""
    return f"{what}_{secrets.token_hex(12)}"


def take_over(contact: Contact, by: str) -> Asked:
    """In effect once the sender has confirmed: from then on nothing older can be posted."""
    event_id = operator_id("takeover")

    async def confirmed(reads: Reads) -> bool:
        linked = None if contact.startswith("+") else await reads.linked(contact)
        for name in {contact, linked or contact}:  # a linked user id's records are decided in the number's story
            fence = await reads.confirmed(name)
            if fence and ids.turn_id(Contact(name), event_id) in fence.told:
                return True
        return False

    pending = "not confirmed: are processor and sender running?"
    return Asked(contact, TakenOver(by=by), event_id, confirmed, pending)


def hand_back(contact: Contact, by: str, channel: str | None = None) -> Asked:
    event_id = operator_id("handback")

    async def decided(reads: Reads) -> bool:
        return await reads.finished(event_id) is not None

    return Asked(contact, HandedBack(by=by, channel=channel), event_id, decided, NOT_DECIDED)


def say(contact: Contact, text: str, by: str, channel: str | None = None, mark: str = "") -> Asked:
    """In effect once Twilio has taken every bubble of it. The same words with the same `mark` are said once."""
    event_id = f"say_{ids.digest(f'{mark} {contact} {text}')}" if mark else operator_id("say")

    async def taken(reads: Reads) -> bool:
        return await _said(reads, contact, event_id)

    event = OperatorSaid(by=by, text=text, channel=channel)
    return Asked(contact, event, event_id, taken, "Twilio has not taken it: are processor and sender running?")


def closing(conversation: ConversationDocument, by: str) -> Asked:
    """Only if nothing happens in it meanwhile."""
    request = CloseRequested(conversation_id=conversation.id, last_message_at=conversation.last_message_at, by=by)

    async def closed(reads: Reads) -> bool:
        now = await reads.conversation(conversation.id)
        return now is not None and now.status == "closed"

    pending = f"{conversation.id} is not closed: is the processor running, or did the client write?"
    return Asked(Contact(conversation.contact), request, operator_id("close"), closed, pending)


async def _said(reads: Reads, contact: Contact, event_id: str) -> bool:
    turn = await reads.finished(event_id)
    if turn is None:
        return False
    if not turn.outbound:
        raise Refused(f"not said: {redact(contact)} has opted out", "opted_out")
    parts = [part["send_id"] for part in turn.outbound[-1].data["parts"]]
    sends = await reads.sends(parts)
    for send in sends.values():
        if send.state in UNSEEN:
            raise Refused(f"not said: {_why(send)}", _reason(send))
    return len(sends) == len(parts) and all(one.state in SHOWN for one in sends.values())


def _reason(send: SendDocument) -> str:
    return send.error_message or (f"Twilio error {send.error_code}" if send.error_code else send.state)


def _why(send: SendDocument) -> str:
    reasons = {"window_closed": "the 24 hours after the client's last message are over, and there is no template"}
    return reasons.get(_reason(send), _reason(send))
