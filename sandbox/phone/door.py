"""Who may come in: a page of this very address, and nobody else's.

The buttons kill processes. Any web page that a developer has open can send requests to 127.0.0.1, and a name that
its owner points there (DNS rebinding) even makes them same-origin: hence the Host, and the Origin, are checked.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Door"]

SAFE = {"GET", "HEAD"}
HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


class Door:
    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refused(str(scope["method"]), Headers(scope=scope))
        if refused:
            await PlainTextResponse(f"{refused}\n", 403)(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, answer)

    def _refused(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if host not in self._hosts:
            return f"Open this page as http://{min(self._hosts)}/."
        if method in SAFE:
            return None
        origin = headers.get("origin")
        if origin is None:  # no browser: those send it with every POST
            same = headers.get("sec-fetch-site", "same-origin") == "same-origin"
        else:
            same = origin == f"http://{host}"
        return None if same else "Only this page itself may do that."
