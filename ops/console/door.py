"""In front of every page: who it is, whether a POST is meant, and the headers that keep a page to itself."""

from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ops.console.sessions import Sessions

__all__ = ["CSRF_FIELD", "CSRF_HEADER", "LOGIN_COOKIE", "SESSION_COOKIE", "Door", "secure"]

SESSION_COOKIE, LOGIN_COOKIE = "hilo_session", "hilo_login"
CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf"
OPEN = {"/login", "/health", "/ready", "/metrics"}
STATIC = "/static/"
BODY = 64 * 1024  # bytes of a form
HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Door:
    """Nothing behind it has to think of strangers: `scope["state"]["session"]` is there."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headed = _headed(scope, send)
        headers, path = Headers(scope=scope), scope["path"]
        cookies = cookie_parser(headers.get("cookie", ""))  # one that another page of this host set must not hide ours
        session = self._sessions.read(cookies.get(SESSION_COOKIE, ""))
        scope.setdefault("state", {}).update(session=session, cookies=cookies)
        if session is None and path not in OPEN and not path.startswith(STATIC):
            await _stranger(headers, scope["method"])(scope, receive, headed)
        elif scope["method"] in {"GET", "HEAD"}:
            await self._app(scope, receive, headed)
        elif scope["method"] != "POST":
            await PlainTextResponse("no such thing", 405)(scope, receive, headed)
        elif not _same_origin(headers):
            await PlainTextResponse("from another site", 403)(scope, receive, headed)
        else:
            await self._posted(scope, receive, headed, cookies)

    async def _posted(self, scope: Scope, receive: Receive, send: Send, cookies: dict[str, str]) -> None:
        try:
            body = await _body(receive)
        except ClientDisconnect:
            return  # half a message must not go to a client
        if body is None:
            await PlainTextResponse("too long", 413)(scope, receive, send)
            return
        session = scope["state"]["session"]
        whose = session.id if session else cookies.get(LOGIN_COOKIE, "")
        told = Headers(scope=scope).get(CSRF_HEADER) or _field(body)
        if not whose or not self._sessions.holds(whose, told):
            await PlainTextResponse("this page is out of date: load it again", 403)(scope, receive, send)
            return
        await self._app(scope, _again(body, receive), send)


def secure(headers: Headers, scheme: str) -> bool:
    """Whether the browser speaks https, also to a proxy before us."""
    return "https" in {scheme, headers.get("x-forwarded-proto", "").split(",")[0].strip()}


def _same_origin(headers: Headers) -> bool:
    """A browser says where a POST comes from; `null` and silence count only with its own word for it."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin in {None, "null"}:
        return site == "same-origin"
    return str(origin).partition("://")[2] == headers.get("host")


def _stranger(headers: Headers, method: str) -> Response:
    if headers.get("hx-request"):
        return PlainTextResponse("log in again", 401, {"hx-redirect": "/login"})
    wants_page = method == "GET" and "text/html" in headers.get("accept", "")
    return RedirectResponse("/login", 303) if wants_page else PlainTextResponse("log in first", 401)


def _headed(scope: Scope, send: Send) -> Send:
    cached = scope["path"].startswith(STATIC)

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers["cache-control"] = "private, max-age=3600" if cached else "no-store"
        await send(message)

    return sending


async def _body(receive: Receive) -> bytes | None:
    """None when it is longer than any form of ours. Raises ClientDisconnect where it is not whole."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY:
            return None
    return body


def _field(body: bytes) -> str:
    try:
        return parse_qs(body.decode()).get(CSRF_FIELD, [""])[0]
    except (UnicodeDecodeError, ValueError):
        return ""


def _again(body: bytes, receive: Receive) -> Receive:
    """The same body once more, for whoever is behind the door."""
    told = False

    async def receiving() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving
