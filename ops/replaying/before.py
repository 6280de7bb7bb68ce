"""How a contact stood before the first turn that is told again."""

from collections.abc import Sequence
from typing import Any

from kit import ids
from kit.reads import Reads
from schemas.contact import user_key
from schemas.documents import ContactDocument, Document, SendDocument, TurnDocument
from schemas.replay import Person, Seen

__all__ = ["before", "turns_between"]

SLICE = 500  # turns that are asked for at once
MOST_CONVERSATIONS = 1000
Documents = dict[str, list[dict[str, Any]]]


async def before(reads: Reads, contact: str, turns: Sequence[TurnDocument]) -> Person:
    """Before the first of `turns`; as it stands now where there are none. Raises StoreDown."""
    now = await reads.contact(contact)
    first = turns[0].seq if turns else (now.seq if now else 0) + 1
    former = await reads.turn_at(contact, first - 1) if first > 1 else None
    sends = [_seen(one) for one in await reads.sends_of(contact)]
    named = await _named(reads, now) if now else []
    if former is None:
        erased = await _erased(reads, contact, first)
        return Person(contact=contact, documents={"contacts": [*erased, *named]}, sends=sends)
    person = ContactDocument.from_mongo(former.contact_after)
    documents = await _others(reads, person, former)
    return Person(contact=contact, documents={"contacts": [_plain(person), *named], **documents}, sends=sends)


async def turns_between(reads: Reads, contact: str, since: int, until: int) -> list[TurnDocument]:
    found: list[TurnDocument] = []
    for start in range(since, until + 1, SLICE):
        found += await reads.story(contact, min(until, start + SLICE - 1), start)
    return found


async def _erased(reads: Reads, contact: str, first: int) -> list[dict[str, Any]]:
    """Who was erased and wrote again goes on above the place of the erasure."""
    stone = await reads.contact(ids.erased_id(contact))
    return [_plain(stone)] if stone and stone.seq < first else []


async def _named(reads: Reads, now: ContactDocument) -> list[dict[str, Any]]:
    """What stands under this person's ids: the turn that learned of them looked at it, and it hardly changes since."""
    if not now.id.startswith("+"):
        return []
    ids_of = dict.fromkeys(map(user_key, (*now.user_ids, now.user_id or "")))
    stored = [await reads.contact(one) for one in ids_of if one]
    return [_plain(one) for one in stored if one]


async def _others(reads: Reads, person: ContactDocument, former: TurnDocument) -> Documents:
    """What no later turn has touched stands as it stood; the rest is in the turns that touched it last before."""
    conversations = await reads.conversations(person.id, MOST_CONVERSATIONS)
    calls = await reads.calls(person.id)
    found: Documents = {
        "conversations": [_plain(one) for one in conversations if one.seq <= former.seq],
        "calls": [_plain(one) for one in calls if one.seq <= former.seq],
    }
    changed = {one.id for one in conversations if one.seq > former.seq and one.started_at <= former.decided_at}
    changed |= {one.id for one in calls if one.seq > former.seq and one.at <= former.decided_at}
    until = former.seq
    while changed and until > 0:
        since = max(1, until - SLICE + 1)
        for turn in reversed(await reads.story(person.id, until, since)):
            for name, after in (("conversations", turn.conversation_after), ("calls", turn.call)):
                if after and after["_id"] in changed:
                    changed.discard(after["_id"])
                    found[name].append(after)
        until = since - 1
    return found


def _plain(document: Document) -> dict[str, Any]:
    return document.to_mongo()


def _seen(send: SendDocument) -> Seen:
    return Seen(id=send.id, state=send.state, status=send.status, sid=send.sid, at=send.updated_at)
