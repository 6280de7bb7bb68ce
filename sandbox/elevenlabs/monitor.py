"""The enterprise monitor socket: a human listens in and may take the conversation over."""

import json
from typing import Any

from sandbox.elevenlabs import frames
from sandbox.elevenlabs.errors import Refusal
from sandbox.elevenlabs.session import Session
from sandbox.elevenlabs.socket import WireSocket
from sandbox.elevenlabs.world import World

__all__ = ["Monitor"]


class Monitor:
    """Understands end_call, contextual_update and the three commands of a chat takeover."""

    def __init__(self, session: Session, socket: WireSocket) -> None:
        self._session = session
        self._socket = socket

    @classmethod
    def open(cls, world: World, socket: WireSocket, conversation_id: str, api_key: str | None) -> None:
        session = world.sessions.get(conversation_id)
        if not isinstance(session, Session):
            socket.reject(404, '{"detail":"Not Found"}')
        elif not session.agent.enterprise or api_key not in session.agent.api_keys:
            socket.reject(403, '{"detail":{"status":"forbidden","message":"Monitoring is not enabled."}}')
        else:
            socket.accept(cls(session, socket))

    def on_text(self, text: str) -> None:
        try:
            command = json.loads(text)
        except ValueError:
            command = None
        if not isinstance(command, dict) or not self._obey(command):
            self._socket.close(1008, "Unknown command")

    def on_binary(self) -> None:
        self._socket.close(1008, "Unknown command")

    def on_close(self, code: int, reason: str, *, by_peer: bool) -> None: ...

    def _obey(self, command: dict[str, Any]) -> bool:
        session, kind = self._session, command.get("command_type")
        parameters = command.get("parameters") or command
        text = str(parameters.get("message") or parameters.get("text") or parameters.get("contextual_update") or "")
        if kind == "end_call":
            session.refuse(Refusal(1000, "Ended by a monitor."))
        elif kind == "contextual_update":
            session.contexts[f"monitor_{len(session.contexts) + 1}"] = text
        elif kind == "enable_human_takeover":
            session.human = True
            session.emit(frames.human("external_agent_connected"))
        elif kind == "disable_human_takeover":
            session.human = False
            session.emit(frames.human("external_agent_disconnected"))
        elif kind == "send_human_message":
            session.say_unasked(text)
        else:
            return False
        return True
