"""Values into HTML. Everything is escaped by the templates; numbers are masked here, before they get there."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from kit.clock import Clock
from ops.console.looking import Person
from ops.console.pending import Ask
from ops.console.reveals import Reveals
from ops.console.sessions import Session
from ops.console.shapes import SECTIONS, Bubble, Entry, Section
from ops.console.texts import saying
from ops.console.texts.en import EN
from ops.console.wording import cause_in_words, outcome_in_words
from ops.masking import Masking
from schemas.contact import redact
from schemas.documents import ContactDocument

__all__ = ["Pages", "masking"]

HERE = Path(__file__).parent


class Reader(Protocol):
    """Who looks: what a page may show depends on it."""

    @property
    def session(self) -> Session: ...
    @property
    def language(self) -> str: ...


class Pages:
    def __init__(self, clock: Clock, reveals: Reveals) -> None:
        self._clock = clock
        self.reveals = reveals
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {"iso": _iso, "hm": _hm, "day": _day, "redact": redact}
        self._environment.globals |= {"sections": SECTIONS, "why": _why, "left": _left, "texts": EN}
        self._environment.globals |= {"cause": cause_in_words, "outcome": outcome_in_words}
        self._parts = cache(self._module)

    def page(self, template: str, language: str, /, **values: Any) -> str:
        return self._environment.get_template(template).render(**self._common(language), **values)

    def banner(self, language: str, *, kafka: bool, store: bool) -> str:
        return self._part(language, "banner", kafka, store)

    def counts(self, language: str, counts: Mapping[Section, int]) -> dict[str, str]:
        return {f"count-{one}": self._part(language, "count", one, counts[one]) for one in SECTIONS}

    def entries(self, reader: Reader, entries: Sequence[Entry]) -> dict[str, str]:
        return {f"entry-{one.id}": self._part(reader.language, "entry", one, entry_masking(one)) for one in entries}

    def chat_parts(
        self,
        reader: Reader,
        person: Person,
        conversation: str,
        bubbles: Sequence[Bubble],
        asks: Sequence[Ask],
    ) -> dict[str, str]:
        mask = masking(person.contact, person.about, reveal=self.reveals.open(reader.session, person.contact))
        stored, part = person.stored(conversation), reader.language
        patches = {f"bubble-{one.id}": self._part(part, "bubble", one, conversation, mask) for one in bubbles}
        patches["chat-asks"] = self._part(part, "asks", asks)
        if stored and person.about:
            waits = stored.status == "escalated" and bool(bubbles) and bubbles[-1].side == "client"
            until = person.about.windows.get(stored.channel)
            opted_out = person.about.opted_out
            now = self._clock.now()
            patches["chat-status"] = self._part(part, "status", stored.status, waits, opted_out)
            patches["chat-window"] = self._part(part, "window", until, now)
            patches["chat-actions"] = self._part(part, "actions", conversation, stored.status, asks)
            patches["chat-hint"] = self._part(part, "hint", stored.status, until, now, opted_out)
        return patches

    def asks(self, language: str, asks: Sequence[Ask], failed: str = "") -> str:
        return self._part(language, "asks", asks, failed)

    def gone(self, element: str) -> str:
        return f'<i id="{element}" data-gone></i>'

    def _part(self, language: str, macro: str, *values: Any) -> str:
        return str(getattr(self._parts(language), macro)(*values))

    def _module(self, language: str) -> Any:
        return self._environment.get_template("parts.html").make_module(self._common(language))

    def _common(self, language: str) -> dict[str, Any]:
        return {"t": saying(language), "lang": language, "now": self._clock.now()}


def masking(contact: str, about: ContactDocument | None, *, reveal: bool) -> Masking:
    """For everything that is told of one contact, texts of people included."""
    known = [about.address, about.user_id, *about.user_ids, *about.addresses] if about else []
    return Masking(contact, *(one for one in known if one), reveal=reveal)


def entry_masking(entry: Entry) -> Masking:
    return Masking(entry.contact, entry.number, reveal=False)


def _iso(moment: datetime | str | None) -> str:
    return moment if isinstance(moment, str) else moment.isoformat() if moment else ""


def _hm(moment: datetime | str | None) -> str:
    """UTC; the page's script puts it into the reader's own time."""
    return _iso(moment)[11:16]


def _day(moment: datetime | str | None) -> str:
    return _iso(moment)[:10]


@pass_context
def _why(context: Context, bubble: Bubble) -> str:
    """Why it was not shown, in words, and Twilio's own number for it."""
    say = context["t"]
    key = f"why.{bubble.why}"
    words = [say(key) if key in EN else bubble.why] if bubble.why else []
    if bubble.code:
        known = f"code.{bubble.code}"
        words += [say(known)] if known in EN else []
        words.append(say("why.code", code=bubble.code))
    return "; ".join(words)


@pass_context
def _left(context: Context, until: datetime, now: datetime) -> str:
    minutes = max(0, int((until - now).total_seconds() // 60))
    say = context["t"]
    return str(say("window.h", h=minutes // 60, m=minutes % 60) if minutes >= 60 else say("window.m", m=minutes))
