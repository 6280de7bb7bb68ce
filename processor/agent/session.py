"""One socket to one agent: opened, asked, closed. What is read off the wire is never logged."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from processor.agent import protocol
from processor.agent.errors import AgentError, Phase, classify
from processor.agent.protocol import Frame

__all__ = ["Heard", "Session"]

CONNECT_S, INIT_S, FIRST_S, SETTLE_S, CLOSE_S = 5.0, 10.0, 25.0, 1.2, 2.0  # their LLM gives up after 20 s
MAX_FRAME = 1024 * 1024
REFUSALS = {400, 401, 403, 404, 422}  # asking again would be refused again
ODDITIES = (KeyError, TypeError, AttributeError)


@dataclass(slots=True)
class Heard:
    """What came back for one user message."""

    segments: dict[str, str] = field(default_factory=dict)
    tools: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = False
    pending: int = 0
    """Tool calls of theirs that still run: no settling meanwhile."""

    @property
    def messages(self) -> list[str]:
        return [text for text in (one.strip() for one in self.segments.values()) if text.strip(". ")]


class Session:
    """`async with` it. Serves one user message at a time."""

    def __init__(self, base_url: str, api_key: str, agent_id: str) -> None:
        self._url = protocol.socket_url(base_url, agent_id)
        self._headers = {"xi-api-key": api_key}
        self._socket: ClientConnection | None = None
        self._phase: Phase = "connect"
        self.conversation_id = ""

    async def open(self, user_id: str, variables: Mapping[str, str]) -> Self:
        """Raises AgentError."""
        self._socket = await self._connect()
        self._phase = "init"
        await self._send(protocol.init(user_id, variables))
        while not self.conversation_id:
            frame = await self._receive(INIT_S)
            if frame["type"] == "conversation_initiation_metadata":
                self.conversation_id = self._conversation_id(frame)
        return self

    async def ask(self, text: str, updates: Sequence[tuple[str, str]] = ()) -> Heard:
        """Send context, then the client's words; return when the agent has finished. Raises AgentError."""
        for context_id, update in updates:
            await self._send(protocol.contextual_update(context_id, update))
        await self._send(protocol.user_message(text))
        self._phase = "sent"
        heard = Heard()
        while not heard.complete:
            settling = bool(heard.messages) and not heard.pending
            try:
                frame = await self._receive(SETTLE_S if settling else FIRST_S)
            except AgentError as error:
                if heard.messages and error.kind in {"timeout", "expired"}:
                    break  # settled, or ended after its answer
                raise
            try:
                await self._take(frame, heard)
            except ODDITIES:
                raise AgentError("protocol", self._phase, f"{frame['type']} without its fields") from None
        return heard

    def _conversation_id(self, frame: Frame) -> str:
        try:
            return str(frame["conversation_initiation_metadata_event"]["conversation_id"])
        except ODDITIES:
            raise AgentError("protocol", self._phase, "metadata without a conversation id") from None

    async def close(self) -> None:
        if self._socket:
            await self._socket.close()

    async def _connect(self) -> ClientConnection:
        try:
            return await connect(
                self._url,
                additional_headers=self._headers,
                open_timeout=CONNECT_S,
                close_timeout=CLOSE_S,
                max_size=MAX_FRAME,
                ping_interval=None,  # the protocol has pings of its own
                compression=None,
            )
        except InvalidStatus as error:
            body = (error.response.body or b"").decode("utf-8", "replace")
            status = error.response.status_code
            raise classify("connect", 3000 if status in REFUSALS else None, body, f"HTTP {status}") from None
        except TimeoutError:
            raise AgentError("timeout", "connect", f"no connection within {CONNECT_S:g} s") from None
        except (OSError, InvalidHandshake, WebSocketException) as error:
            raise AgentError("transient", "connect", type(error).__name__) from None

    async def _send(self, frame: Frame) -> None:
        assert self._socket is not None  # noqa: S101
        try:
            await self._socket.send(_dumps(frame))
        except ConnectionClosed as closed:
            raise self._closed(closed) from None

    async def _receive(self, seconds: float) -> Frame:
        """The next frame that is no ping. Raises AgentError."""
        assert self._socket is not None  # noqa: S101
        try:
            async with asyncio.timeout(seconds):
                while True:
                    frame = protocol.parse(await self._socket.recv())
                    if frame["type"] != "ping":
                        return frame
                    await self._send(protocol.pong(frame))
        except TimeoutError:
            raise AgentError("timeout", self._phase, f"nothing within {seconds:g} s") from None
        except ValueError:
            raise AgentError("protocol", self._phase, "a frame that is no JSON object") from None
        except ConnectionClosed as closed:
            raise self._closed(closed) from None

    def _closed(self, closed: ConnectionClosed) -> AgentError:
        return classify(
            self._phase, closed.rcvd.code if closed.rcvd else None, closed.rcvd.reason if closed.rcvd else ""
        )

    async def _take(self, frame: Frame, heard: Heard) -> None:
        match frame["type"]:
            case "agent_response":
                event = frame["agent_response_event"]
                said: str = event["agent_response"].strip()
                heard.segments[event.get("response_id") or f"{event.get('event_id')}:{said}"] = said
                self._phase = "answering"
            case "agent_response_correction":
                _correct(heard, frame["agent_response_correction_event"])
            case "agent_response_complete":
                heard.complete = True
            case "client_tool_call":
                await self._answer_tool(frame["client_tool_call"], heard)
            case "agent_tool_request":
                heard.pending += 1
                self._phase = "answering"
            case "agent_tool_response":
                heard.pending = max(0, heard.pending - 1)
            case "error":
                event = frame.get("error_event") or frame
                raise classify(
                    self._phase, event.get("code"), str(event.get("message", "")), event.get("error_type") or ""
                )
            case _:
                pass  # unknown types are the future, not a fault

    async def _answer_tool(self, call: dict[str, Any], heard: Heard) -> None:
        """Every call is answered; one we do not know, as an error."""
        self._phase = "answering"
        known = call["tool_name"] == "escalate_to_human"
        heard.tools.append({"name": call["tool_name"], "parameters": call.get("parameters") or {}})
        if call.get("expects_response", True):
            result = {"ok": True} if known else {"error": f"no tool {call['tool_name']}"}
            await self._send(protocol.tool_result(call["tool_call_id"], result, is_error=not known))


def _correct(heard: Heard, event: Frame) -> None:
    for key, text in heard.segments.items():
        if text == event.get("original_agent_response"):
            heard.segments[key] = event["corrected_agent_response"]


def _dumps(frame: Frame) -> str:
    return json.dumps(frame, ensure_ascii=False)
