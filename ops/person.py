"""All that is stored of one person, under one name."""

from dataclasses import dataclass

from kit.reads import Reads
from schemas.contact import Contact
from schemas.documents import (
    CallDocument,
    ContactDocument,
    ConversationDocument,
    MessageDocument,
    SendDocument,
    TurnDocument,
)

__all__ = ["Person", "names", "person"]

ALL = 100_000
SLICE = 500  # turns that are asked for at once


@dataclass(frozen=True, slots=True)
class Person:
    contact: ContactDocument
    conversations: list[ConversationDocument]
    messages: list[MessageDocument]
    calls: list[CallDocument]
    turns: list[TurnDocument]
    sends: list[SendDocument]

    @property
    def counts(self) -> dict[str, int]:
        kinds = ("conversations", "messages", "calls", "turns", "sends")
        return {name: len(getattr(self, name)) for name in kinds}


async def person(reads: Reads, name: str) -> Person | None:
    """None where nobody of this name is stored. Raises StoreDown."""
    contact = await reads.contact(name)
    if contact is None:
        return None
    conversations = (await reads.conversations(name, ALL))[::-1]
    messages = [one for each in conversations for one in await reads.messages(each.id, ALL)]
    turns: list[TurnDocument] = []
    last = contact.seq + 1  # one may be decided and not stored yet
    for since in range(1, last + 1, SLICE):
        turns += await reads.story(name, min(last, since + SLICE - 1), since)
    return Person(contact, conversations, messages, await reads.calls(name), turns, await reads.sends_of(name))


async def names(reads: Reads, asked: Contact) -> list[str]:
    """Under which names this person is stored, the one that all records go to first.

    A user id that was seen before its number was known may have a story of its own.
    """
    main = await reads.linked(asked) or asked
    others = [one for one in await reads.names_of(main) if await reads.contact(one)]
    return [main, *others]
