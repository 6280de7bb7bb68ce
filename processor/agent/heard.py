"""What came back for one user message, frame by frame. Pure: no socket, no clock.

Facts it rests on (reference §3.4): several `agent_response` make one turn; they may be sent again under the same
`response_id`; they may come before or after the end of their parts; `agent_response` overrules its parts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from processor.agent.client import Progress
from processor.agent.protocol import Frame, event_of
from processor.agent.tools import ESCALATE

__all__ = ["Heard"]


@dataclass(slots=True)
class Segment:
    event_id: int | None
    text: str
    response_id: str | None = None


@dataclass(slots=True)
class Stream:
    event_id: int | None
    text: str = ""
    closed: bool = False


@dataclass(slots=True)
class Heard:
    """`floor` is the newest event of before: what is not newer belongs to an earlier turn and is passed over."""

    floor: int = 0
    progress: Progress = field(default_factory=Progress)
    """Told at once, for whoever thinks of throwing this draft away."""
    segments: dict[str, Segment] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    tools: list[dict[str, Any]] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    """Tools of theirs that have not ended: no settling meanwhile."""
    newest: int = 0
    began: bool = False
    """Something of this turn arrived: asking again could make the agent do things twice."""
    complete: bool = False
    skipped: bool = False
    ended: bool = False
    guarded: bool = False
    truncated: bool = False

    @property
    def messages(self) -> list[str]:
        """Whole segments; finished streams only where their response never came."""
        said = [one.text for one in self.segments.values()] or [one.text for one in self.streams.values() if one.closed]
        return [text for text in (one.strip() for one in said) if text.strip(". …")]

    @property
    def escalated(self) -> bool:
        return any(one["name"] == ESCALATE for one in self.tools)

    @property
    def usable(self) -> bool:
        """Worth answering with, if nothing more should come."""
        return bool(self.messages) or self.escalated or self.skipped or self.ended

    @property
    def busy(self) -> bool:
        return bool(self.running) or any(not one.closed for one in self.streams.values())

    @property
    def over(self) -> bool:
        """Certainly the end. A `complete` without any text may be early: its text can follow it."""
        return self.complete and (bool(self.segments) or self.skipped)

    def take(self, frame: Frame) -> None:
        """Unknown types are the future, not a fault. Raises KeyError, TypeError, AttributeError for missing fields."""
        handler = HANDLERS.get(frame["type"])
        if handler is None or self._stale(frame):
            return
        handler(self, event_of(frame))
        self.began |= frame["type"] != "interruption"  # that is about what we said before

    def _stale(self, frame: Frame) -> bool:
        event = event_of(frame)
        number = event.get("event_id") if isinstance(event, dict) else None
        if not isinstance(number, int):
            return False
        self.newest = max(self.newest, number)
        return number <= self.floor

    def _response(self, event: Frame) -> None:
        said: str = event["agent_response"].strip()
        name = event.get("response_id")
        self.segments[name or f"{event.get('event_id')}:{said}"] = Segment(event.get("event_id"), said, name)

    def _part(self, event: Frame) -> None:
        key = event.get("response_id") or str(event.get("event_id"))
        stream = self.streams.get(key)
        if stream is None or (stream.closed and event["type"] == "start"):
            stream = self.streams[key] = Stream(event.get("event_id"))
        stream.text += event.get("text") or ""
        stream.closed = event["type"] == "stop"

    def _correction(self, event: Frame) -> None:
        """By its id, else by the words it replaces. Of a segment we do not have there is nothing to correct."""
        name, corrected = event.get("response_id"), event["corrected_agent_response"].strip()
        for segment in self.segments.values():
            if (segment.response_id == name) if name else (segment.text == event.get("original_agent_response")):
                segment.text = corrected

    def _interruption(self, event: Frame) -> None:
        """What was being said is cut; what answers us has a newer event."""
        number = event.get("event_id")
        self.segments = {key: one for key, one in self.segments.items() if one.event_id != number}
        self.streams = {key: one for key, one in self.streams.items() if one.event_id != number}
        self.complete = False

    def _complete(self, _event: Frame) -> None:
        self.complete = True

    def _tool_request(self, event: Frame) -> None:
        self.progress.tools = True
        self.running.add(str(event.get("tool_call_id")))

    def _tool_response(self, event: Frame) -> None:
        self.running.discard(str(event.get("tool_call_id")))
        self.progress.tools |= event.get("tool_name") != "skip_turn"
        self.skipped |= event.get("tool_name") == "skip_turn"
        self.ended |= event.get("tool_name") == "end_call"

    def _guardrail(self, _event: Frame) -> None:
        self.guarded = True


HANDLERS: dict[str, Callable[[Heard, Frame], None]] = {
    "agent_response": Heard._response,  # noqa: SLF001  # the table of its own methods
    "agent_chat_response_part": Heard._part,  # noqa: SLF001
    "agent_response_correction": Heard._correction,  # noqa: SLF001
    "agent_response_complete": Heard._complete,  # noqa: SLF001
    "interruption": Heard._interruption,  # noqa: SLF001
    "agent_tool_request": Heard._tool_request,  # noqa: SLF001
    "agent_tool_response": Heard._tool_response,  # noqa: SLF001
    "guardrail_triggered": Heard._guardrail,  # noqa: SLF001
}
