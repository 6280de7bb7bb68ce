"""Rules that make the network or Twilio misbehave, on purpose and repeatably."""

import random
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

RestEffect = Literal[
    "error",
    "html",
    "problem",
    "redirect",
    "hang",
    "reset",
    "truncate",
    "delay",
    "drip",
    "refuse",
    "callback_first",
]
WebhookEffect = Literal[
    "duplicate",
    "replay",
    "hold",
    "reverse",
    "shuffle",
    "drop",
    "wrong_signature",
    "http_signature",
    "old_token",
    "late_failed",
    "unknown_sid",
    "fallback_only",
    "outage",
]


class Fault(BaseModel):
    """One rule. Every given matcher must match; a pattern is searched for, not anchored.

    REST effects: `error` answers `http`/`code` (with `retry_after`), `html` a 502 page, `problem` an RFC 9457 body,
    `redirect` a 302, `hang` never answers, `reset` breaks the connection, `truncate` cuts the JSON in half, `delay`
    waits `seconds`, `drip` sends one byte of the answer every `seconds`, `refuse` closes the port for `seconds`,
    `callback_first` answers after the first callback did.
    With `after`, creating happens before `error`, `html`, `problem`, `redirect`, `hang` and `reset`.

    Webhook effects: `duplicate` repeats with the same token `seconds` later, `replay` with a new token, `hold` sends
    `seconds` late, `reverse`/`shuffle` collect `count` requests (at most `seconds`) and send them one by one in
    another order, `drop` never sends, `late_failed` adds a `failed` `seconds` later, `unknown_sid` adds a status of
    nobody's message, `fallback_only` skips the inbound URL, `outage` makes every webhook fail to connect for
    `seconds`; the rest sign wrongly.
    """

    model_config = ConfigDict(extra="forbid")

    effect: RestEffect | WebhookEffect
    method: str | None = None
    path: str | None = None
    to: str | None = None
    body: str | None = None
    kind: Literal["inbound", "status", "fallback"] | None = None
    status: str | None = None
    """MessageStatus of a callback."""
    nth: int = Field(default=1, ge=1)
    """The first match it acts on."""
    times: int | None = Field(default=1, ge=1)
    """None: for ever."""
    probability: float = Field(default=1, ge=0, le=1)
    seed: int = 1
    after: bool = False
    http: int = 500
    code: int | None = None
    retry_after: int | None = None
    seconds: float = 1
    count: int = 2

    @property
    def on_rest(self) -> bool:
        return self.effect in RestEffect.__args__  # type: ignore[attr-defined]


@dataclass
class Rule:
    id: int
    fault: Fault
    seen: int = 0
    done: int = 0
    held: list[Any] = field(default_factory=list)
    """Webhook requests that wait to be reordered."""

    def __post_init__(self) -> None:
        self._dice = random.Random(self.fault.seed)

    def story(self) -> dict[str, Any]:
        given = self.fault.model_dump(exclude_defaults=True)
        return {"id": self.id, **given, "seen": self.seen, "done": self.done}

    def takes(self, facts: dict[str, str]) -> bool:
        fault = self.fault
        if fault.times is not None and self.done >= fault.times:
            return False
        wanted = {
            "method": fault.method,
            "path": fault.path,
            "to": fault.to,
            "body": fault.body,
            "kind": fault.kind,
            "status": fault.status,
        }
        if not all(w is None or re.search(w, facts.get(name, "")) for name, w in wanted.items()):
            return False
        self.seen += 1
        if self.seen < fault.nth or self._dice.random() >= fault.probability:
            return False
        self.done += 1
        return True


class Rules:
    """The first rule that takes a request is the only one that acts on it."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._next = 0

    def add(self, fault: Fault) -> Rule:
        self._next += 1
        rule = Rule(self._next, fault)
        self._rules.append(rule)
        return rule

    def clear(self, number: int | None = None) -> None:
        """All, or the one of this number; harmless when it is gone."""
        self._rules = [rule for rule in self._rules if number is not None and rule.id != number]

    def stories(self) -> list[dict[str, Any]]:
        return [rule.story() for rule in self._rules]

    def take(self, *, rest: bool, **facts: str) -> Rule | None:
        if not self._rules:
            return None
        return next((r for r in self._rules if r.fault.on_rest == rest and r.takes(facts)), None)
