"""What a client sent, in words an agent can read. Pure; a kind nobody knows is named, never dropped."""

import re
from collections.abc import Callable

from schemas.events import MessageReceived

__all__ = ["quoting", "wording"]

Words = Callable[[MessageReceived], str]
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line feed: nobody typed them
LONGEST = 16_000  # characters; WhatsApp's own limit is 4,096, and a document of MongoDB ends at 16 MB
QUOTED = 300  # characters of a message that is replied to


def wording(event: MessageReceived, heard: str | None = None) -> str:
    """Never empty: an agent that is asked nothing answers nothing, and the client waits in vain.

    `heard`: the words of a voice note, where somebody could make them out.
    """
    if heard:
        return heard[:LONGEST]
    worded = CONTROL.sub("", KINDS.get(event.kind, _other)(event)).strip()[:LONGEST]
    return worded or f"[The client sent a message without text: {event.kind}]"


def quoting(words: str, quoted: str | None) -> str:
    """The same, with the message it replies to. What is quoted is data: it cannot end the quotation."""
    if not quoted:
        return words
    short = " ".join(quoted.split()).replace("«", "‹").replace("»", "›")[:QUOTED]
    return f"[In reply to «{short}»] {words}"


def _media(what: str) -> Words:
    def words(event: MessageReceived) -> str:
        return f"[The client sent {what}]" + (f" {event.text}" if event.text.strip() else "")

    return words


def _document(event: MessageReceived) -> str:
    """The text of a document is its file name."""
    return f"[The client sent a document: {event.text.strip() or 'no name'}]"


def _location(event: MessageReceived) -> str:
    place = event.location
    if place is None:
        return "[The client sent a location]"
    named = ", ".join(filter(None, [place.label, place.address]))
    return f"[The client sent a location: {named + ' ' if named else ''}{place.latitude}, {place.longitude}]"


def _button(event: MessageReceived) -> str:
    return event.button.text if event.button and event.button.text else event.text


def _reaction(event: MessageReceived) -> str:
    return f"[The client reacted with {event.text.strip() or 'an emoji'}]"


def _other(event: MessageReceived) -> str:
    if event.media:
        return _media("a file")(event)
    return event.text


KINDS: dict[str, Words] = {
    "text": lambda event: event.text,
    "image": _media("a picture"),
    "audio": _media("a voice note that cannot be heard here; ask kindly to write instead"),
    "video": _media("a video"),
    "sticker": _media("a sticker"),
    "reaction": _reaction,
    "document": _document,
    "contacts": _media("a contact card"),
    "location": _location,
    "interactive": _button,
    "button": _button,
    "list": _button,
}
