"""What became of a POST whose answer was lost: a callback tells it, or Twilio's list, or nobody."""

from datetime import datetime, timedelta

from kit.errors import NoAnswer, TwilioDown, Wait
from kit.ids import digest
from kit.service import Tools
from kit.twilio import Listed, Twilio
from schemas.documents import SendDocument
from sender.effects import EffectLedger
from sender.telling import Teller

__all__ = ["POLL_S", "Inquiry", "why_not"]

SKEW = timedelta(seconds=5)  # between our clock and Twilio's
LOOKS = (5.0, 15.0, 45.0, 60.0)  # s after the POST: when its message is looked for in Twilio's list
HURRIED = (5.0, 15.0)  # the same, when a fence waits: it will not be posted again anyway
POLL_S = 2.0  # between two looks at the row, where a callback may have told the SID
MOST_REPEATS = 1  # of a POST whose answer stayed unknown


def why_not(send: SendDocument, fence: int, now: datetime) -> str:
    """Why this must not be shown any more; empty if it may."""
    if send.seq < fence:
        return "fenced"
    return "expired" if send.not_after and now > send.not_after else ""


class Inquiry:
    def __init__(self, ledger: EffectLedger, twilio: Twilio, teller: Teller, tools: Tools) -> None:
        self._ledger = ledger
        self._twilio = twilio
        self._teller = teller
        self._clock = tools.clock

    async def resolve(self, send: SendDocument, reason: str = "") -> SendDocument:
        """Accepted or uncertain; or any other state, and it may be posted. Raises Wait while nobody knows yet."""
        if send.state == "again":
            return send
        if send.sid:
            return await self._ledger.moved(send, state="accepted")
        if send.lease_until is None:
            return send
        send = await self._looked_for(send, HURRIED if reason == "fenced" else LOOKS)
        if send.state != "accepted" and (reason or send.repeats >= MOST_REPEATS):
            gone = {"content": None, "fallback": None}
            send = await self._ledger.moved(send, state="uncertain", error_message="answer_lost", **gone)
            return await self._teller.not_shown(send)
        return send

    async def _looked_for(self, send: SendDocument, looks: tuple[float, ...]) -> SendDocument:
        if send.looks >= len(looks):
            return await self._given_up(send)
        age = (self._clock.now() - self._ledger.posted_at(send)).total_seconds()
        if age < looks[send.looks]:
            raise Wait("Twilio's answer is unknown", after=min(POLL_S, looks[send.looks] - age))
        found = await self._listed(send)
        if found:
            return await self._ledger.moved(send, state="accepted", sid=found.sid)
        done = max(send.looks + 1, sum(age >= one for one in looks))
        send = await self._ledger.moved(send, looks=done)
        if done < len(looks):
            raise Wait("Twilio does not list it yet", after=min(POLL_S, max(0.1, looks[done] - age)))
        return await self._given_up(send)

    async def _given_up(self, send: SendDocument) -> SendDocument:
        """Neither callback nor list know it; nobody posts it again before the lease is over."""
        if left := self._ledger.lease_left(send):
            raise Wait("a POST may be under way", after=min(POLL_S, left))
        return send if send.state == "unknown" else await self._ledger.moved(send, state="unknown")

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
