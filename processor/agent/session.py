"""One socket to one agent: opened, asked many times, closed. What is read off the wire is never logged."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kit.clock import Clock
from processor.agent import protocol
from processor.agent.client import Progress
from processor.agent.door import Door
from processor.agent.errors import AgentError, classify
from processor.agent.heard import Heard
from processor.agent.protocol import Frame
from processor.agent.timing import Timing
from processor.agent.tools import Toolbox
from processor.agent.wire import ODDITIES, Wire

__all__ = ["Habits", "Session", "Update"]

Update = tuple[str, str, str]
"""Context id, text, and the mark that changes when it has to be told again."""


class Habits:
    """What was learned of one agent; shared by its sessions."""

    def __init__(self) -> None:
        self.suppress = True
        """Switch its greeting off by an override. False once that was refused: then its greeting is thrown away."""
        self.greets: bool | None = None
        """Whether it greets where that was refused; None while nobody knows."""
        self.completes: bool | None = None
        """Whether it says that it has finished; None while nobody knows."""


class Session:
    """Serves one user message at a time. A reader answers pings at once, also while nobody asks anything.

    After any error, or an answer that may not have been the whole one, it is `spent`: a late frame of this turn could
    be taken for the next. `unsolicited` is called for every reply that nobody asked for.
    """

    def __init__(
        self,
        door: Door,
        agent_id: str,
        habits: Habits,
        toolbox: Toolbox,
        timing: Timing,
        clock: Clock,
        unsolicited: Callable[[], None],
    ) -> None:
        self.agent_id = agent_id
        self.conversation_id = ""
        self.spent = False
        self.opened_at = self.asked_at = self.said_at = clock.monotonic()
        self._door = door
        self._habits = habits
        self._toolbox = toolbox
        self._timing = timing
        self._clock = clock
        self._unsolicited = unsolicited
        self._wire = Wire(timing, clock, self._unasked)
        self._queued = False
        self._floor = 0
        self._told: dict[str, str] = {}
        self._results: dict[str, Frame] = {}

    @property
    def usable(self) -> bool:
        return not self.spent and self._wire.alive

    @property
    def heard_at(self) -> float:
        return self._wire.heard_at

    async def open(self, user_id: str, variables: Mapping[str, str]) -> None:
        """Any order of frames will do. Raises AgentError."""
        way = await self._door.way(self.agent_id)
        await self._wire.open(way.url, way.headers)
        await self._wire.send(protocol.init(user_id, variables, suppress_greeting=self._habits.suppress))
        until = _now() + self._timing.init
        while not self.conversation_id:
            frame = await self._wire.next(until - _now())
            if frame is None:
                raise AgentError("timeout", "init", f"no metadata within {self._timing.init:g} s")
            self._before(frame)
        await self._discard_greeting()

    async def ask(
        self, text: str, updates: Sequence[Update], within_s: float, progress: Progress | None = None
    ) -> Heard:
        """Send what is new, then the client's words; return when the agent has finished. Raises AgentError."""
        until = _now() + within_s
        self._wire.phase, self._wire.listening = "sent", True
        while early := self._wire.waiting():
            self._before(early)
        heard = Heard(self._floor, progress or Progress())
        try:
            if not self._queued:
                await self._say(text, updates)
            await self._listen(heard, text, updates, until)
        except AgentError as error:
            self.spent = True
            if heard.guarded and not heard.messages:
                raise AgentError("blocked", "answering", "guardrail") from None
            if not heard.usable:
                raise
            heard.truncated = not (heard.ended or (error.kind == "expired" and bool(heard.messages)))
        except BaseException:
            self.spent = True  # cancelled: superseded, or past its deadline
            raise
        finally:
            self.asked_at = self._clock.monotonic()
            self._wire.listening = False
            self._floor = max(self._floor, heard.newest)
            while late := self._wire.waiting():
                self._unasked(late)
        self.spent |= heard.truncated or heard.ended
        return heard

    async def activity(self) -> None:
        """Keeps an idle conversation from being ended, or from speaking up by itself."""
        self.said_at = self._clock.monotonic()
        try:
            await self._wire.send(protocol.user_activity())
        except AgentError:
            self.spent = True

    async def close(self) -> None:
        """Bounded, never raises, harmless to repeat."""
        self.spent = True
        await self._wire.close()

    # the turn

    async def _listen(self, heard: Heard, text: str, updates: Sequence[Update], until: float) -> None:
        while not heard.over:
            left = until - _now()
            frame = await self._wire.next(min(left, self._patience(heard, left)))
            if frame is None:
                if until - _now() <= 0 or not self._settled(heard):
                    raise AgentError("timeout", self._wire.phase, "no answer in time")
                return
            if frame["type"] == "queue_status":
                await self._queue(frame, heard, text, updates)
            elif self._queued and not heard.began:
                self._before(frame)  # they have thrown away what we said
            else:
                await self._take(frame, heard, until)
            if heard.began:
                self._wire.phase = "answering"
        if heard.complete:
            self._habits.completes = True

    def _patience(self, heard: Heard, left: float) -> float:
        """How long silence may last before it means something."""
        if self._queued:
            return left
        if heard.busy:
            return self._timing.tool
        if heard.complete or heard.skipped or heard.ended:
            return self._timing.settle
        if not heard.messages:
            return self._timing.first
        completes = self._habits.completes
        return self._timing.settle if completes is False else self._timing.tool if completes else self._timing.unsure

    def _settled(self, heard: Heard) -> bool:
        """Silence ended the answer, or there was none."""
        if heard.busy or self._queued:
            return False
        if heard.guarded and not heard.messages:
            return False
        if heard.messages and not heard.complete:
            self._habits.completes = False  # it should have told us by now
        return heard.complete or heard.usable

    async def _queue(self, frame: Frame, heard: Heard, text: str, updates: Sequence[Update]) -> None:
        """What was said while waiting was thrown away there: it is said again, unless an answer began."""
        if self._admitted(frame) and not heard.began:
            await self._discard_greeting()
            self._told.clear()
            await self._say(text, updates)

    def _admitted(self, frame: Frame) -> bool:
        """Whether a wait has just ended. A status that we do not know changes nothing."""
        event = protocol.event_of(frame)
        match event.get("status") if isinstance(event, dict) else None:
            case "timed_out":
                raise AgentError("capacity", self._wire.phase, "their queue")
            case "waiting":
                self._queued = True
            case "admitted":
                waited, self._queued = self._queued, False
                return waited
            case _:
                pass
        return False

    async def _say(self, text: str, updates: Sequence[Update]) -> None:
        for context_id, update, mark in updates:
            if update and self._told.get(context_id) != mark:
                await self._wire.send(protocol.contextual_update(context_id, update))
            self._told[context_id] = mark
        self.said_at = self._clock.monotonic()
        await self._wire.send(protocol.user_message(text))

    async def _take(self, frame: Frame, heard: Heard, until: float) -> None:
        try:
            if frame["type"] == "error":
                raise self._refused(frame)
            if frame["type"] == "client_tool_call":
                await self._answer_tool(protocol.event_of(frame), heard, until)
            else:
                heard.take(frame)
        except ODDITIES:
            raise AgentError("protocol", self._wire.phase, f"{frame['type']} without its fields") from None

    async def _answer_tool(self, call: Any, heard: Heard, until: float) -> None:
        """A call that is sent again is answered again, and done once."""
        heard.began = True
        name, call_id, parameters = call["tool_name"], call["tool_call_id"], call.get("parameters") or {}
        if call_id not in self._results:
            heard.tools.append({"name": name, "parameters": parameters})
            heard.progress.tools = True
            result, is_error = await self._toolbox.call(name, parameters, until - _now())
            self._results[call_id] = protocol.tool_result(call_id, result, is_error=is_error)
        if call.get("expects_response", True):
            await self._wire.send(self._results[call_id])

    # before a turn

    def _before(self, frame: Frame) -> None:
        """Whatever comes before our words is no answer to them."""
        try:
            match frame["type"]:
                case "conversation_initiation_metadata":
                    self.conversation_id = str(frame["conversation_initiation_metadata_event"]["conversation_id"])
                case "queue_status":
                    self._admitted(frame)
                case "error":
                    raise self._refused(frame)
                case "agent_response":
                    self._floor = max(self._floor, protocol.event_of(frame).get("event_id") or 0)
                case _:
                    pass
        except ODDITIES:
            raise AgentError("protocol", self._wire.phase, f"{frame['type']} without its fields") from None

    async def _discard_greeting(self) -> None:
        """Of an agent that does not let us switch it off. In their queue it is waited for later."""
        if self._habits.suppress or self._habits.greets is False:
            return
        until = _now() + self._timing.greeting
        while not self._floor and not self._queued:
            frame = await self._wire.next(until - _now())
            if frame is None:
                self._habits.greets = self._habits.greets or False  # it has none: the next session need not wait for it
                return
            self._before(frame)
        if self._floor:
            self._habits.greets = True  # also if it is late once: else it would be taken for an answer ever after

    def _unasked(self, frame: Frame) -> None:
        """Nobody asked: the agent speaks up by itself, or the rest of an old turn. Counted, never shown.

        From then on the agent remembers what the client never saw: the next question goes to another session.
        """
        event = protocol.event_of(frame)
        told = event.get("event_id") if isinstance(event, dict) else None
        number = told if isinstance(told, int) else 0
        if frame["type"] == "agent_response":
            self._unsolicited()
            self.spent |= number > self._floor  # else it only says again what was heard
        self.spent |= frame["type"] in {"client_tool_call", "queue_status", "error"}
        self._floor = max(self._floor, number)

    def _refused(self, frame: Frame) -> AgentError:
        event = frame.get("error_event") or frame
        said = f"{event.get('message') or ''} {event.get('reason') or ''}"
        return classify(self._wire.phase, event.get("code"), said, event.get("error_type") or "")


def _now() -> float:
    """The loop's time: what waits are measured with."""
    return asyncio.get_running_loop().time()
