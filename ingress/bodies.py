"""Reading a request's body, and answering with problems (RFC 9457) that name what is wrong."""

from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

__all__ = ["ACKNOWLEDGED", "MAX_BODY", "Problem", "problem_response", "read_body"]

MAX_BODY = 256 * 1024  # bytes; Twilio's largest form is far below
ACKNOWLEDGED = "<Response/>"  # anything that is not TwiML would be shown to the client


class Problem(Exception):
    """An answer that is not a success; `fields` has the name and the fault of each wrong field."""

    def __init__(self, status: int, title: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.fields = fields or {}


def problem_response(problem: Problem) -> Response:
    body: dict[str, Any] = {"type": "about:blank", "title": problem.title, "status": problem.status}
    if problem.fields:
        body["errors"] = [{"field": name, "detail": fault} for name, fault in problem.fields.items()]
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
    return JSONResponse(body, problem.status, headers, media_type="application/problem+json")


async def read_body(request: Request, content_type: str, limit: int = MAX_BODY) -> bytes:
    """Raises Problem 415 for another content type and 413 above `limit` bytes, before reading more than that."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != content_type:
        raise Problem(415, f"send {content_type}")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise Problem(413, f"more than {limit} bytes")
    except ClientDisconnect:
        raise Problem(400, "the body did not arrive whole") from None
    return bytes(body)
