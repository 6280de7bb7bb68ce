"""The processor's collections. One insert decides; everything else here can be repeated with the same result."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import BulkWriteError, DuplicateKeyError

from kit import ids
from kit.mongo import Database, store_errors
from processor import erasing
from processor.conversation import State
from schemas.contact import Contact
from schemas.documents import CallDocument, ContactDocument, ConversationDocument, MessageDocument, TurnDocument

__all__ = ["AlreadyDecided", "Repository"]

DUPLICATE = 11000
Collection = AsyncIOMotorCollection[dict[str, Any]]


class AlreadyDecided(Exception):
    """Another turn has one of these events, or this place in the contact's story. Read, finish it, start again."""


class Repository:
    """Every method raises StoreDown while MongoDB is away; then nobody knows whether a write happened."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def turns_with(self, events: Sequence[str]) -> list[TurnDocument]:
        """In the order in which they were decided."""
        with store_errors():
            found = await self._database.turns.find({"events": {"$in": list(events)}}).to_list(None)
        return sorted((TurnDocument.from_mongo(one) for one in found), key=lambda one: one.seq)

    async def turn_at(self, slot: str) -> TurnDocument | None:
        with store_errors():
            found = await self._database.turns.find_one({"slot": slot})
        return TurnDocument.from_mongo(found) if found else None

    async def contact(self, contact: str) -> ContactDocument:
        return (await self.person(contact, ()))[0]

    async def person(self, contact: str, names: Sequence[str]) -> tuple[ContactDocument, list[ContactDocument]]:
        """The contact, and what is stored under other `names` of theirs, unless that story went on elsewhere.

        Somebody unknown may have been erased: their story goes on at its place, above the fence. One look for all, in
        the order of their ids: `erase` writes the tombstone first, so it has to be read last.
        """
        stone, links = ids.erased_id(contact), {name: ids.link_id(name) for name in names}
        wanted = [contact, stone, *links, *links.values()]
        with store_errors():
            cursor = self._database.contacts.find({"_id": {"$in": wanted}}).sort("_id", 1)
            found = {one["_id"]: one async for one in cursor}
        here = [name for name, link in links.items() if link not in found or found[link]["linked_to"] == contact]
        others = [ContactDocument.from_mongo(found[name]) for name in here if name in found]
        if contact in found:
            return ContactDocument.from_mongo(found[contact]), others
        place = found[stone]["seq"] if stone in found else 0
        return ContactDocument(id=contact, seq=place, fence=place), others

    async def open_conversation(self, contact: str, channel: str) -> ConversationDocument | None:
        with store_errors():
            found = await self._database.conversations.find_one({"open_key": f"{contact}|{channel}"})
        return ConversationDocument.from_mongo(found) if found else None

    async def conversation(self, conversation: str) -> ConversationDocument | None:
        with store_errors():
            found = await self._database.conversations.find_one({"_id": conversation})
        return ConversationDocument.from_mongo(found) if found else None

    async def call(self, call: str | None) -> CallDocument | None:
        if call is None:
            return None
        with store_errors():
            found = await self._database.calls.find_one({"_id": call})
        return CallDocument.from_mongo(found) if found else None

    async def message(self, message: str) -> MessageDocument | None:
        with store_errors():
            found = await self._database.messages.find_one({"_id": message})
        return MessageDocument.from_mongo(found) if found else None

    async def state(self, contact: ContactDocument, channel: str) -> State:
        """`contact` must be read first: the turn's place is taken from it, so a later change makes `decide` fail."""
        if not contact.rev:
            return State(contact, None, None, None)  # a turn that is half stored has the place, and `decide` says so
        conversation = await self.open_conversation(contact.id, channel)
        last = contact.last_conversations.get(channel)
        former = await self.conversation(last) if conversation is None and last else None
        return State(contact, conversation, await self.call(contact.last_call), former)

    async def linked(self, user_id: str) -> str | None:
        """The contact whose story this user id's records belong to."""
        with store_errors():
            found = await self._database.contacts.find_one({"_id": ids.link_id(user_id)})
        return found["linked_to"] if found else None

    async def link(self, user_id: str, contact: str) -> None:
        """The last link counts: who changes the number gets another id."""
        name = ids.link_id(user_id)
        with store_errors():
            await self._database.contacts.update_one(
                {"_id": name}, {"$set": {"linked_to": contact, "rev": name}}, upsert=True
            )

    async def decide(self, turn: TurnDocument) -> None:
        """The decision. Raises AlreadyDecided."""
        try:
            with store_errors():
                await self._database.turns.insert_one(turn.to_mongo())
        except DuplicateKeyError:
            raise AlreadyDecided from None

    async def project(self, turn: TurnDocument) -> None:
        """Store what follows from a turn. The contact comes last: its `seq` says that all of the turn is stored."""
        await self._insert_missing(self._database.messages, turn.messages)
        if turn.call:
            await self._advance(self._database.calls, turn.call, new=True)
        if conversation := turn.conversation_after:
            opened = ids.conversation_id(Contact(turn.contact), conversation["channel"], turn.events[0])
            await self._advance(self._database.conversations, conversation, new=conversation["_id"] == opened)
        await self._advance(self._database.contacts, turn.contact_after, new=turn.seq == 1)

    async def mark_done(self, turn: TurnDocument) -> None:
        """Who slept through an erasure takes back what it has stored since."""
        with store_errors():
            result = await self._database.turns.update_one(
                {"rev": f"{turn.id}#decided"},
                {"$set": {"done": True, "rev": f"{turn.id}#done"}, "$unset": {"undone": ""}},
            )
            if not result.modified_count and await self._database.turns.find_one({"rev": f"{turn.id}#erased"}):
                await self._take_back(turn)

    async def _take_back(self, turn: TurnDocument) -> None:
        """By `rev`: whoever was erased may have written again, and that is another story."""
        for name in [one["_id"] for one in turn.messages]:
            await self._database.messages.delete_one({"_id": name})
        stored = (
            (self._database.calls, turn.call),
            (self._database.conversations, turn.conversation_after),
            (self._database.contacts, turn.contact_after),
        )
        for collection, after in stored:
            if after:
                await collection.delete_one({"rev": after["rev"]})

    async def erase(self, turn: TurnDocument) -> None:
        """Everything of this contact up to this turn, which becomes done with it. Can be repeated at any line."""
        stone = erasing.tombstone(turn.contact, turn.seq).to_mongo()
        mine = {"contact": turn.contact}
        with store_errors():
            await self._database.contacts.replace_one({"_id": stone["_id"]}, stone, upsert=True)
            names = [one["_id"] async for one in self._database.conversations.find(mine, {"_id": 1})]
            for name in names:
                await self._database.messages.delete_many({"conversation_id": name})
            await self._database.conversations.delete_many(mine)
            await self._database.calls.delete_many(mine)
            await self._database.contacts.delete_many({"linked_to": turn.contact})
            await self._database.contacts.delete_one({"_id": turn.contact})
            slots = [f"{turn.contact}#{seq}" for seq in range(1, turn.seq + 1)]
            async for one in self._database.turns.find({"slot": {"$in": slots}}).sort("seq", 1):
                row = erasing.stripped(TurnDocument.from_mongo(one)).to_mongo()
                await self._database.turns.replace_one({"_id": row["_id"]}, row)  # this very turn comes last

    async def _advance(self, collection: Collection, after: Mapping[str, Any], *, new: bool) -> None:
        """Replace a document by a later one; a document that is already as late, or later, stays as it is.

        What is there is guessed: nothing, or what the turn before left behind. Only a wrong guess costs a look.
        """
        former = f"{after['_id']}#{after['seq'] - 1}"
        with store_errors(), suppress(DuplicateKeyError):
            if new:
                await collection.insert_one(dict(after))
                return
            if (await collection.replace_one({"rev": former}, dict(after))).modified_count:
                return
        await self._catch_up(collection, dict(after))

    async def _catch_up(self, collection: Collection, after: dict[str, Any]) -> None:
        clash = ""
        with store_errors():
            while True:
                current = await collection.find_one({"_id": after["_id"]}, {"seq": 1, "rev": 1})
                if current is not None and current["seq"] >= after["seq"]:
                    return
                rev = current["rev"] if current else "none"
                try:
                    if current is None:
                        await collection.insert_one(dict(after))
                        return
                    if (await collection.replace_one({"rev": rev}, dict(after))).modified_count:
                        return
                except DuplicateKeyError:
                    if clash == rev:  # not a race: another conversation has its place by now
                        after.pop("open_key", None)
                    clash = rev  # else somebody was faster: look again

    async def _insert_missing(self, collection: Collection, documents: Sequence[Mapping[str, Any]]) -> None:
        if not documents:
            return
        try:
            with store_errors():
                await collection.insert_many([dict(one) for one in documents], ordered=False)
        except BulkWriteError as error:
            if any(fault["code"] != DUPLICATE for fault in error.details["writeErrors"]):
                raise
