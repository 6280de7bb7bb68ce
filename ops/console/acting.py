"""What an operator does in a chat: the same records as `hilo takeover`, `say`, `handback` and `close` write."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, Response

from kit.errors import BrokerDown, StoreDown
from ops.asked import Asked, closing, hand_back, say, take_over
from ops.console.desk import Desk, language_of, session_of
from ops.console.inbox import chat_values
from ops.console.shapes import Chat
from schemas.contact import Contact

__all__ = ["Acting"]

LONGEST, LONGEST_MARK = 4000, 64
What = Literal["takeover", "handback", "say", "close"]


class Acting:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/chats/{chat}")
        router.add_api_route("/takeover", self.takeover, methods=["POST"])
        router.add_api_route("/handback", self.handback, methods=["POST"])
        router.add_api_route("/close", self.close, methods=["POST"])
        router.add_api_route("/say", self.say, methods=["POST"])
        router.add_api_route("/reveal", self.reveal, methods=["POST"])
        router.add_api_route("/hide", self.hide, methods=["POST"])
        return router

    async def takeover(self, request: Request, chat: str) -> Response:
        return await self._ask(request, chat, "takeover")

    async def handback(self, request: Request, chat: str) -> Response:
        return await self._ask(request, chat, "handback")

    async def close(self, request: Request, chat: str) -> Response:
        return await self._ask(request, chat, "close")

    async def say(
        self, request: Request, chat: str, text: Annotated[str, Form()] = "", mark: Annotated[str, Form()] = ""
    ) -> Response:
        """The same words with the same `mark` are said once: the page sends them again where no answer came."""
        if not text.strip():
            return self._asks(request, chat, "say.empty")
        if len(text) > LONGEST:
            return self._asks(request, chat, "say.long")
        return await self._ask(request, chat, "say", text.strip(), mark[:LONGEST_MARK])

    async def reveal(self, request: Request, chat: str) -> Response:
        return await self._revealed(request, chat, show=True)

    async def hide(self, request: Request, chat: str) -> Response:
        return await self._revealed(request, chat, show=False)

    async def _revealed(self, request: Request, chat: str, *, show: bool) -> Response:
        found = await self._found(chat)
        if found:
            change = self._desk.pages.reveals.show if show else self._desk.pages.reveals.hide
            change(session_of(request), found.contact)
        return self._desk.html(request, "chat.html", **await chat_values(self._desk, request, chat))

    async def _ask(self, request: Request, chat: str, what: What, text: str = "", mark: str = "") -> Response:
        by, found = session_of(request).by, await self._found(chat)
        asked = _asked(what, found, by, text, mark) if found else None
        if asked is None:
            return self._asks(request, chat, "ask.gone")
        try:
            await self._desk.pending.ask(what, asked, chat, by)
        except BrokerDown:
            return self._asks(request, chat, "ask.down")
        return self._asks(request, chat)

    async def _found(self, chat: str) -> Chat | None:
        try:
            return await self._desk.looking.chat(chat, 1)
        except StoreDown:
            return None

    def _asks(self, request: Request, chat: str, fault: str = "") -> Response:
        language = language_of(request)
        said = self._desk.say(request)(fault) if fault else ""
        answer = HTMLResponse(self._desk.pages.asks(language, self._desk.pending.of(chat), said))
        answer.headers["x-hilo-asked"] = "no" if fault else "yes"
        return answer


def _asked(what: What, chat: Chat, by: str, text: str, mark: str) -> Asked | None:
    contact = Contact(chat.contact)
    if what == "takeover":
        return take_over(contact, by)
    if what == "handback":
        return hand_back(contact, by, chat.channel or None)
    if what == "say":
        return say(contact, text, by, chat.channel or None, mark)
    return closing(chat.conversation, by) if chat.conversation else None
