"""What operators asked for and what became of it. In memory: after a restart the stores tell the rest."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kit.clock import Clock
from kit.errors import BrokerDown, StoreDown
from kit.kafka.outlet import Outlet
from kit.logs import get_log
from kit.reads import Reads
from ops.asked import Asked, Refused
from ops.asking import EFFECT_S, LOOK_S, put

__all__ = ["Ask", "Pending"]

What = Literal["takeover", "handback", "say", "close"]
State = Literal["pending", "done", "refused", "late", "unsure"]
SHOWN_S = 8.0  # what is done is said so long
FAILED_S = 120.0


@dataclass(slots=True)
class Ask:
    what: What
    conversation: str
    contact: str
    by: str
    state: State = "pending"
    reason: str = ""
    """Why it was refused, or what is missing."""
    acknowledged: bool = True
    """By Kafka. If not, it may still come: asked for again it could happen twice."""


class Pending:
    """`ask` publishes, and watches until it has taken effect; `changed` is called with the contact at every step."""

    def __init__(self, outlet: Outlet, reads: Reads, clock: Clock, changed: Callable[[str], None]) -> None:
        self._outlet = outlet
        self._reads = reads
        self._clock = clock
        self._changed = changed
        self._asks: dict[str, list[Ask]] = {}
        self._watching: set[asyncio.Task[None]] = set()
        self._log = get_log("pending")

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)

    def of(self, conversation: str) -> list[Ask]:
        return list(self._asks.get(conversation, ()))

    async def ask(self, what: What, asked: Asked, conversation: str, by: str) -> None:
        """Raises BrokerDown where certainly nothing was asked."""
        ask = Ask(what, conversation, asked.contact, by)
        try:
            await put(self._outlet, self._clock, asked.contact, asked.event, asked.event_id)
        except BrokerDown as error:
            if not error.sent:
                raise
            ask.acknowledged = False
        self._log.info(
            "asked", what=what, by=by, conversation=conversation, event_id=asked.event_id, logged=ask.acknowledged
        )
        self._asks.setdefault(conversation, []).append(ask)
        self._changed(asked.contact)
        task = asyncio.create_task(self._watch(ask, asked))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def _watch(self, ask: Ask, asked: Asked) -> None:
        try:
            await self._until_seen(ask, asked)
        except Refused as refused:
            ask.state, ask.reason = "refused", refused.reason
        self._changed(ask.contact)
        await asyncio.sleep(SHOWN_S if ask.state == "done" else FAILED_S)
        self._asks[ask.conversation].remove(ask)
        if not self._asks[ask.conversation]:
            del self._asks[ask.conversation]
        self._changed(ask.contact)

    async def _until_seen(self, ask: Ask, asked: Asked) -> None:
        """After EFFECT_S it is called late, and watched on for as long again."""
        for look in range(int(2 * EFFECT_S / LOOK_S)):
            if look == int(EFFECT_S / LOOK_S):
                ask.state, ask.reason = ("late" if ask.acknowledged else "unsure"), asked.pending
                self._changed(ask.contact)
            try:
                if await asked.seen(self._reads):
                    ask.state = "done"
                    return
            except (StoreDown, BrokerDown):
                pass
            await asyncio.sleep(LOOK_S)
