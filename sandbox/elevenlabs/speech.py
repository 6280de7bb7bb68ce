"""Segments of one turn on the wire: the order of parts and responses, repeats, corrections, reorderings."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from sandbox.elevenlabs import frames
from sandbox.elevenlabs.faults import Action
from sandbox.elevenlabs.stage import Stage

__all__ = ["Speech"]

_CHUNKS = 5


class Speech:
    """`on_middle` is called between the parts of every segment (where a fault may end the turn)."""

    def __init__(self, session: Stage, event_id: int, modifiers: list[Action], on_middle: Callable[[], None]) -> None:
        self._session = session
        self._event_id = event_id
        self._on_middle = on_middle
        self._dropped = {action.type for action in modifiers if action.kind == "drop_event"}
        self._duplicated = {action.type for action in modifiers if action.kind == "duplicate_event"}
        self._reordered = any(action.kind == "reorder" for action in modifiers)
        self._late: list[dict[str, Any]] = []
        self._last: tuple[str, str | None] | None = None
        self._streaming: tuple[str, str, str | None] | None = None
        self.segments = 0

    async def say(
        self,
        text: str,
        stream: bool | None,
        pause: Callable[[], Awaitable[None]],
        stall_ms: float,
    ) -> None:
        session = self._session
        response_id = session.response_id()
        response = frames.agent_response(text, self._event_id, response_id)
        order = session.agent.emission if stream is not False else "response_only"
        if order == "response_only" or not session.sends("agent_chat_response_part"):
            self._on_middle()
            await session.world.clock.sleep(stall_ms / 1000)
            self.emit(response)
        else:
            await self._parts(text, response_id, pause, stall_ms)
            if order == "response_before_stop":
                self.emit(response)
                self._part("stop", "", response_id)
            else:
                self._part("stop", "", response_id)
                self.emit(response)
        self._streaming = None
        if not session.text_only:
            session.emit(frames.audio(self._event_id))
        self._last = (text, response_id)
        self.segments += 1
        session.remember("agent", text)

    def emit(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind in self._dropped:
            return
        if self._reordered and kind == "agent_response":
            self._late.append(frame)
            return
        self._session.emit(frame)
        if kind in self._duplicated:
            self._session.emit(frame)

    def flush_reordered(self) -> None:
        """Responses held back by the `reorder` fault: they come after `agent_response_complete`."""
        for frame in self._late:
            self._session.emit(frame)
        self._late.clear()

    def correct(self, text: str) -> None:
        if self._last:
            original, response_id = self._last
            self._session.emit(frames.correction(original, text, self._event_id, response_id))
            self._last = (text, response_id)

    def repeat(self) -> None:
        if self._last:
            self._session.emit(frames.agent_response(self._last[0], self._event_id, self._last[1]))

    def cut_short(self) -> None:
        """Interrupted: of a segment in the middle of its stream only what was streamed has been said."""
        if self._streaming:
            whole, said, response_id = self._streaming
            self._session.emit(frames.correction(whole, said, self._event_id, response_id))
        elif self._last:
            text, response_id = self._last
            self._session.emit(frames.correction(text, text, self._event_id, response_id))

    async def _parts(
        self, text: str, response_id: str | None, pause: Callable[[], Awaitable[None]], stall_ms: float
    ) -> None:
        self._part("start", "", response_id)
        pieces = _pieces(text)
        for number, piece in enumerate(pieces, start=1):
            self._part("delta", piece, response_id)
            self._streaming = (text, "".join(pieces[:number]), response_id)
            if number == 1:
                self._on_middle()
                await self._session.world.clock.sleep(stall_ms / 1000)
            if number < len(pieces):
                await pause()

    def _part(self, kind: str, text: str, response_id: str | None) -> None:
        self.emit(frames.part(kind, text, self._event_id, response_id))


def _pieces(text: str) -> list[str]:
    """A few deltas, cut between words; together exactly the text."""
    words = re.findall(r"\s*\S+\s*$|\s*\S+", text)
    size = max(2, -(-len(words) // _CHUNKS))
    return ["".join(words[at : at + size]) for at in range(0, len(words), size)]
