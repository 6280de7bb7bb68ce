"""Blue ticks and "typing…" while the agent is really at work: best effort, and nobody ever waits for it.

Source: Twilio's typing indicator (public beta): marks the message read, shows typing for 25 s or until we write.
"""

import asyncio
from datetime import timedelta

from kit.clock import Clock
from kit.logs import get_log
from kit.metrics import Metrics
from kit.twilio import Twilio
from schemas.events import MessageReceived

__all__ = ["Presence"]

FRESH = timedelta(minutes=2)  # nobody believes in typing after a longer silence
AT_ONCE = 32


class Presence:
    """A part of the service; `show` returns at once."""

    def __init__(self, twilio: Twilio, clock: Clock, metrics: Metrics) -> None:
        self._twilio = twilio
        self._clock = clock
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = get_log("presence")

    def show(self, message: MessageReceived) -> None:
        """We read this message and are writing. Dropped where too many are under way."""
        if message.repaired or self._clock.now() - message.received_at > FRESH or len(self._tasks) >= AT_ONCE:
            return
        task = asyncio.create_task(self._show(message.message_sid), name="typing")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _show(self, sid: str) -> None:
        shown = await self._twilio.typing(sid)
        self._metrics.count("hilo_typing_total", result="ok" if shown else "failed")
