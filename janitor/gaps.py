"""What Twilio received for us and we never saw: its webhooks came while nobody could take them.

Twilio repeats a webhook for 15 s at most; after that the message is only in its list. So the list is read from time to
time, and what no turn knows is put into the log, marked as repaired. Its id is the message's SID as always: when we
are wrong, because the webhook was only late or the processor is, the second copy is settled with the first.

The list is poorer than the webhook: no button, no place, no name, no user id, and its order is that of the repair.
"""

from collections.abc import Iterable
from contextlib import aclosing
from datetime import datetime, timedelta

from janitor.rounds import Rounds
from kit.kafka.outlet import Outlet
from kit.logs import get_log
from kit.reads import Reads
from kit.service import Tools
from kit.twilio import Received, Twilio
from schemas.attributes import Envelope
from schemas.contact import UnusableAddress, canonical, parse_address
from schemas.events import Media, MessageReceived
from schemas.topics import CONTACT_LOG

__all__ = ["Gaps"]

SOURCE = "hilo/janitor"
SETTLED = timedelta(seconds=60)  # a younger message may still come by webhook (15 s) and into its turn
ASKED = 500  # ids in one look at the turns


class Gaps(Rounds):
    """Each round begins `overlap` before the last good one did; the first looks `lookback` behind."""

    def __init__(
        self,
        twilio: Twilio,
        reads: Reads,
        outlet: Outlet,
        tools: Tools,
        *,
        channels: Iterable[str],
        every: timedelta,
        overlap: timedelta,
        lookback: timedelta,
    ) -> None:
        super().__init__("gap repair", every, tools)
        self._twilio = twilio
        self._reads = reads
        self._outlet = outlet
        self._channels = tuple(channels)
        self._overlap = overlap
        self._log = get_log("gaps")
        self._since = tools.clock.now() - lookback
        self._repaired: dict[str, datetime] = {}
        """Ours, and not decided yet perhaps: not to be published again in every round while the processor is away."""

    async def once(self) -> int:
        """How many messages were repaired. Raises TwilioDown, StoreDown, BrokerDown; the next round begins as early."""
        now, repaired = self._tools.clock.now(), 0
        for channel in self._channels:
            missing: list[Received] = []
            async with aclosing(self._twilio.received(channel=channel, since=self._since)) as pages:
                async for page in pages:
                    missing += await self._unseen([one for one in page if one.at <= now - SETTLED])
            for one in reversed(missing):  # oldest first
                repaired += await self._repair(one)
        self._since = now - self._overlap
        self._repaired = {sid: at for sid, at in self._repaired.items() if at >= self._since}
        self._log.info("looked for gaps", repaired=repaired)
        return repaired

    async def _unseen(self, found: list[Received]) -> list[Received]:
        unknown = [one for one in found if one.sid not in self._repaired]
        seen: set[str] = set()
        for first in range(0, len(unknown), ASKED):
            seen |= await self._reads.decided([one.sid for one in unknown[first : first + ASKED]])
        return [one for one in unknown if one.sid not in seen]

    async def _repair(self, one: Received) -> bool:
        try:
            address, channel = parse_address(one.address), parse_address(one.channel)
        except UnusableAddress:
            self._log.warning("message cannot be repaired: nobody to answer", event_id=one.sid)
            self._repaired[one.sid] = one.at
            return False
        media = [Media(url=url, content_type=kind) for url, kind in await self._files(one)]
        event = MessageReceived(
            message_sid=one.sid,
            channel=channel,
            address=address,
            kind=_kind(one, media),
            text=one.body,
            media=media,
            received_at=one.at,
            repaired=True,
        )
        contact = canonical(address)
        envelope = Envelope(one.sid, SOURCE, self._tools.clock.now(), contact, event)
        await self._outlet.publish(CONTACT_LOG.name, envelope)
        self._repaired[one.sid] = one.at
        self._tools.metrics.count("hilo_repaired_total")
        self._log.warning("message repaired", event_id=one.sid, contact=contact)
        return True

    async def _files(self, one: Received) -> list[tuple[str, str]]:
        return await self._twilio.media_of(one.sid) if one.media else []


def _kind(one: Received, media: list[Media]) -> str:
    """Twilio's `MessageType`, as far as the list shows it: a place or a sticker it does not name is unknown."""
    if not media:
        return "text" if one.body else "unknown"
    family = media[0].content_type.split("/")[0]
    if family in {"image", "audio", "video"}:
        return family
    return "contacts" if media[0].content_type == "text/vcard" else "document"
