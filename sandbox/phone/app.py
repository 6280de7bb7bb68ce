"""The client's phone: a page on which a developer plays the clients, and breaks things."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from kit.probes import HttpServer
from sandbox.layout import Layout
from sandbox.phone.chats import Chats
from sandbox.phone.door import Door
from sandbox.phone.hub import Hub
from sandbox.phone.later import SandboxTime
from sandbox.phone.machine import Machine
from sandbox.phone.notices import Notices
from sandbox.phone.outside import Outside
from sandbox.phone.routes import phone_app
from sandbox.phone.trouble import Troubles
from sandbox.stack.ports import HOST

__all__ = ["Phone"]


class Phone:
    """`start`, `stop`. It listens on 127.0.0.1 only: its buttons kill processes."""

    def __init__(self, layout: Layout, machine: Machine) -> None:
        self.layout = layout
        self.machine = machine
        self.hub = Hub()
        self.outside = Outside(layout)
        self.chats = Chats(self.outside, self.hub)
        self.notices = Notices(self.outside, self.hub)
        self.troubles = Troubles(self.outside, self.hub)
        self.time = SandboxTime(layout.clock_file, self.outside, self.hub)
        self.dice = random.Random()
        self._server = HttpServer(Door(phone_app(self), layout.ports.phone), layout.ports.phone, "PHONE_PORT", HOST)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Returns when the page can be opened."""
        self.machine.lives.changed = self._lives_changed
        self.chats.lost = lambda: self.troubles.forgotten("twilio")
        for part in (self.chats, self.notices, self.time):
            self.spawn(part.run())
        await self._server.start()

    async def stop(self) -> None:
        self.hub.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop()
        await self.outside.close()

    def _lives_changed(self, life: dict[str, Any]) -> None:
        self.hub.tell("life", life)
        if life["state"] == "up":
            self.troubles.forgotten(life["part"])  # a simulator that was started again

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Under way until done, or until the phone stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def story(self) -> dict[str, Any]:
        """Everything that a page shows."""
        return {
            "number": self.layout.number,
            "link": {"twilio": self.chats.connected},
            "people": self.chats.stories(),
            "notices": self.notices.stories(),
            "troubles": self.troubles.stories(),
            "lives": self.machine.lives.stories(),
            "clock": self.time.story(),
        }
