"""What the agent answers: text and context in, steps out. No I/O, no clock, no randomness."""

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.elevenlabs.rules_es import RULES
from sandbox.elevenlabs.steps import Rule, Say, SkipTurn, Step

__all__ = ["BRAINS", "Turn", "fill", "think"]

_PLACE = re.compile(r"\{\{\s*([\w.]+)\s*(?:\|([^}]*))?\}\}")
_SPEECH = re.compile(
    r"^\W*(user|agent|usuario|cliente|client|customer|assistant|you|agente|bot|human|operator|tú)\b.*?:", re.IGNORECASE
)
_LABEL = re.compile(r"^\W*(?:call[ _]summary|summary|resumen(?: de la llamada)?)\W*?:\s*(.*)$", re.IGNORECASE)
_HEADER = re.compile(r"^\s*[\[<#(=-]")


@dataclass(slots=True)
class Turn:
    """What a brain may know about one user message."""

    text: str
    conversation_id: str
    message: int = 1
    contexts: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    history: Sequence[tuple[str, str]] = ()
    rules: Sequence[Rule] | None = None
    result: str = ""

    def values(self) -> dict[str, str]:
        """What `{{…}}` may name: these, the dynamic variables, and `context.<id>`."""
        names = str(self.variables.get("customer_name") or "").split()
        values = {str(key): str(value) for key, value in self.variables.items()}
        values |= {f"context.{key}": text for key, text in self.contexts.items()}
        return values | {
            "text": self.text,
            "n": str(self.message),
            "conversation_id": self.conversation_id,
            "first_name": names[0] if names else "",
            "first_comma": f", {names[0]}" if names else "",
            "summary": summary_of(self.contexts.get("prior_call", "")),
            "call_lines": " / ".join(speech_of(self.contexts.get("prior_call", ""))[-4:]),
            "history_lines": " / ".join(speech_of(self.contexts.get("wa_history", ""))[-4:]),
            "before": next((said for role, said in reversed(self.history) if role == "user"), ""),
            "result": self.result,
        }


def think(brain: str, turn: Turn) -> list[Step]:
    return BRAINS[brain](turn)


def fill(text: str, values: dict[str, str]) -> str:
    """`{{name}}` or `{{name|instead}}` by its value; unknown and empty ones by what follows the bar."""
    return _PLACE.sub(lambda found: values.get(found[1]) or found[2] or "", text)


def summary_of(context: str) -> str:
    """The summary inside a `prior_call` update: the labelled one, else the first plain paragraph."""
    lines = [line.strip() for line in context.splitlines()]
    for number, line in enumerate(lines):
        labelled = _LABEL.match(line)
        if labelled:
            return (labelled[1].strip() or _paragraph(lines[number + 1 :])).strip("«»")
    body = lines[1:] if len([line for line in lines if line]) > 1 else lines
    return _paragraph(body) or _paragraph(re.split(r"(?<=\])\s*", lines[0])[1:] if lines else [])


def speech_of(context: str) -> list[str]:
    """The `user:` / `agent:` lines of a context update."""
    return [line.strip() for line in context.splitlines() if _SPEECH.match(line.strip())]


def _paragraph(lines: Sequence[str]) -> str:
    taken: list[str] = []
    for line in lines:
        if not line or _SPEECH.match(line) or _HEADER.match(line):
            if taken:
                break
            continue
        taken.append(line)
    return " ".join(taken)


def plain(text: str) -> str:
    """Lower case without accents."""
    spread = unicodedata.normalize("NFD", text.casefold())
    return "".join(char for char in spread if not unicodedata.combining(char))


def _echo(turn: Turn) -> list[Step]:
    return [Say(text=turn.text)]


def _counter(turn: Turn) -> list[Step]:
    return [Say(text=f"n={turn.message} s={turn.conversation_id}")]


def _recall(turn: Turn) -> list[Step]:
    asked = plain(turn.text)
    sources = (
        (r"llamada|call", turn.contexts.get("prior_call")),
        (r"antes|before", turn.contexts.get("wa_history")),
        (r"nombre|name", turn.variables.get("customer_name") or turn.variables.get("name")),
    )
    for pattern, known in sources:
        if re.search(pattern, asked):
            return [Say(text=str(known) if known else "no lo sé")]
    return [Say(text=json.dumps({"contexts": sorted(turn.contexts), "n": turn.message}))]


def _rules(turn: Turn) -> list[Step]:
    values = turn.values()
    for rule in RULES if turn.rules is None else turn.rules:
        if all(values.get(name) for name in rule.needs) and _found(rule.match, turn.text):
            return list(rule.steps)
    return [SkipTurn()]


def _found(pattern: str, text: str) -> bool:
    return bool(
        re.search(pattern, text, re.IGNORECASE | re.DOTALL)
        or re.search(pattern, plain(text), re.IGNORECASE | re.DOTALL)
    )


BRAINS: dict[str, Callable[[Turn], list[Step]]] = {
    "echo": _echo,
    "counter": _counter,
    "recall": _recall,
    "rules": _rules,
}
