"""Content templates and their approval."""

import json
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

_BLANKS = re.compile(r"\s{5,}")
_VARIABLE = re.compile(r"\{\{(\w+)\}\}")
_LONGEST = 1024
_STATUS_ERRORS = {"rejected": 63040, "paused": 63041, "disabled": 63042}


class Template(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    sid: str
    name: str = "template"
    language: str = "es"
    body: str
    category: Literal["UTILITY", "MARKETING", "AUTHENTICATION"] = "UTILITY"
    status: Literal["unsubmitted", "received", "pending", "approved", "rejected", "paused", "disabled"] = "approved"
    kind: str = "twilio/text"
    """twilio/quick-reply, twilio/list-picker, twilio/location, …"""
    buttons: tuple[str, ...] = ()

    @property
    def starts(self) -> bool:
        """Whether it may open a conversation outside the 24-hour window."""
        return self.status == "approved" and self.kind not in {"twilio/list-picker", "twilio/location"}

    def render(self, variables: dict[str, str]) -> str:
        return _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), self.body)

    def error(self, variables: dict[str, str]) -> int | None:
        """What WhatsApp would object to, told asynchronously."""
        if self.status in _STATUS_ERRORS:
            return _STATUS_ERRORS[self.status]
        if set(_VARIABLE.findall(self.body)) != set(variables):
            return 63028
        if any(_BLANKS.search(value) for value in variables.values()):
            return 63013
        return 63021 if len(self.render(variables)) > _LONGEST else None

    def content(self) -> dict[str, Any]:
        stamp = "2026-01-01T00:00:00Z"
        base = f"https://content.twilio.com/v1/Content/{self.sid}"
        return {
            "sid": self.sid,
            "account_sid": None,
            "friendly_name": self.name,
            "language": self.language,
            "variables": dict.fromkeys(_VARIABLE.findall(self.body), ""),
            "types": {self.kind: {"body": self.body}},
            "date_created": stamp,
            "date_updated": stamp,
            "url": base,
            "links": {"approval_fetch": f"{base}/ApprovalRequests"},
        }

    def approval(self) -> dict[str, Any]:
        return {
            "sid": self.sid,
            "account_sid": None,
            "whatsapp": {
                "type": "whatsapp",
                "name": self.name,
                "category": self.category,
                "content_type": self.kind,
                "status": self.status,
                "rejection_reason": "INVALID_FORMAT" if self.status == "rejected" else "",
            },
            "url": f"https://content.twilio.com/v1/Content/{self.sid}/ApprovalRequests",
        }


def parse_variables(text: str | None) -> dict[str, str] | None:
    """None when Twilio would answer 21656."""
    try:
        given = json.loads(text or "{}")
    except ValueError:
        return None
    if not isinstance(given, dict) or not all(isinstance(value, str | int | float) for value in given.values()):
        return None
    return {str(name): str(value) for name, value in given.items()}
