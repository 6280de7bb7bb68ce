"""How asking the agent can fail: every close code, error type and reason that was seen."""

import pytest

from processor.agent.errors import AgentError, Kind, Phase, classify

QUOTA = "This request exceeds your quota limit."


@pytest.mark.parametrize(
    ("code", "reason", "error_type", "kind"),
    [
        pytest.param(1002, QUOTA, "", "quota", id="quota with 1002"),
        pytest.param(3000, QUOTA, "", "quota", id="quota with 3000"),
        pytest.param(None, '{"detail":{"status":"quota_exceeded"}}', "HTTP 401", "quota", id="quota over HTTP"),
        pytest.param(3008, "too many concurrent connections", "", "capacity", id="3008"),
        pytest.param(3008, "", "", "capacity", id="3008 without a word"),
        pytest.param(1002, "Too many CONCURRENT conversations", "", "capacity", id="concurrency with another code"),
        pytest.param(None, '{"detail":{"status":"system_busy"}}', "HTTP 429", "capacity", id="busy over HTTP"),
        pytest.param(None, '{"status":"too_many_concurrent_requests"}', "HTTP 429", "capacity", id="429"),
        pytest.param(3000, "Could not authorize the conversation.", "", "config", id="not authorized"),
        pytest.param(3000, "The AI agent you are trying to reach does not exist.", "", "config", id="no such agent"),
        pytest.param(1008, "", "", "config", id="1008"),
        pytest.param(
            1008, "Override for field language is not allowed by config.", "override_error", "config", id="override"
        ),
        pytest.param(
            1002, "Override for field x is not allowed by config.", "", "config", id="override with another code"
        ),
        pytest.param(
            1008, "Missing required dynamic variables", "missing_dynamic_variable", "config", id="missing variable"
        ),
        *(
            pytest.param(None, "", name, "config", id=name)
            for name in (
                "invalid_message",
                "value_error",
                "missing_fields",
                "telephony_agent_error",
                "mcp_https_error",
                "mcp_tool_error",
                "override_error",
                "missing_dynamic_variable",
                "missing_dynamic_variable_transfer",
            )
        ),
        pytest.param(1002, "", "safety_violation", "blocked", id="safety"),
        pytest.param(1000, "", "", "expired", id="1000 without an answer"),
        pytest.param(1000, "", "max_duration_exceeded", "expired", id="max duration"),
        pytest.param(1002, "", "transport_receive_timeout", "expired", id="receive timeout"),
        *(
            pytest.param(1002, "", name, "transient", id=name)
            for name in (
                "llm_timeout",
                "llm_error",
                "custom_llm_error",
                "cascade_brain_error",
                "asyncio_timeout",
                "redis_timeout_error",
                "http_exception",
                "asr_error",
                "vad_error",
                "turn_probability_error",
                "tts_cascade_error",
                "websocket_disconnect",
                "unknown_websocket_crash",
            )
        ),
        pytest.param(1002, "", "", "transient", id="1002 without a type"),
        pytest.param(1011, "", "", "transient", id="1011"),
        pytest.param(None, "", "", "transient", id="no close frame"),
        pytest.param(None, "bad gateway", "HTTP 503", "transient", id="HTTP 503"),
        pytest.param(4999, "who knows", "brand_new_error", "transient", id="a code and type to come"),
    ],
)
def test_kinds(code: int | None, reason: str, error_type: str, kind: Kind) -> None:
    assert classify("sent", code, reason, error_type).kind == kind


RETRIED = {"capacity", "expired", "transient", "timeout", "protocol"}


@pytest.mark.parametrize(
    "kind", ["quota", "capacity", "config", "blocked", "expired", "transient", "timeout", "protocol"]
)
@pytest.mark.parametrize("phase", ["connect", "init", "sent", "answering"])
def test_once_it_began_to_answer_it_is_not_asked_again(kind: Kind, phase: Phase) -> None:
    assert AgentError(kind, phase, "x").retryable is (kind in RETRIED and phase != "answering")


@pytest.mark.parametrize(("code", "error_type"), [(1008, ""), (1002, "llm_error"), (None, "HTTP 503"), (None, "")])
def test_an_error_never_repeats_what_anybody_wrote(code: int | None, error_type: str) -> None:
    error = classify("sent", code, "Ana wrote +5215512345678", error_type)
    assert "Ana" not in str(error)
    assert "5512345678" not in str(error)
    assert str(error).startswith(f"{error.kind} in sent: ")
