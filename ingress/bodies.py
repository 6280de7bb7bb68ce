"""Reading a request's body, and answering with problems (RFC 9457) that name what is wrong."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import Receive

__all__ = ["ACKNOWLEDGED", "MAX_BODY", "Problem", "problem_response", "read_body"]

MAX_BODY = 256 * 1024  # bytes; Twilio's largest form is far below
ACKNOWLEDGED = Response("<Response/>", media_type="text/xml")  # anything but TwiML would be shown to the client
HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 405: {"Allow": "POST"}}


class Problem(Exception):
    """An answer that is not a success; `fields` has the name and the fault of each wrong field."""

    def __init__(
        self, status: int, title: str, fields: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.fields = fields or {}
        self.headers = headers or HEADERS.get(status)


def problem_response(problem: Problem) -> Response:
    body: dict[str, Any] = {"type": "about:blank", "title": problem.title, "status": problem.status}
    if problem.fields:
        body["errors"] = [{"field": name, "detail": fault} for name, fault in problem.fields.items()]
    return JSONResponse(body, problem.status, problem.headers, media_type="application/problem+json")


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limit: int = MAX_BODY) -> bytes:
    """Raises Problem 413 above `limit` bytes, before reading more than that, and 400 for a body that breaks off."""
    if _number(headers.get(b"content-length", b"")) > limit:
        raise Problem(413, f"more than {limit} bytes")
    parts: list[bytes] = []
    left = limit
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "the body did not arrive whole")
        parts.append(message.get("body", b""))
        left -= len(parts[-1])
        if left < 0:
            raise Problem(413, f"more than {limit} bytes")
        if not message.get("more_body"):
            return b"".join(parts)


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) < 20 else 0
