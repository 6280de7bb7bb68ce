"""Frames from server to client, exactly as reference §3.4 shows them."""

from typing import Any

__all__ = [
    "agent_response",
    "agent_tool_request",
    "agent_tool_response",
    "audio",
    "client_tool_call",
    "complete",
    "correction",
    "human",
    "interruption",
    "metadata",
    "part",
    "ping",
    "queue_status",
    "user_transcript",
]

Frame = dict[str, Any]


def metadata(conversation_id: str) -> Frame:
    return {
        "type": "conversation_initiation_metadata",
        "conversation_initiation_metadata_event": {
            "conversation_id": conversation_id,
            "agent_output_audio_format": "pcm_16000",
            "user_input_audio_format": "pcm_16000",
        },
    }


def ping(event_id: int, ping_ms: int | None = None) -> Frame:
    return {"type": "ping", "ping_event": {"event_id": event_id, "ping_ms": ping_ms}}


def agent_response(text: str, event_id: int, response_id: str | None) -> Frame:
    event: Frame = {"agent_response": text, "event_id": event_id}
    return {"type": "agent_response", "agent_response_event": event | _with(response_id)}


def part(kind: str, text: str, event_id: int, response_id: str | None) -> Frame:
    event: Frame = {"text": text, "type": kind, "event_id": event_id}
    return {"type": "agent_chat_response_part", "text_response_part": event | _with(response_id)}


def correction(original: str, corrected: str, event_id: int, response_id: str | None) -> Frame:
    event: Frame = {
        "original_agent_response": original,
        "corrected_agent_response": corrected,
        "event_id": event_id,
    }
    return {"type": "agent_response_correction", "agent_response_correction_event": event | _with(response_id)}


def complete(event_id: int) -> Frame:
    return {"type": "agent_response_complete", "agent_response_complete_event": {"event_id": event_id}}


def client_tool_call(name: str, call_id: str, params: Frame, event_id: int, *, expects_response: bool) -> Frame:
    return {
        "type": "client_tool_call",
        "client_tool_call": {
            "tool_name": name,
            "tool_call_id": call_id,
            "parameters": params,
            "event_id": event_id,
            "expects_response": expects_response,
        },
    }


def agent_tool_request(name: str, call_id: str, kind: str, event_id: int) -> Frame:
    tool = {"tool_name": name, "tool_call_id": call_id, "tool_type": kind, "event_id": event_id}
    return {"type": "agent_tool_request", "agent_tool_request": tool}


def agent_tool_response(name: str, call_id: str, kind: str, event_id: int, *, is_error: bool = False) -> Frame:
    tool = {
        "tool_name": name,
        "tool_call_id": call_id,
        "tool_type": kind,
        "is_error": is_error,
        "is_called": True,
        "event_id": event_id,
    }
    return {"type": "agent_tool_response", "agent_tool_response": tool}


def user_transcript(text: str, event_id: int) -> Frame:
    event = {"user_transcript": text, "event_id": event_id}
    return {"type": "user_transcript", "user_transcription_event": event}


def interruption(event_id: int) -> Frame:
    return {"type": "interruption", "interruption_event": {"event_id": event_id}}


def queue_status(status: str) -> Frame:
    return {"type": "queue_status", "queue_status_event": {"status": status}}


def human(event: str, **fields: Any) -> Frame:
    """`external_agent_connected`, `external_agent_disconnected`, `agent_typing`."""
    return {"type": event, f"{event}_event": fields}


def audio(event_id: int) -> Frame:
    """A token of speech: it only has to show that this is no text conversation."""
    return {"type": "audio", "audio_event": {"audio_base_64": "AAAAAAAAAAA=", "event_id": event_id}}


def _with(response_id: str | None) -> Frame:
    return {"response_id": response_id} if response_id else {}
