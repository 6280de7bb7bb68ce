"""What may be shown now: free text inside WhatsApp's 24 hours, an approved template outside, or nothing. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.events import Part, SendRequested

__all__ = ["Content", "content"]

MARGIN = timedelta(minutes=10)  # a queued message may leave later than it was posted
CALLBACK_OVERRIDES = "#rc=3&rp=5xx,ct,rt"  # without it Twilio does not call again after a 5xx


@dataclass(frozen=True, slots=True)
class Content:
    """Form fields of the POST; `reason` instead where nothing may be shown."""

    fields: dict[str, str]
    reason: str = ""


def content(request: SendRequested, part: Part, now: datetime) -> Content:
    if request.not_after and now > request.not_after:
        return Content({}, "expired")
    if request.window_until and now < request.window_until - MARGIN:
        return Content({"Body": part.text})
    if request.template and part is request.parts[0]:
        variables = json.dumps(request.template.variables, ensure_ascii=False)
        return Content({"ContentSid": request.template.content_sid, "ContentVariables": variables})
    return Content({}, "window_closed")
