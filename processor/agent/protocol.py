"""ElevenLabs' conversation socket, as frames. Source: `agent.asyncapi.yaml` of elevenlabs/packages, 2026-08.

`text_only` belongs under `conversation`: one level higher the server ignores it and bills a voice session.
"""

import json
from collections.abc import Mapping
from typing import Any

__all__ = [
    "Frame",
    "contextual_update",
    "event_of",
    "init",
    "parse",
    "pong",
    "tool_result",
    "user_activity",
    "user_message",
]

Frame = dict[str, Any]
FIELDS = {
    "agent_chat_response_part": "text_response_part",
    "agent_tool_request": "agent_tool_request",
    "agent_tool_response": "agent_tool_response",
    "client_tool_call": "client_tool_call",
}
"""Where a frame's own data is, if not in `<type>_event`."""


def init(user_id: str, variables: Mapping[str, str], *, suppress_greeting: bool = True) -> Frame:
    """The first frame of a session: text only. A disallowed override closes the conversation, also the greeting's."""
    override: Frame = {"conversation": {"text_only": True}}
    if suppress_greeting:
        override["agent"] = {"first_message": ""}
    return {
        "type": "conversation_initiation_client_data",
        "conversation_config_override": override,
        "dynamic_variables": dict(variables),
        "user_id": user_id,
        "source_info": {"source": "unknown", "version": "1"},
    }


def contextual_update(context_id: str, text: str) -> Frame:
    """Background for the agent; only the newest of one `context_id` counts. Never makes it answer."""
    return {"type": "contextual_update", "context_id": context_id, "text": text}


def user_message(text: str) -> Frame:
    return {"type": "user_message", "text": text}


def user_activity() -> Frame:
    """Resets their timers, says nothing."""
    return {"type": "user_activity"}


def pong(ping: Frame) -> Frame:
    return {"type": "pong", "event_id": (ping.get("ping_event") or {}).get("event_id")}


def tool_result(call_id: str, result: Any, *, is_error: bool = False) -> Frame:
    """`result` travels as a string."""
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
    return {"type": "client_tool_result", "tool_call_id": call_id, "result": text, "is_error": is_error}


def event_of(frame: Frame) -> Any:
    """A frame's own data; None where it has none."""
    return frame.get(FIELDS.get(frame["type"], f"{frame['type']}_event"))


def parse(raw: str | bytes) -> Frame:
    """Raises ValueError for what is no JSON object with a type."""
    try:
        frame = _whole(json.loads(raw))
    except RecursionError:  # a megabyte of brackets
        raise ValueError("too deep") from None
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise ValueError("no frame")  # noqa: TRY004  # one error for every malformed frame
    return frame


def _whole(value: Any) -> Any:
    """The same with halves of emoji replaced: JSON can carry them, neither MongoDB nor WhatsApp can."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_whole(name): _whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return value
