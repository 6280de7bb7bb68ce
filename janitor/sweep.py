"""The janitor looks for idle conversations and asks for their closing; the processor decides.

It consumes no topic and holds no lock (ADR 0006): several janitors that see the same thing ask with the same id.
"""

from datetime import timedelta

from janitor.rounds import Rounds
from kit import ids
from kit.kafka.outlet import Outlet
from kit.logs import get_log
from kit.reads import Reads
from kit.service import Tools
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.documents import ConversationDocument
from schemas.events import CloseRequested
from schemas.topics import CONTACT_LOG

__all__ = ["Sweep"]

SOURCE = "hilo/janitor"


class Sweep(Rounds):
    """Every so often: a close request for each open conversation in which nothing happened for `idle`."""

    def __init__(self, reads: Reads, outlet: Outlet, tools: Tools, *, idle: timedelta, every: timedelta) -> None:
        super().__init__("sweep", every, tools)
        self._reads = reads
        self._outlet = outlet
        self._idle = idle
        self._log = get_log("sweep")

    async def once(self) -> int:
        """How many closings were asked for. Raises StoreDown, BrokerDown; the next sweep asks again."""
        began = self._tools.clock.monotonic()
        idle = await self._reads.idle_since(self._tools.clock.now() - self._idle)
        for conversation in idle:
            await self._ask(conversation)
        self._tools.metrics.observe("hilo_sweep_seconds", self._tools.clock.monotonic() - began)
        self._log.info("swept", asked=len(idle))
        return len(idle)

    async def _ask(self, conversation: ConversationDocument) -> None:
        seen = conversation.last_message_at
        request = CloseRequested(conversation_id=conversation.id, last_message_at=seen)
        event_id = ids.close_id(conversation.id, seen.isoformat())
        contact = Contact(conversation.contact)
        await self._outlet.publish(
            CONTACT_LOG.name, Envelope(event_id, SOURCE, self._tools.clock.now(), contact, request)
        )
        self._tools.metrics.count("hilo_close_requests_total")
        self._log.info("close requested", event_id=event_id, contact=contact, conversation=conversation.id)
