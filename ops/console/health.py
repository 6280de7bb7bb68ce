"""How far each group is behind, and who answers."""

import asyncio
from collections import Counter
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from kit.errors import NoAnswer, StoreDown
from kit.http import PooledClient
from kit.kafka.lag import lags
from kit.kafka.reading import reader
from kit.kafka.refusal import UNREACHED
from ops.console.desk import Desk
from ops.letters import Wanted, cases

__all__ = ["Health"]

ANSWER_S = 4.0


class Health:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._buried = Counter[str]()

    def router(self) -> APIRouter:
        router = APIRouter()
        router.add_api_route("/health-page", self.page, methods=["GET"])
        router.add_api_route("/health-page/now", self.now, methods=["GET"])
        return router

    async def page(self, request: Request) -> Response:
        self._buried = await self._letters()
        return self._desk.html(request, "health.html", page="health", **await self._state())

    async def now(self, request: Request) -> Response:
        """The same again, as a part of the page; dead letters are counted when the page is loaded."""
        return self._desk.html(request, "health_now.html", **await self._state())

    async def _state(self) -> dict[str, Any]:
        rows, store, services = await asyncio.gather(self._rows(), self._store(), self._services())
        answering = [
            {"name": "Kafka", "ok": rows is not None},
            {"name": "MongoDB", "ok": store},
            {"name": "feed", "ok": self._desk.tail.up},
            *services,
        ]
        return {"rows": rows, "answering": answering, "asked_at": self._desk.clock.now()}

    async def _rows(self) -> list[dict[str, Any]] | None:
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await lags(self._desk.settings)
        except (*UNREACHED, TimeoutError):
            return None
        return [asdict(one) | {"failed": self._buried[one.group] if one.group else None} for one in found]

    async def _store(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._desk.reads.conversation("none")
        except (StoreDown, TimeoutError):
            return False
        return True

    async def _services(self) -> list[dict[str, Any]]:
        places = self._desk.settings.watched
        if not places:
            return []
        http = PooledClient(concurrency=len(places), connect_s=1.0, total_s=2.0)
        await http.start()
        try:
            ready = await asyncio.gather(*(_ready(http, url) for _, url in places))
        finally:
            await http.stop()
        return [{"name": name, "ok": ok} for (name, _), ok in zip(places, ready, strict=True)]

    async def _letters(self) -> Counter[str]:
        """Open letters by the group that buried them."""
        prefix = self._desk.settings.kafka_topic_prefix
        try:
            async with reader(self._desk.settings) as kafka:
                found = await cases(kafka, Wanted())
        except UNREACHED:
            return Counter()
        return Counter(one.letter.group.removeprefix(prefix) for one in found)


async def _ready(http: PooledClient, url: str) -> bool:
    try:
        return (await http.request("GET", f"{url}/ready")).ok
    except NoAnswer:
        return False
