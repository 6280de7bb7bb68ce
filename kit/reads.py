"""Reading the stores from outside their writer: commands, the ingress' read routes, the janitor."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kit.ids import LINK, fence_id, link_id
from kit.mongo import Database, store_errors
from schemas.documents import (
    CallDocument,
    ContactDocument,
    ConversationDocument,
    FenceDocument,
    MessageDocument,
    SendDocument,
    TurnDocument,
)

__all__ = ["Reads"]

OPEN = {"open_key": {"$exists": True}}
"""Answered from the sparse index, which holds open conversations only."""
UNDONE = {"undone": {"$regex": "^"}}
"""Any: of comparisons the embedded server answers only this one from an index, and that holds unfinished turns only."""
# Each field by name: the embedded server takes a projection with `$slice` alone for a choice of that one field.
SUMMARY: dict[str, Any] = dict.fromkeys(ConversationDocument.model_fields, 1) | {"lines": {"$slice": -1}}
del SUMMARY["id"]
MANY = 20_000  # documents in one answer: the embedded server pays for each further one as for the first


class Reads:
    """Every method raises StoreDown while MongoDB is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def contact(self, contact: str) -> ContactDocument | None:
        with store_errors():
            found = await self._database.contacts.find_one({"_id": contact})
        return ContactDocument.from_mongo(found) if found else None

    async def conversations(self, contact: str, limit: int = 20) -> list[ConversationDocument]:
        """Newest first."""
        with store_errors():
            cursor = self._database.conversations.find({"contact": contact}).sort("started_at", -1).limit(limit)
            return [ConversationDocument.from_mongo(one) async for one in cursor]

    async def conversation(self, conversation: str) -> ConversationDocument | None:
        with store_errors():
            found = await self._database.conversations.find_one({"_id": conversation})
        return ConversationDocument.from_mongo(found) if found else None

    async def open_ones(self, limit: int) -> list[ConversationDocument]:
        """Everybody's open conversations, in no order, each with its last line only."""
        with store_errors():
            cursor = self._database.conversations.find(OPEN, SUMMARY, batch_size=MANY).limit(limit)
            return [ConversationDocument.from_mongo(one) async for one in cursor]

    async def closed_ones(self, limit: int) -> list[ConversationDocument]:
        """Newest first, each with its last line only."""
        with store_errors():
            cursor = self._database.conversations.find({"status": "closed"}, SUMMARY, batch_size=MANY)
            found = await cursor.sort("last_message_at", -1).limit(limit).to_list(None)
        return [ConversationDocument.from_mongo(one) for one in found]

    async def conversations_with(self, ids: list[str]) -> list[ConversationDocument]:
        with store_errors():
            cursor = self._database.conversations.find({"_id": {"$in": ids}})
            return [ConversationDocument.from_mongo(one) async for one in cursor]

    async def named(self, contacts: list[str]) -> dict[str, str]:
        """What these contacts call themselves, as far as it is known."""
        with store_errors():
            cursor = self._database.contacts.find({"_id": {"$in": contacts}}, {"name": 1})
            return {one["_id"]: one["name"] async for one in cursor if one.get("name")}

    async def messages_with(self, ids: list[str]) -> list[MessageDocument]:
        with store_errors():
            cursor = self._database.messages.find({"_id": {"$in": ids}})
            return [MessageDocument.from_mongo(one) async for one in cursor]

    async def messages(self, conversation: str, limit: int = 50) -> list[MessageDocument]:
        """The last ones, oldest first."""
        with store_errors():
            cursor = (
                self._database.messages.find({"conversation_id": conversation})
                .sort([("timestamp", -1), ("_id", -1)])
                .limit(limit)
            )
            return [MessageDocument.from_mongo(one) async for one in cursor][::-1]

    async def turns(self, events: list[str]) -> list[TurnDocument]:
        with store_errors():
            cursor = self._database.turns.find({"events": {"$in": events}})
            return [TurnDocument.from_mongo(one) async for one in cursor]

    async def finished(self, event: str) -> TurnDocument | None:
        """The turn of this event, once all that follows from it is published."""
        return next((turn for turn in await self.turns([event]) if turn.done), None)

    async def turn(self, turn: str) -> TurnDocument | None:
        with store_errors():
            found = await self._database.turns.find_one({"_id": turn})
        return TurnDocument.from_mongo(found) if found else None

    async def turns_with(self, ids: list[str]) -> list[TurnDocument]:
        with store_errors():
            cursor = self._database.turns.find({"_id": {"$in": ids}})
            return [TurnDocument.from_mongo(one) async for one in cursor]

    async def turn_at(self, contact: str, seq: int) -> TurnDocument | None:
        """The turn at this place in the contact's story."""
        with store_errors():
            found = await self._database.turns.find_one({"slot": f"{contact}#{seq}"})
        return TurnDocument.from_mongo(found) if found else None

    async def decided(self, events: list[str]) -> set[str]:
        """Those of `events` that a turn covers."""
        with store_errors():
            cursor = self._database.turns.find({"events": {"$in": events}}, {"events": 1}, batch_size=MANY)
            return {event async for one in cursor for event in one["events"]} & set(events)

    async def sends(self, ids: list[str]) -> dict[str, SendDocument]:
        with store_errors():
            cursor = self._database.sends.find({"_id": {"$in": ids}})
            return {one["_id"]: SendDocument.from_mongo(one) async for one in cursor}

    async def send_with(self, sid: str) -> SendDocument | None:
        """The part that Twilio gave this SID."""
        with store_errors():
            found = await self._database.sends.find_one({"sid": sid})
        return SendDocument.from_mongo(found) if found else None

    async def confirmed(self, contact: str) -> FenceDocument | None:
        """The sender's fence of a contact, and which take-overs it has confirmed."""
        with store_errors():
            found = await self._database.sends.find_one({"_id": fence_id(contact)})
        return FenceDocument.from_mongo(found) if found else None

    async def idle_since(self, moment: datetime) -> list[ConversationDocument]:
        """Open conversations, escalated ones too, in which nothing happened since `moment`."""
        with store_errors():
            cursor = self._database.conversations.find({**OPEN, "last_message_at": {"$lt": moment}})
            return [ConversationDocument.from_mongo(one) async for one in cursor]

    async def open_twice(self, limit: int) -> list[str]:
        """Contacts with two open conversations on one channel: the unique index would have to be gone."""
        group = {"_id": {"contact": "$contact", "channel": "$channel"}, "count": {"$sum": 1}}
        stages: list[dict[str, Any]] = [
            {"$match": OPEN},
            {"$group": group},
            {"$match": {"count": {"$gt": 1}}},
            {"$limit": limit},
        ]
        with store_errors():
            found = await self._database.conversations.aggregate(stages).to_list(None)
        return [one["_id"]["contact"] for one in found]

    async def unfinished_turns(self, before: datetime, limit: int) -> list[str]:
        """Ids of turns that were decided before, and not all that follows from them is stored and published."""
        with store_errors():
            cursor = self._database.turns.find(UNDONE, {"undone": 1}, batch_size=MANY).limit(MANY)
            undone = sorted([one["undone"].partition("#") async for one in cursor])
        return [turn for since, _, turn in undone if datetime.fromisoformat(since) < before][:limit]

    async def without_row(self, parts: Sequence[str]) -> list[str]:
        """Those of these parts that the sender has no row for."""
        with store_errors():
            cursor = self._database.sends.find({"_id": {"$in": list(parts)}}, {"_id": 1}, batch_size=MANY)
            known = {one["_id"] async for one in cursor}
        return [part for part in parts if part not in known]

    async def unattended(self, before: datetime, limit: int) -> list[str]:
        """Ids of taken-over conversations whose client has waited for a person since before that moment."""
        query = {**OPEN, "status": "escalated", "last_message_at": {"$lt": before}}
        with store_errors():
            found = [ConversationDocument.from_mongo(one) async for one in self._database.conversations.find(query)]
        return [one.id for one in found if one.lines and one.lines[-1].role == "client"][:limit]

    async def names_of(self, contact: str) -> list[str]:
        """User ids whose records go to this contact's story."""
        with store_errors():
            found = await self._database.contacts.find({"linked_to": contact}, {"_id": 1}).to_list(None)
        return sorted(one["_id"].removeprefix(LINK) for one in found)

    async def linked(self, user_id: str) -> str | None:
        """The contact whose story this user id's records go to."""
        with store_errors():
            found = await self._database.contacts.find_one({"_id": link_id(user_id)})
        return found["linked_to"] if found else None

    async def calls(self, contact: str) -> list[CallDocument]:
        with store_errors():
            found = await self._database.calls.find({"contact": contact}).to_list(None)
        return sorted((CallDocument.from_mongo(one) for one in found), key=lambda one: one.at)

    async def story(self, contact: str, until: int, since: int = 1) -> list[TurnDocument]:
        """Turns by their places in the contact's story, from `since` to `until`."""
        slots = [f"{contact}#{seq}" for seq in range(since, until + 1)]
        with store_errors():
            found = await self._database.turns.find({"slot": {"$in": slots}}).to_list(None)
        return sorted((TurnDocument.from_mongo(one) for one in found), key=lambda one: one.seq)

    async def sends_of(self, contact: str) -> list[SendDocument]:
        with store_errors():
            found = await self._database.sends.find({"contact": contact}).to_list(None)
        return sorted((SendDocument.from_mongo(one) for one in found), key=lambda one: (one.seq, one.id))
