"""The janitor looks for idle conversations and asks for their closing; the processor decides.

It consumes no topic and holds no lock (ADR 0006): several janitors that see the same thing ask with the same id.
"""

import asyncio
from datetime import timedelta

from kit import ids
from kit.errors import DependencyDown
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


class Sweep:
    """Every so often: a close request for each open conversation in which nothing happened for `idle`."""

    def __init__(self, reads: Reads, outlet: Outlet, tools: Tools, *, idle: timedelta, every: timedelta) -> None:
        self._reads = reads
        self._outlet = outlet
        self._tools = tools
        self._idle = idle
        self._every = every
        self._log = get_log("sweep")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._loop(), name="sweep")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

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

    async def _loop(self) -> None:
        while True:
            due = self._tools.clock.now() + self._every
            try:
                await self.once()
            except DependencyDown as error:
                self._log.warning("sweep put off", error=str(error))
            except Exception:  # noqa: BLE001  # one unreadable document must not end all sweeps
                self._log.exception("sweep failed")
            await self._tools.clock.sleep_until(due)
