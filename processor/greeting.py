"""The first message after a call: free text inside the window, the same as a template's variables outside."""

import re

from processor.parts import shorten
from processor.texts import Texts
from schemas.events import Template

__all__ = ["greeting", "greeting_template"]

SUMMARY_UNITS = 700  # leaves room for the rest inside one bubble
NAME_UNITS = 60
VARIABLE_UNITS = 200  # Twilio error 63021: a rendered template above 1,024 is refused
BLANKS = re.compile(r"\s+")


def greeting(texts: Texts, name: str | None, summary: str | None) -> str:
    """Hello, what was talked about, and an offer; what is not known is left out."""
    name, summary = _line(name, NAME_UNITS), shorten((summary or "").strip(), SUMMARY_UNITS)
    lines = [texts.hello.format(name=name) if name else texts.hello_stranger]
    if summary:
        lines.append(texts.summary.format(summary=summary))
    return "\n\n".join([*lines, texts.offer])


def greeting_template(sid: str, texts: Texts, name: str | None, summary: str | None) -> Template | None:
    """None without a template. Variables have no line breaks and are never empty (Twilio errors 63013, 63028)."""
    if not sid:
        return None
    variables = {
        "1": _line(name, NAME_UNITS) or texts.stranger,
        "2": _line(summary, VARIABLE_UNITS) or texts.no_summary,
    }
    return Template(content_sid=sid, variables=variables)


def _line(text: str | None, units: int) -> str:
    return shorten(BLANKS.sub(" ", text or "").strip(), units)
