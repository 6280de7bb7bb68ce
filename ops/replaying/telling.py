"""What a replay found, for people: a line for each turn, and a diff where it would be another one."""

import difflib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from schemas.replay import Differs, Result, State

__all__ = ["STATES", "Account", "differing", "lines_of"]

STATES: tuple[State, ...] = get_args(State)
SETTLED = {"same", "erased", "unusable"}


@dataclass(slots=True)
class Account:
    """How many turns of each kind."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, result: Result) -> None:
        self.counts[result.state] += 1

    @property
    def turns(self) -> int:
        return sum(self.counts.values())

    @property
    def differing(self) -> int:
        return sum(count for state, count in self.counts.items() if state not in SETTLED)

    def sentence(self) -> str:
        told = ", ".join(f"{self.counts[state]} {state}" for state in STATES if self.counts[state])
        return f"{self.turns} turns: {told or 'none'}"


def differing(result: Result) -> bool:
    return result.state not in SETTLED


def lines_of(result: Result) -> Iterator[str]:
    facts = result.now or result.was
    name = f"turn {result.seq}" if result.seq else "no turn"
    outcome = facts.outcome if facts else ""
    at = f"{result.at:%Y-%m-%d %H:%M:%S}"
    yield f"  {name:<9} {at}  {result.state:<9} {outcome}{f'  {result.why}' if result.why else ''}".rstrip()
    for one in result.differs:
        yield from _differs(one)
    if result.state == "new" and result.now:
        yield from _indented("parts", result.now.parts, "+ ")
    if result.state == "missing" and result.was:
        yield from _indented("parts", result.was.parts, "- ")
    if result.asked and not result.heard:
        yield from _indented("the agent would be asked", result.asked.splitlines(), "? ")


def _differs(one: Differs) -> Iterator[str]:
    was, now = _worded(one.was), _worded(one.now)
    yield f"      {one.field}"
    for line in difflib.ndiff(was, now):
        if line.startswith(("- ", "+ ")) or (line.startswith("  ") and one.field == "parts"):
            yield f"        {line.rstrip()}"


def _worded(value: Any) -> list[str]:
    """A line for each part of it."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [f"{name}: {_short(one)}" for name, one in value.items()]
    return [line for one in value for line in (one.splitlines() if isinstance(one, str) else [_short(one)])]


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _indented(title: str, lines: Sequence[str], mark: str) -> Iterator[str]:
    if lines:
        yield f"      {title}"
    for text in lines:
        yield from (f"        {mark}{line}" for line in text.splitlines())
