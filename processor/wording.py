"""What a client sent, in words an agent can read. Pure; a kind nobody knows is named, never dropped."""

from collections.abc import Callable

from schemas.events import MessageReceived

__all__ = ["wording"]

Words = Callable[[MessageReceived], str]


def wording(event: MessageReceived) -> str:
    """Never empty: an agent that is asked nothing answers nothing, and the client waits in vain."""
    worded = KINDS.get(event.kind, _other)(event).strip()
    return worded or f"[The client sent a message without text: {event.kind}]"


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
    "document": _document,
    "contacts": _media("a contact card"),
    "location": _location,
    "interactive": _button,
    "button": _button,
    "list": _button,
}
