"""The people on the other side, under every address they can be reached by."""

import re
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from sandbox.twilio.feed import Feed
from sandbox.twilio.handset import Handset
from sandbox.twilio.wire import external_user_id

ADDRESS = re.compile(r"^whatsapp:(?:\+[1-9]\d{6,14}|[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128})$")


class Traits(BaseModel):
    """What is true of a person."""

    model_config = ConfigDict(extra="forbid")

    profile_name: str = "Ana"
    bsuid: str | None = None
    """Without the channel prefix; derived from the phone when not given."""
    hidden: bool = False
    """Has a username: we only ever see the BSUID."""
    offline: bool = False
    receipts: bool = True
    """False: never tells that it read."""
    not_whatsapp: bool = False
    invalid: bool = False
    blocked: bool = False
    """Blocked us: sends stay `sent` for ever, without an error."""
    experiment: bool = False
    marketing_cap: bool = False
    opted_out: bool = False


@dataclass(slots=True)
class Contact:
    key: str
    bsuid: str
    handset: Handset
    traits: Traits = field(default_factory=Traits)
    windows: dict[str, datetime] = field(default_factory=dict)
    """Our address → when this person last wrote to it."""
    sent_due: float = 0
    delivered_due: float = 0
    """Loop time: WhatsApp keeps the order of one chat even when single delays would not."""
    pair_credit: float | None = None
    pair_seen: float = 0
    auto_replies: deque[float] = field(default_factory=lambda: deque(maxlen=16))

    @property
    def phone(self) -> str | None:
        return self.key.removeprefix("whatsapp:") if self.key.startswith("whatsapp:+") else None

    @property
    def address(self) -> str:
        """What our webhooks see as `From`."""
        return f"whatsapp:{self.bsuid}" if self.traits.hidden else self.key

    def story(self) -> dict[str, object]:
        return {"address": self.key, "bsuid": self.bsuid, **self.traits.model_dump(exclude={"bsuid"})}


class People:
    def __init__(self, keep: int, bubbles: int, feed: Feed) -> None:
        """`feed` gets the events of every handset, each with its `address`."""
        self._keep = keep
        self._bubbles = bubbles
        self._feed = feed
        self._known: OrderedDict[str, Contact] = OrderedDict()
        self._aliases: dict[str, str] = {}

    def __iter__(self) -> Iterator[Contact]:
        return iter(self._known.values())

    def at(self, address: str) -> Contact:
        """The person behind any spelling of an address; a new one if nobody is."""
        key = canonical(address)
        key = self._aliases.get(key, key)
        return self._known.get(key) or self._meet(key)

    def change(self, address: str, **traits: object) -> Contact:
        contact = self.at(address)
        contact.traits = Traits.model_validate({**contact.traits.model_dump(), **traits})
        if contact.traits.bsuid and contact.traits.bsuid != contact.bsuid:
            self._aliases.pop(f"whatsapp:{contact.bsuid}", None)
            contact.bsuid = contact.traits.bsuid
            self._aliases[f"whatsapp:{contact.bsuid}"] = contact.key
        return contact

    def wake(self) -> None:
        for contact in self._known.values():
            contact.handset.wake()

    def _meet(self, key: str) -> Contact:
        bare = key.removeprefix("whatsapp:")
        bsuid = external_user_id(bare) if bare.startswith("+") else bare
        contact = self._known[key] = Contact(key, bsuid, Handset(key, self._bubbles, self._feed.add))
        if not bare.startswith("+"):
            contact.traits.hidden = True
        self._aliases[f"whatsapp:{bsuid}"] = key
        if len(self._known) > self._keep:
            _, gone = self._known.popitem(last=False)
            self._aliases.pop(f"whatsapp:{gone.bsuid}", None)
        return contact


def prefixed(address: str) -> str:
    return address if address.startswith("whatsapp:") else f"whatsapp:{address}"


def canonical(address: str) -> str:
    """One person, one phone: Mexico's, Argentina's and Brazil's second spellings reach the same handset."""
    address = prefixed(address)
    for pattern, replacement in _FOLDS:
        address, changed = pattern.subn(replacement, address)
        if changed:
            break
    return address


_FOLDS = (
    (re.compile(r"^whatsapp:\+521(\d{10})$"), r"whatsapp:+52\1"),
    (re.compile(r"^whatsapp:\+54(?!9)(\d{10})$"), r"whatsapp:+549\1"),
    (re.compile(r"^whatsapp:\+55(\d{2})([6-9]\d{7})$"), r"whatsapp:+55\g<1>9\2"),
)
