"""What a client can do with a phone, as the body of a request; and the same in the simulator's words."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Burst", "Call", "Clock", "Newcomer", "Note", "Part", "Said", "Switch"]

LONGEST = 4096  # WhatsApp's own limit of one message


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _FromContact(_Body):
    contact: str = Field(min_length=1, max_length=150)
    """The address of one of the people."""


class Said(_FromContact):
    kind: Literal["text", "button", "reaction", "location"] = "text"
    text: str = Field(default="", max_length=LONGEST)
    reply_to: str | None = None
    latitude: float = Field(default=0, ge=-90, le=90)
    longitude: float = Field(default=0, ge=-180, le=180)
    label: str = Field(default="", max_length=200)

    def inbound(self) -> dict[str, Any]:
        fields = {}
        if self.kind == "location":
            fields = {"Latitude": str(self.latitude), "Longitude": str(self.longitude)}
            fields |= {"Label": self.label} if self.label else {}
        return {"kind": self.kind, "body": self.text, "reply_to": self.reply_to, "fields": fields}


class Burst(_FromContact):
    texts: list[str] = Field(min_length=1, max_length=20)
    pause_ms: float = Field(default=250, ge=0, le=10_000)


class Note(_FromContact):
    """A voice note that says this."""

    says: str = Field(min_length=1, max_length=1000)


class Newcomer(_Body):
    name: str = Field(min_length=1, max_length=80)
    number: str = Field(default="", max_length=150)
    """Empty, with `hidden`: somebody whose number nobody ever saw."""
    hidden: bool = False


class Call(_FromContact):
    """A call that has just ended, as the main backend would tell it."""

    client_name: str = Field(default="", max_length=80)
    summary: str = Field(default="", max_length=1000)
    agent: str = Field(default="", max_length=100)
    language: str = Field(default="", max_length=10)


class Switch(_Body):
    key: str
    on: bool


class Part(_Body):
    part: str


class Clock(_Body):
    seconds: float
