"""Who may use the API, how often, and how much may be said at once. The first two before any body is read."""

import hmac
import math
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingress.bodies import Problem, problem_response, read_body
from ingress.rates import Rate

__all__ = ["Gate"]

SCHEME = b"bearer "


class Gate:
    """Any of the tokens opens; two of them are one rotation. Each has a rate of its own."""

    def __init__(self, app: ASGIApp, tokens: Iterable[str], rate: Rate) -> None:
        self._app = app
        self._tokens = [token.encode() for token in tokens]
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        try:
            headers = dict(scope["headers"])
            self._admit(headers.get(b"authorization", b""))
            body = await read_body(headers, receive)
        except Problem as problem:
            await problem_response(problem)(scope, receive, send)
        else:
            await self._app(scope, _again(body, receive), send)

    def _admit(self, header: bytes) -> None:
        """Raises Problem 401 or 429."""
        given = header[len(SCHEME) :].strip() if header[: len(SCHEME)].lower() == SCHEME else b""
        known = [hmac.compare_digest(given, token) for token in self._tokens]  # the same time for every token
        if True not in known:
            raise Problem(401, "a bearer token is needed (API_TOKEN)")
        wait = self._rate.take(known.index(True))
        if wait:
            raise Problem(429, "too many requests with this token", headers={"Retry-After": str(math.ceil(wait))})


def _again(body: bytes, receive: Receive) -> Receive:
    """The body that was read, for the next reader; then whatever comes behind it."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again
