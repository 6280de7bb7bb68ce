"""The close codes and error types of the conversation socket (reference §3.5), each with its reason text."""

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["CLOSE_CODES", "Refusal", "error_frame"]

CLOSE_CODES: dict[str, int] = {
    **dict.fromkeys(
        (
            "invalid_message",
            "value_error",
            "missing_fields",
            "telephony_agent_error",
            "mcp_https_error",
            "mcp_tool_error",
            "override_error",
            "missing_dynamic_variable",
            "missing_dynamic_variable_transfer",
        ),
        1008,
    ),
    **dict.fromkeys(
        (
            "safety_violation",
            "llm_timeout",
            "llm_error",
            "custom_llm_error",
            "cascade_brain_error",
            "transport_receive_timeout",
            "asyncio_timeout",
            "redis_timeout_error",
            "http_exception",
            "asr_error",
            "vad_error",
            "turn_probability_error",
            "tts_cascade_error",
        ),
        1002,
    ),
    "max_duration_exceeded": 1000,
    "websocket_disconnect": 1011,
    "unknown_websocket_crash": 1011,
    "unknown": 1011,
}


@dataclass(frozen=True)
class Refusal:
    """Why the server ends a conversation. Without `error_type` there is only the close frame."""

    code: int
    reason: str
    error_type: str | None = None
    frame: Literal["nested", "flat", "none"] = "none"

    @classmethod
    def of(cls, error_type: str, reason: str = "", *, frame: bool = True) -> "Refusal":
        code = CLOSE_CODES.get(error_type, 1011)
        return cls(code, reason or error_type.replace("_", " "), error_type, "nested" if frame else "none")


NO_AUTH = Refusal(3000, "Could not authorize the conversation.")
NO_AGENT = Refusal(3000, "The AI agent you are trying to reach does not exist.")
TOO_MANY = Refusal(3008, "too many concurrent connections")


def error_frame(refusal: Refusal) -> dict[str, Any]:
    if refusal.frame == "flat":  # old servers: JS changelog 1.15.1
        return {"type": "error", "message": refusal.reason}
    return {
        "type": "error",
        "error_event": {
            "code": refusal.code,
            "error_type": refusal.error_type,
            "message": refusal.reason,
            "reason": refusal.reason,
            "debug_message": None,
            "details": None,
        },
    }
