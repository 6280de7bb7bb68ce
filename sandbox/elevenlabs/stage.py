"""What the parts of a conversation need of the conversation. They know this, and the session knows them."""

from typing import Any, Literal, Protocol

from sandbox.elevenlabs.admission import Guest
from sandbox.elevenlabs.agents import AgentFixture
from sandbox.elevenlabs.errors import Refusal
from sandbox.elevenlabs.faults import Action, Moment
from sandbox.elevenlabs.initiation import Initiation
from sandbox.elevenlabs.records import Record
from sandbox.elevenlabs.socket import WireSocket
from sandbox.elevenlabs.timers import Timers
from sandbox.elevenlabs.world import World

__all__ = ["Phase", "Stage"]

Phase = Literal["await_init", "opening", "queued", "live", "generating", "deaf", "closed"]


class Stage(Guest, Protocol):
    """One open conversation. `Session` is the only one there is; a part may be tested on a smaller one."""

    world: World
    agent: AgentFixture
    socket: WireSocket
    conversation_id: str
    phase: Phase
    text_only: bool
    init: Initiation | None
    record: Record | None
    contexts: dict[str, str]
    history: list[tuple[str, str]]
    event_id: int
    messages: int
    number: int
    modifiers: list[Action]
    timers: Timers

    @property
    def was_live(self) -> bool: ...

    def go_live(self, max_duration_s: float) -> None: ...

    def go_deaf(self) -> None: ...

    def refuse(self, refusal: Refusal) -> None: ...

    def on_user_message(self, text: str) -> None: ...

    def on_generated(self, generation: object) -> None: ...

    def misbehave(self, point: str) -> None: ...

    def emit(self, frame: dict[str, Any]) -> None: ...

    def send(self, text: str) -> None: ...

    def sends(self, kind: str) -> bool: ...

    def say_plainly(self, text: str, event_id: int) -> None: ...

    def say_unasked(self, text: str) -> None: ...

    def remember(self, role: str, text: str) -> None: ...

    def response_id(self) -> str | None: ...

    def draw(self, stage: str) -> float: ...

    def moment(self, text: str = "") -> Moment: ...

    def warn(self, what: str) -> None: ...

    def note(self, kind: str, what: str) -> None: ...
