"""What the API's page says beyond what the code's types do: problems, and examples that can be sent as they are."""

from typing import Any

from fastapi.openapi.models import Example

__all__ = ["CALLS", "problems"]

PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "examples": ["about:blank"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "errors": {
            "type": "array",
            "description": "each field that is wrong, as it is spelled above",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
TITLES = {
    400: "the body is no JSON",
    401: "a bearer token is needed (API_TOKEN)",
    404: "no conversation with this contact",
    413: "the body is too large",
    422: "the request cannot be used",
    429: "too many requests with this token",
    503: "Kafka did not acknowledge: try again",
}
CALLS = {
    "complete": Example(
        summary="all that greeting and agent can use",
        value={
            "phoneNumber": "+5215512345678",
            "clientName": "Ana",
            "callSummary": "tu cita del martes a las diez con la doctora Ruiz",
            "agentId": "agent_01jz",
            "conversationId": "conv_01jz",
            "language": "es",
            "endedAt": "2026-11-23T12:00:00Z",
        },
    ),
    "least": Example(summary="a number is enough", value={"phoneNumber": "+34600111222"}),
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a route that are not its success."""
    return {status: _answer(status) for status in sorted(statuses)}


def _answer(status: int) -> dict[str, Any]:
    example: dict[str, Any] = {"type": "about:blank", "title": TITLES[status], "status": status}
    if status == 422:
        example["errors"] = [{"field": "phoneNumber", "detail": "Field required"}]
    answer: dict[str, Any] = {
        "description": TITLES[status],
        "content": {"application/problem+json": {"schema": PROBLEM, "example": example}},
    }
    if status == 429:
        answer["headers"] = {"Retry-After": {"description": "s", "schema": {"type": "integer"}}}
    return answer
