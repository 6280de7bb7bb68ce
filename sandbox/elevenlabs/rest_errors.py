"""REST error bodies: the shape of Sep 2026, and faults that pretend to be one."""

import json
from typing import Any

from starlette.exceptions import HTTPException

from sandbox.elevenlabs.faults import Action

__all__ = ["http_fault", "problem"]

_CODES = {401: "invalid_api_key", 404: "not_found", 429: "too_many_concurrent_requests", 503: "system_busy"}


def detail(status: int, code: str, message: str) -> dict[str, Any]:
    kind = {401: "authentication_error", 404: "not_found", 429: "rate_limit_error"}.get(status, "api_error")
    return {"type": kind, "code": code, "message": message, "status": code, "param": None}


def problem(status: int, code: str, message: str) -> HTTPException:
    return HTTPException(status, detail=detail(status, code, message))  # type: ignore[arg-type]


def http_fault(action: Action) -> tuple[int, str, dict[str, str]]:
    """Status, JSON body and headers of an `http` fault."""
    body = action.body
    if body is None:
        code = _CODES.get(action.status, "internal_error")
        body = {"detail": detail(action.status, code, action.reason or code.replace("_", " "))}
    headers = {} if action.retry_after is None else {"Retry-After": f"{action.retry_after:g}"}
    return action.status, body if isinstance(body, str) else json.dumps(body), headers
