"""Checks of `conversation_initiation_client_data`: what closes the conversation, what is only a warning."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.elevenlabs.agents import AgentFixture
from sandbox.elevenlabs.errors import Refusal

__all__ = ["Initiation", "read_initiation"]

_KNOWN = {
    "conversation": {"text_only", "max_duration_seconds", "client_events"},
    "agent": {"first_message", "language", "max_conversation_duration_message", "prompt"},
    "tts": {"voice_id", "model_id", "stability", "speed", "similarity_boost"},
    "turn": {"soft_timeout_config"},
    "asr": {"keywords"},
}
_SOFT = {"asr.keywords"}  # documented: ignored instead of refused
_WORKFLOW = ("starting_workflow_node_id", "procedure_ids", "start_procedure_ids")
_FIELDS = {
    "type",
    "conversation_config_override",
    "dynamic_variables",
    "user_id",
    "source_info",
    "custom_llm_extra_body",
    "branch_id",
    "environment",
    *_WORKFLOW,
}


@dataclass(slots=True)
class Initiation:
    """An accepted start: the agent's settings with what the client may override."""

    text_only: bool
    first_message: str
    language: str
    max_duration_s: float
    max_duration_message: str
    client_events: list[str]
    user_id: str | None = None
    source: str = "unknown"
    variables: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read_initiation(frame: dict[str, Any], agent: AgentFixture) -> Initiation | Refusal:
    override = frame.get("conversation_config_override") or {}
    variables = frame.get("dynamic_variables") or {}
    if not isinstance(override, dict) or not isinstance(variables, dict):
        return Refusal.of("value_error", "conversation_config_override and dynamic_variables must be objects")
    wanted, warnings = _flatten(override)
    warnings += [f"unknown field {name}" for name in frame if name not in _FIELDS]
    refusal = _refuse(frame, agent, wanted, variables, warnings)
    if refusal:
        return refusal
    return _merge(frame, agent, wanted, variables, warnings)


def _flatten(override: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """`{"agent": {"language": "es"}}` → `{"agent.language": "es"}`, and what nobody knows."""
    wanted: dict[str, Any] = {}
    warnings = []
    for section, fields in override.items():
        if section not in _KNOWN or not isinstance(fields, dict):
            # the Python SDK 2.78 sends text_only here, one level too high
            warnings.append(f"unknown override {section}")
            continue
        for name, value in fields.items():
            if name not in _KNOWN[section]:
                warnings.append(f"unknown override {section}.{name}")
            elif value is not None:
                wanted[f"{section}.{name}"] = value
    return wanted, warnings


def _refuse(
    frame: dict[str, Any],
    agent: AgentFixture,
    wanted: dict[str, Any],
    variables: dict[str, Any],
    warnings: list[str],
) -> Refusal | None:
    if agent.strict and warnings:
        return Refusal.of("value_error", warnings[0])
    for path in wanted:
        if path not in agent.allow_overrides and path not in _SOFT:
            name = path.split(".")[-1]
            return Refusal.of("override_error", f"Override for field {name} is not allowed by config.")
    for name in _WORKFLOW:
        if frame.get(name) and not agent.allow_workflow_fields:
            return Refusal.of("value_error", f"{name} is not enabled for this agent.")
    return _refuse_variables(agent, variables)


def _refuse_variables(agent: AgentFixture, variables: dict[str, Any]) -> Refusal | None:
    for name, value in variables.items():
        if name.startswith("system__"):
            return Refusal.of("value_error", f"Dynamic variable {name} is reserved.", frame=False)
        if not isinstance(value, str | int | float | bool):
            return Refusal.of("value_error", f"Dynamic variable {name} must be a string, number or boolean.")
    missing = [name for name in agent.required_variables if name not in variables]
    if missing:
        listed = "{" + ", ".join(repr(name) for name in missing) + "}"
        reason = f"Missing required dynamic variables in prompt: {listed}"
        return Refusal.of("missing_dynamic_variable", reason)
    return None


def _merge(
    frame: dict[str, Any],
    agent: AgentFixture,
    wanted: dict[str, Any],
    variables: dict[str, Any],
    warnings: list[str],
) -> Initiation:
    source = frame.get("source_info")
    return Initiation(
        text_only=bool(wanted.get("conversation.text_only", agent.text_only)),
        first_message=str(wanted.get("agent.first_message", agent.first_message)),
        language=str(wanted.get("agent.language", agent.language)),
        max_duration_s=float(wanted.get("conversation.max_duration_seconds", agent.max_duration_seconds)),
        max_duration_message=str(wanted.get("agent.max_conversation_duration_message", agent.max_duration_message)),
        client_events=list(wanted.get("conversation.client_events", agent.client_events)),
        user_id=frame.get("user_id"),
        source=str(source.get("source", "unknown")) if isinstance(source, dict) else "unknown",
        variables=variables,
        warnings=warnings,
    )
