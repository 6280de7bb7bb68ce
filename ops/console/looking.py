"""Chats and persons, out of the stores and the log's last words together."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from kit import ids
from kit.reads import Reads
from ops.console.overlay import Heard, Overlay, Recent
from ops.console.shapes import Bubble, Chat, Entry, bubble_of, entry_of, with_last
from schemas.contact import Contact
from schemas.documents import ContactDocument, ConversationDocument, MessageDocument

__all__ = ["Looking", "Person"]

PAGE = 60  # messages of a chat at once


@dataclass(frozen=True, slots=True)
class Person:
    """A contact, its newest conversation on each channel, and what the log has on top."""

    contact: str
    about: ContactDocument | None
    conversations: Sequence[ConversationDocument]
    recent: Recent
    opened: str | None = None
    """The conversation that is open, where the stores do not answer."""

    def heard_in(self, conversation: str) -> list[Bubble]:
        return [one.bubble for one in self.recent.heard.values() if self._place(one) == conversation]

    @property
    def places(self) -> list[str]:
        """Every conversation of it, those too that will be opened by what was heard."""
        heard = [place for one in self.recent.heard.values() if (place := self._place(one))]
        return list(dict.fromkeys([*(one.id for one in self.conversations), *heard]))

    def stored(self, conversation: str) -> ConversationDocument | None:
        return next((one for one in self.conversations if one.id == conversation), None)

    def _place(self, heard: Heard) -> str | None:
        if heard.conversation or self.opened:
            return heard.conversation or self.opened
        channel = heard.channel or (self.about.channel if self.about else None)
        opened = [one for one in self.conversations if one.channel == channel and one.status != "closed"]
        if opened:
            return opened[0].id
        first = next((one for one in self.recent.heard.values() if one.channel == channel), None)
        return ids.conversation_id(Contact(self.contact), channel, first.bubble.id) if first and channel else None

    def channel_of(self, conversation: str) -> str:
        stored = self.stored(conversation)
        if stored:
            return stored.channel
        heard = [one.channel for one in self.recent.heard.values() if self._place(one) == conversation]
        return next((one for one in heard if one), "")

    def entry(self, conversation: str, known: Entry | None = None) -> Entry | None:
        """`known`: as the list has it, for when the stores do not answer."""
        last = max(self.heard_in(conversation), key=lambda one: one.order, default=None)
        stored = self.stored(conversation)
        name = (self.about.name if self.about else "") or self.recent.name
        if stored:
            return entry_of(stored, name, last if last and last.at >= stored.last_message_at else None)
        if last is None:
            return None
        if known:
            return with_last(known, last)
        return Entry(conversation, self.contact, "active", name, last.text[:160], last.side, last.at, self.contact)


class Looking:
    """Every method raises StoreDown while MongoDB is away."""

    def __init__(self, reads: Reads, overlay: Overlay) -> None:
        self._reads = reads
        self._overlay = overlay

    async def person(self, contact: str) -> Person:
        about = await self._reads.contact(contact)
        if about is None and (linked := await self._reads.linked(contact)):
            contact, about = linked, await self._reads.contact(linked)
        known = list(about.last_conversations.values()) if about else []
        found = await self._reads.conversations_with(known) if known else []
        return Person(contact, about, found, self._overlay.of(contact))

    def settled(self, person: Person) -> None:
        """Nobody reads it: what its conversations remember is stored, for messages are stored before them."""
        self._overlay.absorbed(person.contact, {line.id for one in person.conversations for line in one.lines})

    def heard(self, contact: str, opened: str | None) -> Person:
        """Without the stores."""
        return Person(contact, None, (), self._overlay.of(contact), opened)

    async def recent(self, person: Person, conversation: str) -> list[Bubble]:
        """The last bubbles, by look-ups that an index answers; those that the log has on top."""
        stored = person.stored(conversation)
        names = [line.id for line in stored.lines] if stored else []
        messages = [one for one in await self._reads.messages_with(names) if one.conversation_id == conversation]
        return await self._bubbles(person, conversation, messages)

    async def chat(self, conversation: str, limit: int = PAGE) -> Chat | None:
        """Whole, as far as one page goes. None where neither stores nor log know it."""
        stored = await self._reads.conversation(conversation)
        contact = stored.contact if stored else self._overlay.opening(conversation)
        if contact is None:
            return None
        person = await self.person(contact)
        stored = stored or person.stored(conversation)  # by now, perhaps
        if stored is None and conversation not in person.places:
            return None
        if stored and person.stored(conversation) is None:
            person = Person(person.contact, person.about, [*person.conversations, stored], person.recent)
        messages = await self._reads.messages(conversation, limit + 1) if stored else []
        more, messages = len(messages) > limit, messages[-limit:]
        turns = await self._reads.turns_with(sorted({one.id.rpartition("-")[0] for one in messages if _ours(one)}))
        bubbles = await self._bubbles(person, conversation, messages)
        return Chat(
            id=conversation,
            contact=person.contact,
            channel=person.channel_of(conversation),
            name=(stored.client_name if stored else "")
            or (person.about.name if person.about else "")
            or person.recent.name
            or "",
            status=stored.status if stored else "active",
            bubbles=bubbles,
            conversation=stored,
            about=person.about,
            more=more,
            turns=turns,
        )

    async def _bubbles(self, person: Person, conversation: str, messages: Sequence[MessageDocument]) -> list[Bubble]:
        names = [one.id for one in messages if _ours(one)]
        sends, turns = await asyncio.gather(
            self._reads.sends(names), self._reads.turns_with(sorted({one.rpartition("-")[0] for one in names}))
        )
        told = person.recent.told
        known = {turn.id: turn for turn in turns}
        shown = [bubble_of(one, sends, told, known) for one in messages]
        self._overlay.absorbed(person.contact, {one.id for one in messages})
        shown += person.heard_in(conversation)
        return sorted(shown, key=lambda one: one.order)


def _ours(message: MessageDocument) -> bool:
    return message.direction == "outbound"
