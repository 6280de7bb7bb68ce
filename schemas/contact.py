"""Who a record is about: one canonical address per person.

A *contact* is an E.164 phone with its known double spellings folded, or the business-scoped user id (BSUID) of a
person who hides the number. It is the key of every topic. An *address* is one spelling of it, exactly as WhatsApp or
a caller wrote it; replies go to the address last seen. Facts: Twilio's WhatsApp guide, "usernames and BSUID" (2026).
"""

import re
from typing import Annotated, NewType

from pydantic import AfterValidator, Field

__all__ = [
    "Address",
    "Channel",
    "Contact",
    "UnusableAddress",
    "canonical",
    "parse_address",
    "redact",
    "to_wire",
    "user_key",
]

Contact = NewType("Contact", str)
Address = NewType("Address", str)

PREFIX = "whatsapp:"
PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
BSUID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
SEPARATORS = re.compile(r"[\s().\-\u00a0\u2010-\u2015/]")

# Spellings of one person that are all in use: chatwoot PR #14174 (Mexico), WhatsApp ids without the mobile digit
# (Argentina, Brazil).
FOLDS = (
    (re.compile(r"\+521(\d{10})"), r"+52\1"),
    (re.compile(r"\+54(?!9)(\d{10})"), r"+549\1"),
    (re.compile(r"\+55(\d{2})([6-9]\d{7})"), r"+55\g<1>9\2"),
)


class UnusableAddress(ValueError):
    """Neither an E.164 phone nor a business-scoped user id; the text itself is kept out of the message."""

    def __init__(self) -> None:
        super().__init__("not a phone number in E.164 form (+ and 7 to 15 digits) nor a WhatsApp user id")


def parse_address(text: str) -> Address:
    """The address in `text`, with or without `whatsapp:`; a phone may hold blanks, dots, dashes, brackets or 00.

    Never decides by a numbering plan: inbound `+521…` is real and every plan calls it invalid.
    Raises UnusableAddress.
    """
    bare = text.strip().removeprefix(PREFIX)
    if BSUID.fullmatch(bare):
        return Address(bare)
    phone = SEPARATORS.sub("", bare)
    if phone.startswith("00"):
        phone = f"+{phone[2:]}"
    if PHONE.fullmatch(phone):
        return Address(phone)
    raise UnusableAddress


def canonical(address: Address) -> Contact:
    """The one contact behind any spelling of it. Applying it twice changes nothing."""
    for pattern, replacement in FOLDS:
        if pattern.fullmatch(address):
            return Contact(pattern.sub(replacement, address))
    return Contact(address)


def user_key(text: str) -> str:
    """The contact that a business-scoped user id is by itself; empty for what is no id of theirs."""
    try:
        found = canonical(parse_address(text))
    except UnusableAddress:
        return ""
    return "" if found.startswith("+") else found


def to_wire(address: str) -> str:
    """The form Twilio wants in `To` and `From`."""
    return f"{PREFIX}{address}"


def redact(contact: str) -> str:
    """A form that may stand in a log or on a screen: `+52•••••5678`, `MX.•••••9f3c`."""
    return f"{contact[:3]}•••••{contact[-4:]}" if len(contact) > 8 else "•••••"


def _channel(text: str) -> str:
    if not PHONE.fullmatch(text):
        raise UnusableAddress
    return text


Channel = Annotated[str, AfterValidator(_channel), Field(description="one WhatsApp number of ours, +E164")]
