"""What a replay hands to its sealed child, and what it gets back: one JSON line each, over pipes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.documents import TurnDocument

__all__ = ["Asking", "Differs", "Facts", "Heard", "Kept", "Line", "Person", "Result", "Seen", "Setup", "State", "Step"]

State = Literal["same", "changed", "new", "missing", "erased", "unusable"]
"""`unusable`: nobody decided it then, and nobody would now."""


class Value(BaseModel):
    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")


class Asking(Value):
    """Who is asked instead of the recorded answers, and how. `api_key` is a secret: it goes over a pipe only."""

    agent_id: str
    base_url: str
    api_key: str = Field(repr=False)
    signed: bool = False
    attempts: int = 3
    backoff_s: float = 2.0
    deadline_s: float = 40.0


class Setup(Value):
    """The first line: what an installation decides."""

    kind: Literal["setup"] = "setup"
    channels: list[str]
    default_agent_id: str
    default_language: str = "es"
    greeting_template_sid: str = ""
    reply_max_age_s: float = 3600
    turns_per_hour: int = 60
    asking: Asking | None = None


class Seen(Value):
    """A part of ours that was not shown, since when that is known."""

    id: str
    state: str
    status: str
    sid: str | None = None
    at: datetime


class Person(Value):
    """Whose steps follow, as it stood before the first of them: documents as they are stored."""

    kind: Literal["person"] = "person"
    contact: str
    documents: dict[str, list[dict[str, Any]]] = {}
    """Collection → documents."""
    sends: list[Seen] = []


class Kept(Value):
    """A record as Kafka keeps it."""

    position: str
    at: datetime
    key: bytes | None = None
    value: bytes | None = None
    headers: list[tuple[str, bytes]] = []


class Step(Value):
    """Records that were decided together, or one that nobody decided; none where they are gone."""

    kind: Literal["step"] = "step"
    contact: str
    at: datetime
    """When it was decided, or when its record came."""
    records: list[Kept] = []
    behind: list[Kept] = []
    """What stood behind a draft that was discarded for it."""
    turn: TurnDocument | None = None


Line = Annotated[Setup | Person | Step, Field(discriminator="kind")]


class Facts(Value):
    """What of a decision can be seen from outside. No times, and no numbers that only count."""

    turns: list[str] = []
    events: list[str] = []
    outcome: str = ""
    parts: list[str] = []
    shown: list[dict[str, Any]] = []
    """Purpose, channel, address and template of each request to show something."""
    markers: list[dict[str, Any]] = []
    """What else goes to the sender: fences, erasures."""
    notices: list[dict[str, Any]] = []
    conversation: dict[str, Any] = {}
    """Its id and status."""
    contact: dict[str, Any] = {}
    """Whether the bot is silent for this contact, and why."""


class Differs(Value):
    field: str
    was: Any
    now: Any


class Heard(Value):
    """What another agent said to the same words."""

    words: list[str] = []
    seconds: float = 0.0
    attempts: int = 0
    outcome: str = ""
    fault: str = ""


class Result(Value):
    contact: str
    seq: int | None = None
    at: datetime
    state: State
    positions: list[str] = []
    was: Facts | None = None
    now: Facts | None = None
    differs: list[Differs] = []
    why: str = ""
    asked: str = ""
    """The words an agent is asked now, where no answer of it is recorded."""
    said: list[str] = []
    """The agent's own words then."""
    seconds: float | None = None
    """How long it took for them."""
    heard: Heard | None = None
