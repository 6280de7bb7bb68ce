"""Phone numbers out of what a command shows. Texts of people stay readable, the numbers in them do not."""

import re
from collections.abc import Mapping
from typing import Any

from schemas.contact import redact

__all__ = ["Masking"]

SIGNED = re.compile(r"(?:\+|%2B|(?<![\w.-])00)\d(?:[\s().\-/]{0,2}\d){6,14}", re.IGNORECASE)
# As people write their own number: nine digits or more, in groups or not. Never inside an id, a time or an amount.
BARE = re.compile(r"(?<![\w.:+-])\(?\d(?:[ .\-()]{0,2}\d){8,14}(?![\w:])")

NUMBER = re.compile(r"\+\d{8,15}")
OWN = 8  # last digits: enough to be that number, and all that every way of writing it has in common


class Masking:
    """`names` are masked wherever they stand: what is no number is not found by its form.

    A number among them is, however people write it: with or without its country, and with anything between its digits.
    """

    def __init__(self, *names: str, reveal: bool) -> None:
        self._names = sorted({one for one in names if one}, key=len, reverse=True)
        self._spelled = [_spelled(one) for one in self._names if NUMBER.fullmatch(one)]
        self._reveal = reveal

    def __call__(self, value: Any) -> Any:
        """The same with every number masked, however deep it stands, keys included."""
        if self._reveal:
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {self(name): self(one) for name, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self(one) for one in value]
        return value

    def _text(self, text: str) -> str:
        for name in self._names:
            text = text.replace(name, redact(name))
        for spelled in self._spelled:
            text = spelled.sub(_bare, text)
        return BARE.sub(_bare, SIGNED.sub(_signed, text))


def _spelled(number: str) -> re.Pattern[str]:
    between = r"[\W_]{0,2}"
    return re.compile(rf"(?<!\d)\+?(?:\d{between}){{0,6}}{between.join(number[-OWN:])}(?!\d)")


def _signed(found: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", found[0].replace("%2B", "").replace("%2b", ""))
    return redact(f"+{digits}")


def _bare(found: re.Match[str]) -> str:
    return redact(re.sub(r"\D", "", found[0]))
