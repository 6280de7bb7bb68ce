"""The clients that a developer plays: who they are, and what is on their phones."""

import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from sandbox.twilio.people import ADDRESS, canonical, prefixed

__all__ = ["MADE_UP", "Person", "UnusableNumber", "address_of", "made_up_user_id"]

KEPT = 300  # bubbles of one chat
DECORATION = re.compile(r"[\s().-]")


class UnusableNumber(ValueError):
    """The message says what would be one."""


@dataclass(slots=True)
class Person:
    """`given` is the number as somebody typed it: a second spelling of it is worth trying."""

    address: str
    given: str
    name: str
    user_id: str = ""
    hidden: bool = False
    typing: bool = False
    bubbles: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def phone(self) -> str | None:
        """What a call would know."""
        return self.given if self.given.startswith("+") else None

    def show(self, bubble: dict[str, Any]) -> None:
        """Harmless twice."""
        self.bubbles[bubble["sid"]] = bubble
        if len(self.bubbles) > KEPT:
            del self.bubbles[next(iter(self.bubbles))]

    def story(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "name": self.name,
            "phone": self.phone,
            "shown_as": self.user_id if self.hidden else self.given,
            "hidden": self.hidden,
            "typing": self.typing,
            "bubbles": list(self.bubbles.values()),
        }


MADE_UP = (
    ("Lucía Romero", "+34611020304", False),
    ("Carlos Méndez", "+5215512345678", False),  # Mexico's second spelling
    ("John Smith", "+14155550142", False),
    ("Noa Vidal", "+34611090807", True),
)


def address_of(number: str) -> tuple[str, str]:
    """(key of the handset, number as given). Raises UnusableNumber."""
    given = DECORATION.sub("", number.strip()) if number.lstrip().startswith("+") else number.strip()
    address = prefixed(given)
    if not ADDRESS.match(address):
        raise UnusableNumber("A number with its country, as +34611020304, or a user id, as ES.1234567890.")
    return canonical(address), address.removeprefix("whatsapp:")


def made_up_user_id() -> str:
    """For somebody whose number nobody ever saw."""
    return f"ES.{secrets.randbelow(10**15):015d}"
