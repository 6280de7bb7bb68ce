"""A socket to an agent that says what a script tells it to, in virtual time."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.frames import Close

from processor.agent import wire
from processor.agent.client import Answer, Question
from processor.agent.elevenlabs import ElevenLabsAgent
from processor.agent.session import Habits
from processor.agent.tools import Tool

Frame = dict[str, Any]
Line = tuple[float, object]
"""Seconds after the line before it (0: together with it), and the frame: an object, or raw text."""
METADATA: Frame = {
    "type": "conversation_initiation_metadata",
    "conversation_initiation_metadata_event": {"conversation_id": "conv_x"},
}
COMPLETE: Frame = {"type": "agent_response_complete", "agent_response_complete_event": {}}


def said(text: object, event_id: object = 2, **more: object) -> Frame:
    return {"type": "agent_response", "agent_response_event": {"agent_response": text, "event_id": event_id, **more}}


def part(kind: str, text: str = "", event_id: int = 2) -> Frame:
    return {
        "type": "agent_chat_response_part",
        "text_response_part": {"type": kind, "text": text, "event_id": event_id},
    }


def event(kind: str, **fields: object) -> Frame:
    return {"type": kind, f"{kind}_event": fields}


def queue(status: object) -> Frame:
    return event("queue_status", status=status)


def tool(kind: str, name: str = "get_order") -> Frame:
    return {"type": kind, kind: {"tool_name": name, "tool_call_id": "tc_1", "event_id": 2}}


class LoopClock:
    """The loop's time is the only time."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.monotonic(), UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def sleep_until(self, moment: datetime) -> None:
        await asyncio.sleep((moment - self.now()).total_seconds())


class Socket:
    """What `websockets` would give: the answers to each user message as the script has them."""

    def __init__(self, opening: Sequence[Line], answers: list[Sequence[Line]]) -> None:
        self.sent: list[Frame] = []
        self.closed = False
        self._answers = answers
        self._inbox: asyncio.Queue[str | Close | None] = asyncio.Queue()
        self._playing = {asyncio.create_task(self._play(opening))}

    async def send(self, text: str) -> None:
        frame = json.loads(text)
        self.sent.append(frame)
        if frame["type"] == "user_message" and self._answers:
            self._playing.add(asyncio.create_task(self._play(self._answers.pop(0))))

    async def recv(self) -> str:
        got = await self._inbox.get()
        if got is None:
            raise ConnectionClosedOK(None, Close(1000, ""))
        if isinstance(got, Close):
            raise ConnectionClosedError(got, got, rcvd_then_sent=True)
        return got

    async def close(self) -> None:
        self.closed = True
        for task in self._playing:
            task.cancel()
        self._inbox.put_nowait(None)

    def types(self) -> list[str]:
        return [frame["type"] for frame in self.sent]

    async def _play(self, lines: Sequence[Line]) -> None:
        for pause, line in lines:
            if pause:
                await asyncio.sleep(pause)
            self._inbox.put_nowait(line if isinstance(line, str | Close) else json.dumps(line))


class Script:
    """`answers` are shared by all sockets: a question that is asked again gets the next one."""

    def __init__(self, *answers: Sequence[Line], opening: Sequence[Line] = ((0.0, METADATA),)) -> None:
        self.sockets: list[Socket] = []
        self._answers = list(answers)
        self._opening = opening

    async def connect(self, _url: str, **_options: object) -> Socket:
        self.sockets.append(Socket(self._opening, self._answers))
        return self.sockets[-1]

    def agent(
        self, patch: pytest.MonkeyPatch, tools: dict[str, Tool] | None = None, *, greets: bool = False
    ) -> ElevenLabsAgent:
        """With `greets` it was learned already that its greeting may not be switched off."""
        patch.setattr(wire, "connect", self.connect)
        agent = ElevenLabsAgent("http://x", "k", LoopClock(), tools=tools)
        if greets:
            agent._habits["a"] = Habits()
            agent._habits["a"].suppress = False
        return agent


def question(text: str = "hola", **more: Any) -> Question:
    return Question("c1", "a", "+525512345678", text, **more)


async def timed(agent: ElevenLabsAgent, asked: Question | None = None) -> tuple[Answer, float]:
    """An answer, and the seconds it took, to a tenth."""
    began = asyncio.get_running_loop().time()
    answer = await agent.ask(asked or question())
    return answer, round(asyncio.get_running_loop().time() - began, 1)
