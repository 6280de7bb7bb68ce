"""Is an agent set up so that it can be chatted with? Source: reference §10.8, `GET /v1/convai/agents/{id}`."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kit.kafka.topics import Finding

__all__ = ["VARIABLES", "preflight"]

VARIABLES = frozenset({"channel", "customer_name", "has_prior_call", "turn_id"})
"""What the processor sends with every conversation; a test compares."""
LANGUAGES = ("es", "en", "pt")
"""Of the processor's own texts; a test compares."""
USEFUL_EVENTS = {
    "agent_response_complete": "without it the first answer waits 6 s for its end, later ones 1.2 s",
    "agent_response_correction": "without it a corrected answer is shown uncorrected",
    "client_tool_call": "without it the agent cannot hand over to a person",
    "agent_tool_response": "without it a turn in which the agent chose silence looks like a failure",
}
PLACE = re.compile(r"\{\{\s*([A-Za-z_][\w.]*)\s*\}\}")
SHORTEST_S = 300
Json = Mapping[str, Any]


def preflight(agent: Json) -> list[Finding]:
    """One line for each thing that is not as it should be; `fail` where no client would get an answer."""
    return [
        Finding("ElevenLabs agent", state, detail, remedy)  # type: ignore[arg-type]  # literals below
        for check in (_text, _greeting, _language, _events, _duration, _tools, _variables, _limits)
        for state, detail, remedy in check(agent)
    ]


Findings = Iterator[tuple[str, str, str]]


def _text(agent: Json) -> Findings:
    if not (
        _at(agent, "conversation_config", "conversation", "text_only") or _override(agent, "conversation.text_only")
    ):
        detail = "text conversations are not allowed"
        yield "fail", detail, "allow the override text_only in the agent's security settings"


def _greeting(agent: Json) -> Findings:
    if _at(agent, "conversation_config", "agent", "first_message") and not _override(agent, "agent.first_message"):
        detail = "its greeting cannot be switched off: it is thrown away, up to 3 s for each conversation"
        yield "warn", detail, "allow the override first_message in the agent's security settings"


def _language(agent: Json) -> Findings:
    language = _at(agent, "conversation_config", "agent", "language")
    if isinstance(language, str) and language.split("-")[0] not in LANGUAGES:
        detail = f"it speaks {language}, our own texts (greeting, apology) are in {', '.join(LANGUAGES)}"
        yield "warn", detail, "set DEFAULT_LANGUAGE to the one of them that its clients understand best"


def _events(agent: Json) -> Findings:
    events = _at(agent, "conversation_config", "conversation", "client_events")
    if not isinstance(events, list):
        return  # their default list has what is fatal
    if "agent_response" not in events:
        yield "fail", "client event agent_response is off: no text arrives", "enable it among the agent's client events"
    for name, why in USEFUL_EVENTS.items():
        if name not in events:
            yield "warn", f"client event {name} is off: {why}", "enable it among the agent's client events"


def _duration(agent: Json) -> Findings:
    seconds = _at(agent, "conversation_config", "conversation", "max_duration_seconds")
    if isinstance(seconds, int | float) and seconds < SHORTEST_S:
        yield "warn", f"conversations end after {seconds:g} s", f"set the maximum duration to {SHORTEST_S} s or more"
    elif isinstance(seconds, int | float) and seconds < 600:
        yield "warn", f"conversations end after {seconds:g} s, sockets are kept up to 540 s", "set it to 600 s"


def _tools(agent: Json) -> Findings:
    prompt = _at(agent, "conversation_config", "agent", "prompt") or {}
    builtin = prompt.get("built_in_tools") or {}
    names = {name for name, tool in builtin.items() if tool} | {
        str(tool.get("name")) for tool in prompt.get("tools") or () if isinstance(tool, dict)
    }
    if "end_call" in names:
        yield (
            "warn",
            "tool end_call is on: the agent may hang up in a chat",
            "switch it off, or use it on the phone only",
        )
    if "transfer_to_number" in names:
        yield "warn", "tool transfer_to_number is on: it cannot work in a chat", "offer escalate_to_human in chats"


def _variables(agent: Json) -> Findings:
    """In prompt, greeting and tools, wherever they stand there."""
    named = set(PLACE.findall(json.dumps(_at(agent, "conversation_config", "agent") or {}, ensure_ascii=False)))
    missing = sorted(name for name in named if not name.startswith("system__") and name not in VARIABLES)
    if missing:
        detail = f"needs variables that are not sent: {', '.join(missing)}"
        yield "fail", detail, f"use only {', '.join(sorted(VARIABLES))} and system__ ones, or a branch for chats"


def _limits(agent: Json) -> Findings:
    if _at(agent, "platform_settings", "queueing_config", "enabled"):
        detail = "queueing is on: over its limit a client waits instead of being asked again"
        yield "warn", detail, "switch queueing off for this agent"
    limits = _at(agent, "platform_settings", "call_limits") or {}
    concurrent, daily = limits.get("agent_concurrency_limit"), limits.get("daily_limit")
    if isinstance(concurrent, int) and concurrent >= 0:
        yield (
            "warn",
            f"at most {concurrent} conversations at once",
            "set AGENT_MAX_SESSIONS to 60 % of it, over all",
        )
    if isinstance(daily, int) and 0 <= daily < 10_000:
        yield "warn", f"at most {daily} conversations a day, calls included", "raise the agent's daily limit"


def _override(agent: Json, path: str) -> bool:
    return bool(_at(agent, "platform_settings", "overrides", "conversation_config_override", *path.split(".")))


def _at(value: Any, *path: str) -> Any:
    """None where the way ends early."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
