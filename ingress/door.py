"""The way in: webhooks go straight to their handlers, everything else to the API.

Twilio's webhooks come by the thousand a second and have one shape; a router, dependency injection and their middlewares
would cost more than the signature check and Kafka together (docs/ingress.md has the figures).
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from urllib.parse import parse_qsl

from opentelemetry.trace import StatusCode
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ingress.bodies import MAX_BODY, Problem, problem_response, read_body
from kit.logs import get_log
from kit.service import Tools
from kit.tracing import SpanKind, span

__all__ = ["Call", "Door", "Endpoint"]


TRACEPARENT = re.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass
class Call:
    """One request to a webhook."""

    scope: Scope
    receive: Receive

    @property
    def path(self) -> str:
        path: str = self.scope["path"]
        return path

    @cached_property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.scope.get("query_string", b"").decode("latin-1")))

    @property
    def trace(self) -> dict[str, str] | None:
        """That of the send whose status this is: the sender has put it into the callback's URL (ADR 0025).

        It is read before the signature is checked, so only what has its shape counts.
        """
        told = self.query.get("trace", "")
        return {"traceparent": told} if TRACEPARENT.fullmatch(told) else None

    @cached_property
    def headers(self) -> dict[bytes, bytes]:
        """By lower-case name; the last one where a name is repeated."""
        return dict(self.scope["headers"])

    async def body(self, content_type: bytes, limit: int = MAX_BODY) -> bytes:
        """Raises Problem 415 for another content type and 413 above `limit` bytes, before reading more than that."""
        if self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != content_type:
            raise Problem(415, f"send {content_type.decode()}")
        return await read_body(self.headers, self.receive, limit)


Endpoint = Callable[[Call], Awaitable[Response]]


def _about(call: Call) -> dict[str, str]:
    return {
        "http.request.method": call.scope["method"],
        "http.route": call.path,
        "url.path": call.path,
        "url.scheme": call.scope.get("scheme", "http"),
    }


class Door:
    """Counts every answer of a webhook, the refusals too. A handler that breaks is a 500 without a word about why."""

    def __init__(self, webhooks: Mapping[str, Endpoint], rest: ASGIApp, tools: Tools) -> None:
        self._webhooks = webhooks
        self._rest = rest
        self._tools = tools
        self._log = get_log("webhooks")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._webhooks.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None:
            await self._rest(scope, receive, send)
            return
        began, metrics = self._tools.clock.monotonic(), self._tools.metrics
        call = Call(scope, receive)
        with span(f"POST {call.path}", call.trace, kind=SpanKind.SERVER, attributes=_about(call)) as one:
            response = await self._answer(endpoint, call)
            one.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                one.set_status(StatusCode.ERROR)
        metrics.count("hilo_webhooks_total", route=call.path, status=str(response.status_code))
        metrics.observe("hilo_webhook_seconds", self._tools.clock.monotonic() - began, route=call.path)
        await response(scope, receive, send)

    async def _answer(self, endpoint: Endpoint, call: Call) -> Response:
        if call.scope["method"] != "POST":
            return problem_response(Problem(405, "send POST"))
        try:
            return await endpoint(call)
        except Problem as problem:
            return problem_response(problem)
        except Exception:  # noqa: BLE001  # Twilio repeats it after a 5xx; a person sees the log
            self._log.exception("webhook failed", route=call.path)
            return problem_response(Problem(500, "this is our fault: try again"))
