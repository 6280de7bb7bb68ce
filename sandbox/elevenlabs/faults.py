"""Misbehaviour on demand: which conversation, at what point, what goes wrong, how often."""

import random
import re
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Action", "Fault", "FaultBook", "Match", "Moment", "Point"]

TurnPoint = Literal["before_reply", "mid_stream", "between_segments", "after_reply", "idle"]
RestPoint = Literal["rest.signed_url", "rest.get", "rest.list", "rest.summary", "rest.agent", "rest.speech", "rest.any"]
Point = RestPoint | Literal["handshake", "init", "webhook"] | TurnPoint

Kind = Literal[
    "http",
    "accept_hang",
    "no_metadata",
    "wrong_first_frame",
    "close",
    "abort",
    "blackhole",
    "slow",
    "stall_mid_stream",
    "drop_event",
    "duplicate_event",
    "reorder",
    "malformed_json",
    "unknown_type",
    "huge_frame",
    "ignore_user_message",
    "queue",
    "webhook",
]

# These change how a whole turn (or session, at `init`) is emitted, so they are taken when it starts.
MODIFIERS = frozenset({"slow", "stall_mid_stream", "drop_event", "duplicate_event", "reorder"})
_ONLY_AT: dict[str, tuple[str, ...]] = {
    "http": ("handshake", *get_args(RestPoint)),
    "no_metadata": ("init",),
    "wrong_first_frame": ("init",),
    "ignore_user_message": ("before_reply",),
    "queue": ("init", "before_reply"),
    "webhook": ("webhook",),
}
_REST_KINDS = ("http", "accept_hang", "malformed_json")
_HANDSHAKE_KINDS = ("http", "abort", "accept_hang", "blackhole", "close")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Match(_Model):
    """All that are given must hold. `nth_session` counts per user id, `nth_message` per session, from 1."""

    agent_id: str | None = None
    user_id: str | None = None
    conversation_key: str | None = None
    """Against the dynamic variable of that name."""
    conversation_id: str | None = None
    text_regex: str | None = None
    nth_session: int | None = None
    nth_message: int | None = None


class Action(_Model):
    """One row of §11.5; a field that its kind does not know is ignored."""

    kind: Kind
    ms: float = 0.0
    """stall_mid_stream and REST accept_hang: how long; the others: how long to wait before doing it."""
    status: int = 503
    body: Any = None
    retry_after: float | None = None
    code: int = 1011
    reason: str = ""
    error_frame: Literal["nested", "flat", "none"] = "none"
    error_type: str | None = None
    factor: float = 5.0
    type: str = "agent_response"
    bytes: int = 1_000_000
    wait_ms: float = 1_000.0
    then: Literal["admitted", "timed_out"] = "admitted"
    delay_s: float = 0.0
    duplicate: int = 0
    bad_signature: bool = False
    out_of_order: bool = False
    skip: bool = False


class Fault(_Model):
    """A rule of the fault book. `times` None repeats for ever; `probability` is drawn from the seed."""

    id: str = ""
    match: Match = Field(default_factory=Match)
    at: Point
    do: Action
    times: int | None = 1
    probability: float = 1.0
    fired: int = 0

    @model_validator(mode="after")
    def _can_happen(self) -> "Fault":
        allowed = _ONLY_AT.get(self.do.kind)
        if allowed is not None and self.at not in allowed:
            raise ValueError(f"{self.do.kind} can only happen at {', '.join(allowed)}")
        if self.at.startswith("rest.") and self.do.kind not in _REST_KINDS:
            raise ValueError(f"at {self.at} only {', '.join(_REST_KINDS)} can happen")
        if self.at == "handshake" and self.do.kind not in _HANDSHAKE_KINDS:
            raise ValueError(f"at handshake only {', '.join(_HANDSHAKE_KINDS)} can happen")
        if self.at == "webhook" and self.do.kind != "webhook":
            raise ValueError("at webhook only webhook can happen")
        return self


@dataclass(frozen=True)
class Moment:
    """What a fault is matched against."""

    agent_id: str | None = None
    user_id: str | None = None
    conversation_id: str | None = None
    conversation_key: str | None = None
    text: str = ""
    session: int = 0
    message: int = 0

    def fits(self, match: Match) -> bool:
        pairs = (
            (match.agent_id, self.agent_id),
            (match.user_id, self.user_id),
            (match.conversation_id, self.conversation_id),
            (match.conversation_key, self.conversation_key),
            (match.nth_session, self.session),
            (match.nth_message, self.message),
        )
        if any(wanted is not None and wanted != got for wanted, got in pairs):
            return False
        return match.text_regex is None or bool(re.search(match.text_regex, self.text, re.IGNORECASE))


@dataclass
class FaultBook:
    rng: random.Random
    faults: list[Fault] = field(default_factory=list)
    _numbered: int = 0

    def add(self, fault: Fault) -> Fault:
        if not fault.id:
            self._numbered += 1
            fault.id = f"f{self._numbered}"
        self.faults = [known for known in self.faults if known.id != fault.id]
        self.faults.append(fault)
        return fault

    def clear(self, fault_id: str | None = None) -> None:
        self.faults = [fault for fault in self.faults if fault_id is not None and fault.id != fault_id]

    def reset(self) -> None:
        self.faults, self._numbered = [], 0

    def take(self, moment: Moment, *points: str, modifiers: bool | None = None) -> list[Action]:
        """What goes wrong now; each fault taken counts as fired. `modifiers` restricts to (or bars) those."""
        if not self.faults:
            return []
        taken = [f for f in self.faults if f.at in points and self._fires(f, moment, modifiers)]
        for fault in taken:
            fault.fired += 1
        return [fault.do for fault in taken]

    def _fires(self, fault: Fault, moment: Moment, modifiers: bool | None) -> bool:
        if fault.times is not None and fault.fired >= fault.times:
            return False
        if modifiers is not None and (fault.do.kind in MODIFIERS) is not modifiers:
            return False
        return moment.fits(fault.match) and (fault.probability >= 1 or self.rng.random() < fault.probability)
