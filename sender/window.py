"""What may be shown now: free text inside WhatsApp's 24 hours, an approved template outside, or nothing. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.events import Part, SendRequested, Template

__all__ = ["CALLBACK_OVERRIDES", "Content", "content", "fallback", "validity"]

MARGIN = timedelta(minutes=10)  # a queued message may leave later than it was posted
CALLBACK_OVERRIDES = "#rc=3&rp=5xx,ct,rt"  # without it Twilio does not call again after a 5xx
LONGEST_VARIABLE = 200  # characters; a rendered template has 1024 in all (63021)
VALIDITY_S = (60, 36_000)  # below it carriers lose messages; above it Twilio refuses (21624)


@dataclass(frozen=True, slots=True)
class Content:
    """Form fields of the POST; `reason` instead where nothing may be shown."""

    fields: dict[str, str]
    reason: str = ""


def content(request: SendRequested, part: Part, now: datetime, reengage: str = "") -> Content:
    """`reengage`: SID of the template for a reply outside the window, if there is one."""
    if request.not_after and now > request.not_after:
        return Content({}, "expired")
    if request.window_until and now < request.window_until - MARGIN:
        return Content({"Body": part.text})
    template = fallback(request, part, reengage)
    return Content(template) if template else Content({}, "window_closed")


def fallback(request: SendRequested, part: Part, reengage: str) -> dict[str, str] | None:
    """The template for a closed window. Only for the first part: more templates in a row would be spam."""
    if part.send_id != request.parts[0].send_id:
        return None
    if request.template:
        return _fields(request.template)
    if reengage and request.purpose in {"reply", "operator"}:
        return _fields(Template(content_sid=reengage, variables={"1": part.text}))
    return None


def validity(not_after: datetime | None, now: datetime) -> dict[str, str]:
    """Twilio drops what it could not send within its useful life; a queue must not deliver a stale reply tonight."""
    if not_after is None:
        return {}
    low, high = VALIDITY_S
    return {"ValidityPeriod": str(min(high, max(low, int((not_after - now).total_seconds()))))}


def _fields(template: Template) -> dict[str, str]:
    return {"ContentSid": template.content_sid, "ContentVariables": _variables(template.variables)}


def _variables(given: Mapping[str, str]) -> str:
    """One line each, no run of blanks (63013), never empty, not too long."""
    lines = {name: " ".join(text.split()) or "-" for name, text in given.items()}
    short = {
        name: text if len(text) <= LONGEST_VARIABLE else f"{text[: LONGEST_VARIABLE - 1]}…"
        for name, text in lines.items()
    }
    return json.dumps(short, ensure_ascii=False)
