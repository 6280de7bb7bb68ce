"""How asking the agent can fail, and whether asking again makes sense. Source: elevenlabs/packages, 2026-08.

The close code alone never decides: the same quota refusal was seen with 1002 and with 3000.
"""

import re
from typing import Literal

__all__ = ["AgentError", "Kind", "Phase", "classify"]

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
CODES: dict[int, Kind] = {3000: "config", 3008: "capacity", 1008: "config", 1000: "expired"}


class AgentError(Exception):
    """The agent gave no answer. `reason` names the kind and never holds what anybody wrote."""

    def __init__(self, kind: Kind, phase: Phase, reason: str) -> None:
        super().__init__(f"{kind} in {phase}: {reason}")
        self.kind = kind
        self.phase = phase
        self.reason = reason

    @property
    def retryable(self) -> bool:
        """Once it began to answer, asking again could make it do things twice."""
        return RETRYABLE[self.kind] and self.phase != "answering"


def classify(phase: Phase, code: int | None = None, reason: str = "", error_type: str = "") -> AgentError:
    """The error behind a close frame, an `error` frame or a refused handshake."""
    about = error_type or f"close {code}" if code else error_type or "connection lost"
    for kind, pattern in RULES:
        if pattern.search(reason) or pattern.search(error_type):
            return AgentError(kind, phase, about)
    if error_type in CONFIG_TYPES:
        return AgentError("config", phase, about)
    if error_type == "safety_violation":
        return AgentError("blocked", phase, about)
    if error_type in {"max_duration_exceeded", "transport_receive_timeout"}:
        return AgentError("expired", phase, about)
    return AgentError(CODES.get(code or 0, "transient"), phase, about)
