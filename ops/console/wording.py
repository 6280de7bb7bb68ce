"""What `ops/causes.py` says in English, in the reader's language. Pure; what nobody has translated stays as it is."""

import re

from ops.causes import OUTCOMES, REASONS, STATES
from ops.console.texts import Say
from ops.console.texts.en import EN

__all__ = ["cause_in_words", "outcome_in_words"]

KEYS = {text: f"why.{name}" for table in (STATES, REASONS) for name, text in table.items()}
KEYS["Twilio took it and could not show it"] = "why.failed"
KEYS["it did not reach the phone"] = "why.undelivered"
CODE = re.compile(r"Twilio error (\d+)")


def cause_in_words(say: Say, cause: str) -> str:
    """Each part of a cause by itself: they are joined by `: ` and `; `."""
    parts = re.split(r"(: |; )", cause)
    whole = KEYS.get(cause)
    return say(whole) if whole in EN else "".join(_part(say, one) for one in parts)


def _part(say: Say, text: str) -> str:
    if found := CODE.fullmatch(text):
        known = f"code.{found[1]}"
        number = say("why.code", code=found[1])
        return f"{say(known)} ({number})" if known in EN else number
    key = KEYS.get(text, "")
    return say(key) if key in EN else text


def outcome_in_words(say: Say, outcome: str, cause: str) -> str:
    key, english = f"outcome.{outcome}", OUTCOMES.get(outcome, "")
    if key not in EN:
        return cause
    return say(key) + cause.removeprefix(english)
