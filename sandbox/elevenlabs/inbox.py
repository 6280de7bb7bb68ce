"""Frames from client to server: what each type does to a session."""

import json
from collections.abc import Callable
from typing import Any

from sandbox.elevenlabs.errors import Refusal
from sandbox.elevenlabs.session import Session

__all__ = ["Inbox"]

Json = dict[str, Any]


class Inbox:
    """Listens to the socket of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def on_text(self, text: str) -> None:
        read_frame(self._session, text)

    def on_binary(self) -> None:
        self._session.refuse(Refusal.of("invalid_message", "Binary frames are not accepted.", frame=False))

    def on_close(self, code: int, reason: str, *, by_peer: bool) -> None:
        self._session.finish(code, reason, by_peer=by_peer)


def read_frame(session: Session, text: str) -> None:
    """Anything that is no known frame closes 1008, as the real service does."""
    try:
        frame = json.loads(text)
    except ValueError:
        frame = None
    kind = frame.get("type") if isinstance(frame, dict) else None
    session.log("in", text, keepalive=kind == "pong")
    if session.phase in ("closed", "deaf"):
        return
    if not isinstance(frame, dict) or (kind is None and "user_audio_chunk" not in frame):
        session.refuse(Refusal.of("invalid_message", "Message is not a JSON object with a type.", frame=False))
        return
    if session.phase == "await_init":
        _expect_init(session, kind, frame)
        return
    session.deadlines.touch("any_frame")
    if kind is None:
        return  # audio of a voice client
    handler = _HANDLERS.get(kind)
    if handler is None:
        session.refuse(Refusal.of("invalid_message", f"Unknown message type {kind}.", frame=False))
    elif session.phase == "queued" and kind not in ("pong", "user_activity"):
        session.discard(kind)
    else:
        handler(session, frame)


def _expect_init(session: Session, kind: Any, frame: Json) -> None:
    if kind == "conversation_initiation_client_data":
        session.opening.initiate(frame)
    elif kind not in (None, "pong"):
        reason = "conversation_initiation_client_data must be the first message."
        session.refuse(Refusal.of("missing_fields", reason))


def _user_message(session: Session, frame: Json) -> None:
    session.world.stats.counts["user_messages"] += 1
    session.on_user_message(str(frame.get("text") or ""))


def _multimodal(session: Session, frame: Json) -> None:
    inner = frame.get("text")
    text = inner.get("text") if isinstance(inner, dict) else inner
    files = frame.get("files") or ([frame["file"]] if frame.get("file") else [])
    session.world.stats.counts["user_messages"] += 1
    known = session.record.files if session.record else []
    for file in files:
        if file.get("file_id") not in known:
            session.refuse(Refusal.of("value_error", f"Unknown file {file.get('file_id')}."))
            return
    session.on_user_message(str(text or "") or f"[{len(files)} file]")


def _contextual_update(session: Session, frame: Json) -> None:
    text = frame.get("text")
    if not isinstance(text, str):
        session.refuse(Refusal.of("value_error", "contextual_update needs a text."))
        return
    session.world.stats.counts["contextual_updates"] += 1
    key = frame.get("context_id") or f"update_{len(session.contexts) + 1}"
    session.contexts[str(key)] = text


def _user_activity(session: Session, _: Json) -> None:
    session.world.stats.counts["user_activity"] += 1
    session.deadlines.touch("activity")


def _pong(session: Session, frame: Json) -> None:
    if session.keepalive:
        session.keepalive.on_pong(frame.get("event_id"))


def _tool_result(session: Session, frame: Json) -> None:
    result = frame.get("result")
    if not isinstance(result, str):
        session.warn("client_tool_result.result is not a string")
        result = json.dumps(result)
    call_id = str(frame.get("tool_call_id"))
    if not session.generation or not session.generation.on_tool_result(
        call_id, result, is_error=bool(frame.get("is_error"))
    ):
        session.warn("client_tool_result for no pending call")


def _init_again(session: Session, _: Json) -> None:
    session.refuse(Refusal.of("invalid_message", "Conversation is already initiated.", frame=False))


def _note(session: Session, frame: Json) -> None:
    session.world.stats.counts[str(frame["type"])] += 1


_HANDLERS: dict[str, Callable[[Session, Json], None]] = {
    "conversation_initiation_client_data": _init_again,
    "user_message": _user_message,
    "multimodal_message": _multimodal,
    "contextual_update": _contextual_update,
    "user_activity": _user_activity,
    "pong": _pong,
    "client_tool_result": _tool_result,
    "feedback": _note,
    "mcp_tool_approval_result": _note,
}
