"""One conversation over one socket: accepted → admission → await_init → live ⇄ generating → closing."""

import json
from typing import Any

from sandbox.elevenlabs import frames
from sandbox.elevenlabs.agents import AgentFixture, Limits
from sandbox.elevenlabs.deadlines import Deadlines
from sandbox.elevenlabs.ending import end_record
from sandbox.elevenlabs.errors import Refusal, error_frame
from sandbox.elevenlabs.faults import Action, Moment
from sandbox.elevenlabs.generation import Generation
from sandbox.elevenlabs.initiation import Initiation
from sandbox.elevenlabs.keepalive import Keepalive
from sandbox.elevenlabs.mischief import commit
from sandbox.elevenlabs.opening import Opening
from sandbox.elevenlabs.records import Record
from sandbox.elevenlabs.socket import WireSocket
from sandbox.elevenlabs.stage import Phase
from sandbox.elevenlabs.timers import Timers
from sandbox.elevenlabs.wire_log import Direction
from sandbox.elevenlabs.world import World

__all__ = ["Session"]

# sent whatever the agent's client_events say; audio is here to show up a session that is no text session
_UNFILTERED = frozenset({"error", "queue_status", "audio"})
_HISTORY = 40
_TURN_POINTS = ("before_reply", "mid_stream", "between_segments", "after_reply")


class Session:
    """Driven by callbacks: while nothing is being said a session costs timers and no task.

    `opening` takes it up to `live`, `generation` is the answer being given, `deadlines` end it. In phase
    `deaf` (a fault) the socket stays and nothing happens any more.
    """

    def __init__(self, world: World, agent: AgentFixture, socket: WireSocket, conversation_id: str) -> None:
        self.world = world
        self.agent = agent
        self.agent_id = agent.agent_id
        self.socket = socket
        self.conversation_id = conversation_id
        self.phase: Phase = "await_init"
        self.text_only = agent.text_only
        self.init: Initiation | None = None
        self.record: Record | None = None
        self.contexts: dict[str, str] = {}
        self.history: list[tuple[str, str]] = []
        self.event_id = 1  # 1 is the first message, said or not
        self.messages = 0
        self.number = 0
        self.human = False
        self.modifiers: list[Action] = []
        self.timers = Timers(world.clock)
        self.opening = Opening(self)
        self.deadlines = Deadlines(self)
        self.generation: Generation | None = None
        self.keepalive: Keepalive | None = None

    @property
    def limits(self) -> Limits:
        return self.agent.limits

    @property
    def user_id(self) -> str | None:
        return self.init.user_id if self.init else None

    @property
    def was_live(self) -> bool:
        return self.keepalive is not None

    def start(self) -> None:
        self.world.sessions[self.conversation_id] = self
        self.world.stats.opened()
        self.world.stats.counts["sessions"] += 1
        self.opening.start()

    def go_live(self, max_duration_s: float) -> None:
        self.phase = "live"
        self.deadlines.start(max_duration_s)
        self.keepalive = Keepalive(self)

    # -- what comes in ---------------------------------------------------------------------------

    def on_admitted(self) -> None:
        self.opening.admit()

    def on_user_message(self, text: str) -> None:
        if self.phase == "opening":
            self.opening.keep(text)
            return
        self.deadlines.touch("user_input")
        if self.phase == "queued":
            self.discard("user_message")
        elif not self.opening.loses_to_race() and text:
            self.messages += 1
            self._hear(text)

    def _hear(self, text: str) -> None:
        if self.human:  # a person answers, through the monitor socket
            self.remember("user", text)
            return
        moment = self.moment(text)
        for action in self.world.faults.take(moment, "before_reply", modifiers=False):
            if action.kind == "ignore_user_message":
                self.world.stats.counts["ignored"] += 1
                return
            if action.kind == "queue":
                self.discard("user_message")
                self.opening.queue_for(action)
                return
            if commit(self, action):
                return
        self._generate(text, moment)

    def _generate(self, text: str, moment: Moment) -> None:
        older, self.generation = self.generation, None
        if older:
            older.interrupt()
        self.event_id += 1
        self.phase = "generating"
        self.timers.disarm("turn")
        self.emit(frames.user_transcript(text, self.event_id))
        modifiers = self.world.faults.take(moment, *_TURN_POINTS, modifiers=True) + self.modifiers
        self.generation = Generation(self, text, moment, modifiers)
        self.remember("user", text)
        self.generation.start()

    def on_generated(self, generation: object) -> None:
        """It is over, however it ended; of one that was interrupted nothing follows."""
        if self.generation is not generation:
            return
        self.generation = None
        if self.phase == "generating":
            self.phase = "live"
            self.deadlines.await_user()
            self.misbehave("idle")

    # -- what goes out ---------------------------------------------------------------------------

    def say_plainly(self, text: str, event_id: int) -> None:
        """A scripted segment outside a generation, closed by its own `agent_response_complete`."""
        self.emit(frames.agent_response(text, event_id, self.response_id()))
        if not self.text_only:
            self.emit(frames.audio(event_id))
        if not self.agent.omit_complete:
            self.emit(frames.complete(event_id))
        self.remember("agent", text)

    def say_unasked(self, text: str) -> None:
        """An unsolicited `agent_response`."""
        if self.phase in ("live", "generating"):
            self.event_id += 1
            self.world.stats.counts["unsolicited"] += 1
            self.say_plainly(text, self.event_id)

    def sends(self, kind: str) -> bool:
        """Is an event of this type one that the client gets?"""
        events = self.init.client_events if self.init else self.agent.client_events
        return kind in _UNFILTERED or kind in events

    def emit(self, frame: dict[str, Any]) -> None:
        """Send a frame if the agent's client_events (and no fault) let it through."""
        kind = frame["type"]
        if not self.sends(kind):
            return
        if any(action.kind == "drop_event" and action.type == kind for action in self.modifiers):
            return
        self.send(json.dumps(frame, ensure_ascii=False), keepalive=kind == "ping")

    def send(self, text: str, *, keepalive: bool = False) -> None:
        if self.socket.open and self.phase != "deaf":
            self.log("out", text, keepalive=keepalive)
            self.socket.send(text)

    # -- the end -----------------------------------------------------------------------------------

    def refuse(self, refusal: Refusal) -> None:
        """Close with what the refusal says, after its error frame if it has one."""
        if self.phase == "closed":
            return
        if refusal.frame != "none":
            self.send(json.dumps(error_frame(refusal), ensure_ascii=False))
        if self.record and refusal.error_type and refusal.code != 1000:
            self.record.error = {
                "code": refusal.code,
                "reason": refusal.reason,
                "error_type": refusal.error_type,
            }
        self.socket.close(refusal.code, refusal.reason)
        self.finish(refusal.code, refusal.reason, by_peer=False)

    def go_deaf(self) -> None:
        """Keep the socket, do nothing with it any more: no pings, no timers, no answers."""
        self.phase = "deaf"
        self._stop_everything()

    def cut(self) -> None:
        """A reset without a close frame."""
        self.socket.abort()

    def finish(self, code: int, reason: str, *, by_peer: bool) -> None:
        if self.phase == "closed":
            return
        closed = {"code": code, "reason": reason, "by": "client" if by_peer else "server"}
        self.log("close", json.dumps(closed))
        self.phase = "closed"
        self._stop_everything()
        self.world.admission.leave(self)
        self.world.stats.open -= 1
        self.world.stats.closes[str(code)] += 1
        self.world.sessions.pop(self.conversation_id, None)
        if self.record:
            end_record(self.world, self.record, self.agent, code, reason)

    def _stop_everything(self) -> None:
        if self.generation:
            self.generation.cancel()
            self.generation = None
        if self.keepalive:
            self.keepalive.stop()
        self.timers.close()

    # -- small things --------------------------------------------------------------------------------

    def moment(self, text: str = "") -> Moment:
        init = self.init
        return Moment(
            agent_id=self.agent_id,
            user_id=self.user_id,
            conversation_id=self.conversation_id,
            conversation_key=str(init.variables.get("conversation_key")) if init else None,
            text=text,
            session=self.number,
            message=self.messages,
        )

    def misbehave(self, point: str) -> None:
        for action in self.world.faults.take(self.moment(), point, modifiers=False):
            if self.phase != "closed":
                commit(self, action)

    def discard(self, kind: str) -> None:
        self.world.stats.counts["discarded_in_queue"] += 1
        self.note("discarded", kind)

    def remember(self, role: str, text: str) -> None:
        if role == "agent":
            self.world.stats.counts["replies"] += 1
        if self.record:
            self.record.say(role, text, self.world.clock.unix())
        self.history.append((role, text))
        del self.history[:-_HISTORY]

    def draw(self, stage: str) -> float:
        """Milliseconds for this stage."""
        return float(getattr(self.agent.latency, stage).draw(self.world.rng))

    def response_id(self) -> str | None:
        return self.world.new_id("resp") if self.agent.response_ids else None

    def warn(self, what: str) -> None:
        self.world.stats.warnings[what] += 1
        self.note("warning", what)

    def note(self, kind: str, what: str) -> None:
        self.log("note", json.dumps({"note": kind, "text": what}))

    def log(self, direction: Direction, text: str, *, keepalive: bool = False) -> None:
        self.world.logs.add(self.conversation_id, direction, self.phase, text, keepalive=keepalive)

    def as_json(self) -> dict[str, Any]:
        return {
            "conversation_id": self.conversation_id,
            "agent_id": self.agent_id,
            "user_id": self.user_id,
            "phase": self.phase,
            "text_only": self.text_only,
            "user_messages": self.messages,
            "contexts": self.contexts,
            "variables": self.init.variables if self.init else {},
        }
