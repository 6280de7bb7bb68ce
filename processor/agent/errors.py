"""How asking the agent can fail, and whether asking again makes sense. Source: elevenlabs/packages, 2026-08.

The close code alone never decides: the same quota refusal was seen with 1002 and with 3000.
"""

import re
from typing import Literal

__all__ = ["AgentError", "Kind", "Phase", "classify", "rejected"]

Phase = Literal["connect", "init", "sent", "answering"]
Kind = Literal["quota", "capacity", "config", "blocked", "expired", "transient", "timeout", "protocol"]

RETRYABLE: dict[Kind, bool] = {
    "quota": False,
    "capacity": True,
    "config": False,
    "blocked": False,
    "expired": True,
    "transient": True,
    "timeout": True,
    "protocol": True,
}
CONFIG_TYPES = {
    "invalid_message", "value_error", "missing_fields", "telephony_agent_error", "mcp_https_error", "mcp_tool_error",
    "override_error", "missing_dynamic_variable", "missing_dynamic_variable_transfer",
}  # fmt: skip
RULES: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("quota", re.compile(r"quota", re.IGNORECASE)),
    ("capacity", re.compile(r"concurren|system_busy|timed_out", re.IGNORECASE)),
    ("config", re.compile(r"override.*not allowed|missing required dynamic|does not exist|authorize", re.IGNORECASE)),
)
REFUSALS = {400, 401, 402, 403, 404, 422}  # HTTP: asking again would be refused again
FIELD = re.compile(
    r"Override for field ([\w.]{1,60}) is|required dynamic variables in [\w .]{1,60}: \{'([\w., ']{1,200})'\}"
)
"""What a refusal is about: names of fields and variables, never their values."""
SECONDS = re.compile(r"\d{1,6}(\.\d+)?")
CODES: dict[int, Kind] = {3000: "config", 3008: "capacity", 1008: "config", 1000: "expired"}


class AgentError(Exception):
    """The agent gave no answer. `reason` names the kind and never holds what anybody wrote.

    `field` is what a refusal named: an override, or variables. `retry_after` is in seconds, where they said so.
    """

    def __init__(
        self, kind: Kind, phase: Phase, reason: str, *, field: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(f"{kind} in {phase}: {reason}")
        self.kind = kind
        self.phase = phase
        self.reason = reason
        self.field = field
        self.retry_after = retry_after

    @property
    def retryable(self) -> bool:
        """Once it began to answer, asking again could make it do things twice."""
        return RETRYABLE[self.kind] and self.phase != "answering"


def classify(
    phase: Phase, code: int | None = None, reason: str = "", error_type: str = "", *, retry_after: float | None = None
) -> AgentError:
    """The error behind a close frame, an `error` frame or a refused handshake."""
    found = FIELD.search(reason)
    field = next(filter(None, found.groups()), "") if found else ""
    about = error_type or (f"close {code}" if code else "connection lost")
    about = f"{about} ({field})" if field else about
    return AgentError(_kind(code, reason, error_type), phase, about, field=field, retry_after=retry_after)


def rejected(status: int, body: str, retry_after: str = "") -> AgentError:
    """The error behind an HTTP answer, of the handshake or of REST. `retry_after` as the header has it."""
    code = 3000 if status in REFUSALS else None
    after = float(retry_after) if SECONDS.fullmatch(retry_after) else None
    return classify("connect", code, body, f"HTTP {status}", retry_after=after)


def _kind(code: int | None, reason: str, error_type: str) -> Kind:
    for kind, pattern in RULES:
        if pattern.search(reason) or pattern.search(error_type):
            return kind
    if error_type in CONFIG_TYPES:
        return "config"
    if error_type == "safety_violation":
        return "blocked"
    if error_type in {"max_duration_exceeded", "transport_receive_timeout"}:
        return "expired"
    return CODES.get(code or 0, "transient")
