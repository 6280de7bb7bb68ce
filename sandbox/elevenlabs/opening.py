"""From the handshake to a live conversation: admission, init, metadata, queue, first message."""

from typing import Any

from sandbox.elevenlabs import frames
from sandbox.elevenlabs.errors import TOO_MANY, Refusal
from sandbox.elevenlabs.faults import Action
from sandbox.elevenlabs.initiation import Initiation, read_initiation
from sandbox.elevenlabs.mischief import commit
from sandbox.elevenlabs.records import Record
from sandbox.elevenlabs.stage import Stage

__all__ = ["Opening"]

_TIMED_OUT_GRACE_S = 0.4


class Opening:
    """Phases `await_init` → `opening` → (`queued` →) `live`."""

    def __init__(self, session: Stage) -> None:
        self._session = session
        self._over_limit = False
        self._early: list[str] = []
        self._first_message = ""

    def start(self) -> None:
        """The handshake is done: count it, and wait for the first frame."""
        session = self._session
        self._over_limit = not session.world.admission.hold(session)
        if self._over_limit and not session.agent.queueing.enabled:
            session.refuse(TOO_MANY)
            return
        session.timers.after(session.agent.handshake_hold_ms / 1000, self._release_handshake, "hold")
        session.timers.after(session.agent.init_timeout_s, self._on_no_init, "init")

    def initiate(self, frame: dict[str, Any]) -> None:
        session, world = self._session, self._session.world
        session.timers.disarm("init")
        read = read_initiation(frame, session.agent)
        if isinstance(read, Refusal):
            session.refuse(read)
            return
        session.init = read
        session.text_only = read.text_only
        session.phase = "opening"
        world.sessions_of[read.user_id or ""] += 1
        session.number = world.sessions_of[read.user_id or ""]
        for warning in read.warnings:
            session.warn(warning)
        self._release_handshake()
        session.timers.after(session.draw("init") / 1000, lambda: self._announce(read), "opening")

    def admit(self) -> None:
        """A seat is free now."""
        session = self._session
        session.timers.disarm("queue")
        session.timers.disarm("waiting")
        session.emit(frames.queue_status("admitted"))
        if session.was_live:  # the queue was a fault
            session.phase = "live"
        else:
            self._go_live()

    def queue_for(self, action: Action) -> None:
        """Be in a queue for a while, whatever the limits say (a fault)."""
        self._session.phase = "queued"
        self._say_waiting()
        then = self.admit if action.then == "admitted" else self._on_wait_over
        self._session.timers.after(action.wait_ms / 1000, then, "queue")

    def keep(self, text: str) -> None:
        """A user message before the metadata: it waits."""
        self._early.append(text)

    def loses_to_race(self) -> bool:
        """A user message before the first message is out: who loses is the agent's setting."""
        session = self._session
        if not self._first_message:
            return False
        race = session.agent.first_message_race
        if race == "swallow":
            session.world.stats.counts["swallowed"] += 1
            session.note("swallowed", "user_message before the first message")
            return True
        if race == "skip":
            self._first_message = ""
        self._greet()
        return False

    # -- inside -------------------------------------------------------------------------------

    def _announce(self, init: Initiation) -> None:
        session, faults = self._session, self._session.world.faults
        session.modifiers = faults.take(session.moment(), "init", modifiers=True)
        actions = faults.take(session.moment(), "init", modifiers=False)
        ended = [commit(session, action) for action in actions if action.kind != "queue"]
        if any(ended):
            return
        session.record = session.world.records.add(self._new_record(init))
        session.emit(frames.metadata(session.conversation_id))
        self._first_message = init.first_message
        queue = next((action for action in actions if action.kind == "queue"), None)
        if queue:
            self.queue_for(queue)
            self._greet_after_delay()
        elif self._over_limit or not session.world.admission.enter(session):
            self._enqueue()
        else:
            self._go_live()

    def _new_record(self, init: Initiation) -> Record:
        session = self._session
        return Record(
            conversation_id=session.conversation_id,
            agent_id=session.agent_id,
            agent_name=session.agent.name,
            started=session.world.clock.unix(),
            text_only=session.text_only,
            user_id=init.user_id,
            source=init.source,
            language=init.language,
            variables=dict(init.variables),
        )

    def _enqueue(self) -> None:
        session, queueing = self._session, self._session.agent.queueing
        if not queueing.enabled:
            session.refuse(TOO_MANY)
            return
        session.phase = "queued"
        session.world.admission.wait(session)
        session.timers.after(queueing.wait_timeout_s, self._on_wait_over, "queue")
        self._greet_after_delay()
        session.timers.after(queueing.waiting_delay_ms / 1000, self._say_waiting, "waiting")

    def _go_live(self) -> None:
        session = self._session
        session.go_live(session.init.max_duration_s if session.init else session.agent.max_duration_seconds)
        early, self._early = self._early, []
        for text in early:
            session.on_user_message(text)
        if self._first_message:
            self._greet_after_delay()
        if session.phase == "live":
            session.misbehave("idle")

    def _greet_after_delay(self) -> None:
        delay = self._session.agent.first_message_delay_ms / 1000
        self._session.timers.after(delay, self._greet, "greeting")

    def _greet(self) -> None:
        text, self._first_message = self._first_message, ""
        self._session.timers.disarm("greeting")
        if text:
            self._session.say_plainly(text, 1)

    def _say_waiting(self) -> None:
        self._session.emit(frames.queue_status("waiting"))

    def _on_wait_over(self) -> None:
        session = self._session
        session.emit(frames.queue_status("timed_out"))
        session.timers.after(_TIMED_OUT_GRACE_S, lambda: session.refuse(TOO_MANY), "queue")

    def _on_no_init(self) -> None:
        reason = "conversation_initiation_client_data was not received."
        self._session.refuse(Refusal.of("missing_fields", reason))

    def _release_handshake(self) -> None:
        # only when the hold is over *and* it is known which pool the conversation belongs to
        session = self._session
        if session.phase != "await_init" and not session.timers.armed("hold"):
            session.world.admission.release(session)
