"""The inbox, one chat, and the live feed of both."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from kit.errors import StoreDown
from ops.console.board import PAGE
from ops.console.desk import Desk, from_htmx, language_of, session_of
from ops.console.explained import explained
from ops.console.looking import PAGE as MESSAGES
from ops.console.rendering import entry_masking, masking
from ops.console.shapes import SECTIONS, Entry, Section

__all__ = ["Inbox", "chat_values"]

LOADING_S = 3.0  # that a page waits for the first reading of the conversations
LONGEST_SEARCH = 100
MOST_MESSAGES = 2000
OPEN: tuple[Section, ...] = ("waiting", "person", "active")
Lists = list[tuple[str, list[tuple[Entry, Any]], str]]


class Inbox:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def router(self) -> APIRouter:
        router = APIRouter()
        router.add_api_route("/", self.page, methods=["GET"])
        router.add_api_route("/list", self.listing, methods=["GET"])
        router.add_api_route("/search", self.search, methods=["POST"])
        router.add_api_route("/chats/{chat}", self.chat, methods=["GET"])
        router.add_api_route("/chats/{chat}/explain/{name}", self.explain, methods=["GET"])
        router.add_api_route("/chats/{chat}/details", self.details, methods=["GET"])
        router.add_api_route("/api/events", self.events, methods=["GET"])
        return router

    async def page(self, request: Request, view: str = "open") -> Response:
        return await self._whole(request, view, {"chat_id": "", "chat": None})

    async def chat(
        self, request: Request, chat: str, limit: Annotated[int, Query(ge=1, le=MOST_MESSAGES)] = MESSAGES
    ) -> Response:
        values = await chat_values(self._desk, request, chat, limit)
        if from_htmx(request):
            return self._desk.html(request, "chat.html", **values)
        return await self._whole(request, "open", values, 200 if values["chat"] or values["away"] else 404)

    async def listing(self, request: Request, view: str = "open", section: str = "", before: str = "") -> Response:
        """The list anew, or what comes behind its end."""
        if section not in SECTIONS:
            return self._desk.html(request, "list.html", view=view, lists=self._lists(view), loaded=self._loaded)
        found = self._desk.board.page(section, before, PAGE + 1)
        shown = found[:PAGE]
        more = shown[-1].order if len(found) > PAGE else ""
        return self._desk.html(request, "more.html", name=section, entries=_masked(shown), more=more)

    async def search(self, request: Request, text: Annotated[str, Form()] = "") -> Response:
        """By POST: a number that is searched for stands in no address and no log."""
        text = text[:LONGEST_SEARCH]
        if not text.strip():
            return self._desk.html(request, "list.html", view="open", lists=self._lists("open"), loaded=self._loaded)
        found = self._desk.board.search(text)
        lists = [(one, _masked([e for e in found if e.section == one]), "") for one in SECTIONS]
        return self._desk.html(request, "list.html", view="search", lists=[one for one in lists if one[1]], loaded=True)

    async def explain(self, request: Request, chat: str, name: str) -> Response:
        told = await explained(self._desk, session_of(request), chat, name)
        return self._desk.html(request, "explain.html", told=told, chat_id=chat)

    async def details(self, request: Request, chat: str) -> Response:
        values = await chat_values(self._desk, request, chat)
        if values["chat"] is None:
            return HTMLResponse("", 404)
        return self._desk.html(request, "aside.html", **values)

    async def events(self, request: Request, chat: str = "") -> Response:
        stream = self._desk.feed.listen(session_of(request), language_of(request), chat)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _whole(self, request: Request, view: str, values: dict[str, Any], status: int = 200) -> Response:
        view = view if view in {"open", "closed"} else "open"
        try:
            async with asyncio.timeout(LOADING_S):
                await self._desk.board.loaded.wait()
        except TimeoutError:
            pass  # the list fills as soon as the store answers
        lists, counts = self._lists(view), self._desk.board.counts()
        shared = {
            "page": "inbox",
            "view": view,
            "lists": lists,
            "counts": counts,
            "away": False,
            "loaded": self._loaded,
        }
        return self._desk.html(request, "inbox.html", status=status, **{**shared, **values})

    @property
    def _loaded(self) -> bool:
        return self._desk.board.loaded.is_set()

    def _lists(self, view: str) -> Lists:
        sections: tuple[Section, ...] = ("closed",) if view == "closed" else OPEN
        lists: Lists = []
        for section in sections:
            found = self._desk.board.page(section, limit=PAGE + 1)
            shown = found[:PAGE]
            lists.append((section, _masked(shown), shown[-1].order if len(found) > PAGE else ""))
        return lists


async def chat_values(desk: Desk, request: Request, chat_id: str, limit: int = MESSAGES) -> dict[str, Any]:
    """What the templates of a chat need. `away`: the store does not answer."""
    session, values = session_of(request), {"chat_id": chat_id, "limit": limit, "away": False, "asks": ()}
    try:
        chat = await desk.looking.chat(chat_id, limit)
    except StoreDown:
        return {**values, "chat": None, "away": True}
    if chat is None:
        return {**values, "chat": None}
    revealed = desk.pages.reveals.open(session, chat.contact)
    mask = masking(chat.contact, chat.about, reveal=revealed)
    return {**values, "chat": chat, "mask": mask, "revealed": revealed, "asks": desk.pending.of(chat_id)}


def _masked(entries: list[Entry]) -> list[tuple[Entry, Any]]:
    return [(one, entry_masking(one)) for one in entries]
