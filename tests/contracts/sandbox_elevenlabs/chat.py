"""A plain WebSocket client of the conversation socket: what it got, in order."""

import asyncio
import json
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from sandbox.elevenlabs import ElevenLabsSimulator

Json = dict[str, Any]
TEXT: Json = {"conversation": {"text_only": True}, "agent": {"first_message": ""}}
_PATIENCE_S = 5


def ws_url(sim: ElevenLabsSimulator, agent_id: str = "agent_sandbox") -> str:
    return f"{sim.url.replace('http', 'ws')}/v1/convai/conversation?agent_id={agent_id}"


class Chat:
    """`frames` holds everything received; pings are answered unless `pong` is False."""

    def __init__(
        self, sim: ElevenLabsSimulator, agent_id: str = "agent_sandbox", *, key: str | None = "sk_sim"
    ) -> None:
        self._sim = sim
        self._url = ws_url(sim, agent_id)
        self._headers = {"xi-api-key": key} if key else {}
        self.pong = True
        self.frames: list[Json] = []
        self.conversation_id = ""
        self.ws: ClientConnection

    async def __aenter__(self) -> Self:
        self.ws = await connect(
            self._url,
            additional_headers=self._headers,
            ping_interval=None,
            close_timeout=1,
            max_size=None,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.ws.close()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.ws.send(json.dumps({"type": kind, **fields}))

    async def init(self, override: Json | None = None, **fields: Any) -> Self:
        """Send the first frame and wait for the metadata."""
        await self.send_init(override, **fields)
        metadata = await self.until("conversation_initiation_metadata")
        self.conversation_id = metadata["conversation_initiation_metadata_event"]["conversation_id"]
        return self

    async def send_init(self, override: Json | None = None, **fields: Any) -> None:
        config = TEXT if override is None else override
        await self.send("conversation_initiation_client_data", conversation_config_override=config, **fields)

    async def recv(self) -> Json:
        async with asyncio.timeout(_PATIENCE_S):
            frame: Json = json.loads(await self.ws.recv())
        self.frames.append(frame)
        if frame["type"] == "ping" and self.pong:
            await self.send("pong", event_id=frame["ping_event"]["event_id"])
        return frame

    async def until(self, kind: str) -> Json:
        while True:
            frame = await self.recv()
            if frame["type"] == kind:
                return frame

    async def turn(self, text: str, *, end: str = "agent_response_complete") -> list[Json]:
        """Say something; the frames up to the end of the turn."""
        start = len(self.frames)
        await self.send("user_message", text=text)
        await self.until(end)
        return self.frames[start:]

    async def ask(self, text: str) -> str:
        """The texts of all segments of the turn."""
        return "\n".join(said(await self.turn(text)))

    async def closed(self) -> tuple[int, str]:
        """Read on until the server closes; its code and reason."""
        try:
            while True:
                await self.recv()
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")

    async def settle(self) -> None:
        """Until the server has read everything sent so far: it answers protocol pings in order."""
        async with asyncio.timeout(_PATIENCE_S):
            await (await self.ws.ping())


def said(frames: list[Json]) -> list[str]:
    return [f["agent_response_event"]["agent_response"] for f in frames if f["type"] == "agent_response"]


def types(frames: list[Json]) -> list[str]:
    return [frame["type"] for frame in frames]
