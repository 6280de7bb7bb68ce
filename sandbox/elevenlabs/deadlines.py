"""The time limits of a live conversation: duration, idleness, a silent user (reference §3.6)."""

from typing import Literal

from sandbox.elevenlabs.errors import Refusal
from sandbox.elevenlabs.stage import Stage

__all__ = ["Deadlines", "Sign"]

Sign = Literal["any_frame", "activity", "user_input"]

_COUNTS: dict[str, tuple[Sign, ...]] = {
    "any_frame": ("any_frame", "activity", "user_input"),
    "user_input_or_activity": ("activity", "user_input"),
    "user_input": ("user_input",),
}


class Deadlines:
    def __init__(self, session: Stage) -> None:
        self._session = session
        self._last_input = session.world.clock.monotonic()
        self._user_was_asked = False

    def start(self, max_duration_s: float) -> None:
        self._last_input = self._session.world.clock.monotonic()
        self._session.timers.after(max_duration_s, self._on_max_duration, "max")
        self._arm_idle()

    def touch(self, sign: Sign) -> None:
        """A sign of life of the client; whether it counts against idleness is the agent's setting."""
        agent = self._session.agent
        if sign in _COUNTS[agent.idle_reset_on]:
            self._last_input = self._session.world.clock.monotonic()
        if sign != "any_frame":
            self._user_was_asked = False
            if self._session.timers.armed("turn"):
                self.await_user()

    def await_user(self) -> None:
        """The agent has spoken: after `turn_timeout` it speaks up again, once."""
        limit = self._session.agent.turn_timeout
        if limit is not None and not self._user_was_asked:
            self._session.timers.after(limit, self._on_user_silent, "turn")

    def _arm_idle(self) -> None:
        # re-armed only when it rings: resetting a timer on every frame would be the cost of every frame
        limit = self._session.agent.idle_receive_timeout_s
        if limit is None:
            return
        left = self._last_input + limit - self._session.world.clock.monotonic()
        if left > 1e-6:
            self._session.timers.after(left, self._arm_idle, "idle")
            return
        reason = f"No user input received for {limit:g} seconds."
        self._session.refuse(Refusal.of("transport_receive_timeout", reason))

    def _on_max_duration(self) -> None:
        session = self._session
        if session.init and session.init.max_duration_message:
            session.event_id += 1
            session.say_plainly(session.init.max_duration_message, session.event_id)
        session.refuse(Refusal.of("max_duration_exceeded", "Conversation exceeded its maximum duration."))

    def _on_user_silent(self) -> None:
        self._user_was_asked = True
        self._session.say_unasked(self._session.agent.turn_timeout_message)
