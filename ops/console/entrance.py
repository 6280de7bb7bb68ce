"""Logging in and out, and the choice of a language."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from kit.logs import get_log
from ops.console.desk import LANGUAGE_COOKIE, Desk, session_of
from ops.console.door import LOGIN_COOKIE, SESSION_COOKIE, secure
from ops.console.sessions import clean_name
from ops.console.texts import LANGUAGES

__all__ = ["Entrance"]

YEAR_S = 365 * 24 * 3600


class Entrance:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._log = get_log("entrance")

    def router(self) -> APIRouter:
        router = APIRouter()
        router.add_api_route("/login", self.page, methods=["GET"])
        router.add_api_route("/login", self.login, methods=["POST"])
        router.add_api_route("/logout", self.logout, methods=["POST"])
        router.add_api_route("/language", self.language, methods=["POST"])
        return router

    async def page(self, request: Request) -> Response:
        return RedirectResponse("/", 303) if request.state.session else self._form(request)

    async def login(
        self, request: Request, name: Annotated[str, Form()] = "", token: Annotated[str, Form()] = ""
    ) -> Response:
        say, by = self._desk.say(request), clean_name(name)
        address = request.client.host if request.client else ""
        if wait := self._desk.attempts.wait_s(address):
            answer = self._form(request, say("login.shut", seconds=int(wait) + 1), by, 429)
            answer.headers["retry-after"] = str(int(wait) + 1)
            return answer
        if not self._desk.sessions.lets_in(token):
            self._desk.attempts.failed(address)
            self._log.warning("wrong token")
            return self._form(request, say("login.wrong"), by, 403)
        self._desk.attempts.succeeded(address)
        if not by:
            return self._form(request, say("login.nameless"), by, 422)
        self._log.info("logged in", by=by)
        answer = _go(request, "/")
        _set(request, answer, SESSION_COOKIE, self._desk.sessions.begin(by))
        answer.delete_cookie(LOGIN_COOKIE)
        return answer

    async def logout(self, request: Request) -> Response:
        if request.state.session:
            session = session_of(request)
            self._desk.sessions.end(session)
            self._log.info("logged out", by=session.by)
        answer = _go(request, "/login")
        answer.delete_cookie(SESSION_COOKIE)
        return answer

    async def language(
        self, request: Request, language: Annotated[str, Form()], back: Annotated[str, Form()] = "/"
    ) -> Response:
        ours = back.startswith("/") and not back.startswith(("//", "/\\"))
        answer = _go(request, back if ours else "/")
        if language in LANGUAGES:
            _set(request, answer, LANGUAGE_COOKIE, language, YEAR_S)
        return answer

    def _form(self, request: Request, fault: str = "", name: str = "", status: int = 200) -> Response:
        whose = request.state.cookies.get(LOGIN_COOKIE) or secrets.token_urlsafe(12)
        # htmx shows only what succeeded; to a program the code says it.
        shown = 200 if request.headers.get("hx-request") else status
        csrf = self._desk.sessions.csrf(whose)
        answer = self._desk.html(request, "login.html", status=shown, csrf=csrf, fault=fault, name=name)
        _set(request, answer, LOGIN_COOKIE, whose)
        return answer


def _go(request: Request, path: str) -> Response:
    if request.headers.get("hx-request"):
        return Response(headers={"hx-redirect": path})
    return RedirectResponse(path, 303)


def _set(request: Request, answer: Response, name: str, value: str, lasts_s: int | None = None) -> None:
    """Out of scripts' and other sites' reach."""
    https = secure(request.headers, request.url.scheme)
    answer.set_cookie(name, value, max_age=lasts_s, httponly=True, samesite="strict", secure=https, path="/")
