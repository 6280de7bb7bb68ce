"""The console without Kafka: what it asks for is in a list, what it shows comes from a store in memory."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.types import ASGIApp

from kit.errors import BrokerDown
from kit.reads import Reads
from kit.service import Tools
from ops.console.app import application, desk
from ops.console.desk import Desk
from ops.console.settings import ConsoleSettings
from schemas.attributes import Envelope
from schemas.events import Event
from tests.unit.ops.stories import World

__all__ = ["BASE", "TOKEN", "Console", "Log"]

BASE, TOKEN = "http://console.test", "sekreto-de-consola"
SETTINGS = ConsoleSettings(console_token=TOKEN, _env_file=None, kafka_bootstrap_servers="127.0.0.1:1")


class Log:
    """Stands for the outlet. `away`: not connected; `unsure`: what is published comes, and is not acknowledged."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Envelope[Event]]] = []
        self.away = self.unsure = False

    async def publish(self, topic: str, envelope: Envelope[Event], **_: Any) -> None:
        if self.away:
            raise BrokerDown("away")
        self.published.append((topic, envelope))
        if self.unsure:
            raise BrokerDown("not acknowledged", sent=True)


class Console:
    """A console, and browsers that speak to it."""

    def __init__(self, world: World, tools: Tools, settings: ConsoleSettings = SETTINGS) -> None:
        self.log = Log()
        self.world = world
        self.desk: Desk = desk(settings, tools, self.log, Reads(world.database))  # type: ignore[arg-type]
        self.app: ASGIApp = application(self.desk)

    def browser(self, **headers: str) -> httpx.AsyncClient:
        """One that has just been opened."""
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url=BASE, headers={"accept": "text/html", **headers})

    @asynccontextmanager
    async def logged_in(self, by: str = "Marta", **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        await self.desk.board.load()
        async with self.browser(**headers) as browser:
            form = {"name": by, "token": TOKEN, "csrf": csrf_of((await browser.get("/login")).text)}
            answer = await browser.post("/login", data=form, headers={"origin": BASE})
            assert answer.status_code == 303, answer.text
            session = self.desk.sessions.read(browser.cookies["hilo_session"])
            assert session
            browser.headers.update({"origin": BASE, "x-csrf-token": self.desk.sessions.csrf(session.id)})
            yield browser


def csrf_of(html: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', html)
    assert found, html
    return found[1]


def flags(answer: httpx.Response) -> Mapping[str, str]:
    """Cookie → its attributes, as they were set."""
    return {one.partition("=")[0]: one.lower() for one in answer.headers.get_list("set-cookie")}
