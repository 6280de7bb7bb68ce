"""What every page works with, and how a page becomes an answer."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from kit.clock import Clock
from kit.kafka.outlet import Outlet
from kit.reads import Reads
from ops.console.board import Board
from ops.console.feed import Feed
from ops.console.looking import Looking
from ops.console.pending import Pending
from ops.console.rendering import Pages
from ops.console.sessions import Attempts, Session, Sessions
from ops.console.settings import ConsoleSettings
from ops.console.tail import Tail
from ops.console.texts import Say, accepted, saying
from ops.console.undertaking import Undertaking

__all__ = ["LANGUAGE_COOKIE", "Desk", "language_of", "session_of"]

LANGUAGE_COOKIE = "hilo_language"


@dataclass(frozen=True, slots=True)
class Desk:
    settings: ConsoleSettings
    clock: Clock
    sessions: Sessions
    attempts: Attempts
    pages: Pages
    reads: Reads
    looking: Looking
    board: Board
    tail: Tail
    feed: Feed
    pending: Pending
    outlet: Outlet
    undertaking: Undertaking

    def html(self, request: Request, template: str, /, *, status: int = 200, **values: Any) -> HTMLResponse:
        session: Session | None = request.state.session
        shared = {
            "page": "",
            "csrf": self.sessions.csrf(session.id) if session else "",
            "by": session.by if session else "",
            "back": back_to(request),
            **values,
        }
        return HTMLResponse(self.pages.page(template, language_of(request), **shared), status)

    def say(self, request: Request) -> Say:
        return saying(language_of(request))


def session_of(request: Request) -> Session:
    """The door lets nobody without one to a page that asks for it."""
    session = request.state.session
    assert isinstance(session, Session)  # noqa: S101
    return session


def language_of(request: Request) -> str:
    chosen = request.state.cookies.get(LANGUAGE_COOKIE, "")
    return accepted(request.headers.get("accept-language", ""), chosen)


def back_to(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}"


def from_htmx(request: Request) -> bool:
    """A part of a page is asked for, not the page."""
    return request.headers.get("hx-request") == "true" and request.headers.get("hx-history-restore-request") != "true"
