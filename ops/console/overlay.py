"""What the log said lately, until the stores have it: a message is shown before anybody has decided about it."""

from collections import OrderedDict
from dataclasses import dataclass, field

from kit import ids
from ops.console.shapes import RANKS, Bubble
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.events import EraseRequested, Event, MessageReceived, OperatorSaid, SendRequested, StatusChanged

__all__ = ["Heard", "Overlay", "Recent"]

CONTACTS, BUBBLES, STATUSES = 2000, 50, 200  # the last ones: what is older, the stores have


@dataclass(frozen=True, slots=True)
class Heard:
    bubble: Bubble
    channel: str | None
    conversation: str | None = None
    """Where it goes, if the record says so."""


@dataclass(slots=True)
class Recent:
    """Of one contact."""

    name: str = ""
    address: str = ""
    heard: dict[str, Heard] = field(default_factory=dict)
    told: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    """Part → the highest status told, and Twilio's code."""


class Overlay:
    def __init__(self) -> None:
        self._recent: OrderedDict[Contact, Recent] = OrderedDict()
        self._opening: OrderedDict[str, Contact] = OrderedDict()

    def of(self, contact: str) -> Recent:
        return self._recent.get(Contact(contact)) or Recent()

    def opening(self, conversation: str) -> Contact | None:
        """Whose first message will open this conversation."""
        return self._opening.get(conversation)

    def absorbed(self, contact: str, stored: set[str]) -> None:
        """The stores have these messages by now."""
        recent = self._recent.get(Contact(contact))
        for name in stored & set(recent.heard if recent else ()):
            assert recent is not None  # noqa: S101
            del recent.heard[name]

    def hear(self, envelope: Envelope[Event]) -> None:
        contact, event = envelope.contact, envelope.data
        if isinstance(event, EraseRequested):
            self._forget(contact)
            return
        recent = self._recent.pop(contact, None) or Recent()
        self._recent[contact] = recent  # the newest stands last
        if isinstance(event, MessageReceived):
            self._received(contact, recent, envelope.id, event)
        elif isinstance(event, OperatorSaid):
            name = ids.part_id(ids.turn_id(contact, envelope.id), 1)
            bubble = Bubble(
                name,
                "operator",
                event.text,
                envelope.time,
                by=event.by,
                purpose="operator",
                mark="waiting",
                stored=False,
            )
            _keep(recent, Heard(bubble, event.channel))
        elif isinstance(event, SendRequested):
            _requested(recent, envelope, event)
        elif isinstance(event, StatusChanged) and event.send_id:
            _told(recent, event.send_id, event)
        while len(self._recent) > CONTACTS:
            self._recent.popitem(last=False)

    def _received(self, contact: Contact, recent: Recent, name: str, event: MessageReceived) -> None:
        recent.name, recent.address = event.profile_name or recent.name, event.address
        text = event.button.text if event.button and event.button.text else event.text
        bubble = Bubble(name, "client", text, event.received_at, event.kind, stored=False)
        _keep(recent, Heard(bubble, event.channel))
        self._opening[ids.conversation_id(contact, event.channel, name)] = contact
        while len(self._opening) > CONTACTS:
            self._opening.popitem(last=False)

    def _forget(self, contact: Contact) -> None:
        self._recent.pop(contact, None)
        self._opening = OrderedDict((name, one) for name, one in self._opening.items() if one != contact)


def _keep(recent: Recent, heard: Heard) -> None:
    recent.heard.setdefault(heard.bubble.id, heard)
    while len(recent.heard) > BUBBLES:
        del recent.heard[next(iter(recent.heard))]


def _requested(recent: Recent, envelope: Envelope[Event], event: SendRequested) -> None:
    by = "operator" if event.purpose == "operator" else "bot"
    for part in event.parts:
        known = recent.heard.pop(part.send_id, None)
        bubble = Bubble(
            part.send_id,
            "operator" if by == "operator" else "bot",
            part.text,
            envelope.time,
            by=known.bubble.by if known else "",
            purpose=event.purpose,
            mark="waiting",
            stored=False,
        )
        _keep(recent, Heard(bubble, event.channel, event.conversation_id))


def _told(recent: Recent, part: str, event: StatusChanged) -> None:
    before = recent.told.get(part, ("", None))
    if RANKS.get(event.status, 0) > RANKS.get(before[0], 0):
        recent.told[part] = (event.status, event.error_code)
    while len(recent.told) > STATUSES:
        del recent.told[next(iter(recent.told))]
