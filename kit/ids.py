"""Ids that two processes compute alike. All match `[A-Za-z0-9_-]+`, so they may stand in a URL's query unescaped."""

import hashlib

from schemas.contact import Contact
from schemas.events import CallCompleted, CallFacts

__all__ = [
    "LINK",
    "call_id",
    "close_id",
    "conversation_id",
    "digest",
    "erased_id",
    "fence_id",
    "fingerprint",
    "halt_id",
    "link_id",
    "part_id",
    "turn_id",
]

LINK = "link_"


def fingerprint(*parts: str) -> str:
    """96 bits over `parts`, as 24 hex digits. Parts are length-prefixed: no two lists collide by joining."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part.encode())
    return digest.hexdigest()


def call_id(contact: Contact, call: CallCompleted | CallFacts) -> str:
    """The same for a call whichever way, and however often, it is told."""
    if call.conversation_id:
        return f"call_{fingerprint(contact, call.conversation_id)}"
    content = call.model_dump_json(exclude={"phone_number"})  # the contact stands for every spelling of it
    return f"call_{fingerprint(contact, '', content)}"


def turn_id(contact: Contact, first_event: str) -> str:
    return f"turn_{fingerprint(contact, first_event)}"


def part_id(turn: str, number: int) -> str:
    return f"{turn}-{number}"


def conversation_id(contact: Contact, channel: str, opening_event: str) -> str:
    return f"conv_{fingerprint(contact, channel, opening_event)}"


def close_id(conversation: str, last_seen: str) -> str:
    """Several janitors that saw the same thing ask for one closing."""
    return f"close_{fingerprint(conversation, last_seen)}"


def digest(text: str) -> str:
    """Of what must be recognised again and not be readable."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def fence_id(contact: str) -> str:
    """Of the contact's fence in `sends`."""
    return f"fence_{digest(contact)}"


def halt_id(channel: str) -> str:
    """Of the row in `sends` that says a number cannot send."""
    return f"halt_{digest(channel)}"


def link_id(user_id: str) -> str:
    """Of the row in `contacts` that says whose story a user id's records go to."""
    return f"{LINK}{user_id}"


def erased_id(contact: str) -> str:
    """What a contact is called after its erasure."""
    return f"erased_{digest(contact)}"
