"""One person, two names: a number and a business-scoped user id, once seen together, are one story.

WhatsApp lets people hide their number; then Twilio names them by that id (Twilio's WhatsApp guide, "usernames and
BSUID", 2026). Records of the id go on to the number's lane under the same event id, so each still ends in exactly one
turn. Order across the two is promised from the moment the link is known.
"""

from collections.abc import Sequence
from dataclasses import replace

from kit.kafka.delivery import Delivery
from kit.kafka.outlet import Outlet
from kit.logs import get_log
from processor.repository import Repository
from schemas.attributes import Envelope
from schemas.contact import Contact, user_key
from schemas.documents import ContactDocument
from schemas.events import CloseRequested, Event, MessageReceived
from schemas.topics import CONTACT_LOG

__all__ = ["Links", "seen_as", "unknown"]


class Links:
    def __init__(self, repository: Repository, outlet: Outlet) -> None:
        self._repository = repository
        self._outlet = outlet
        self._log = get_log("links")

    async def forwarded(self, fresh: Sequence[Delivery]) -> bool:
        """Send a linked contact's records to the story they belong to. Raises BrokerDown, StoreDown; repeat at will.

        A close request stays: it is about a conversation that was opened under this name.
        """
        first = fresh[0].envelope
        if first.contact.startswith("+") or isinstance(first.data, CloseRequested):
            return False
        target = await self._repository.linked(first.contact)
        if target is None:
            return False
        for delivery in fresh:
            await self._outlet.publish(CONTACT_LOG.name, replace(delivery.envelope, contact=Contact(target)))
        self._log.info("forwarded", contact=target, events=len(fresh))
        return True

    async def learn(
        self, contact: ContactDocument, records: Sequence[Envelope[Event]], others: Sequence[ContactDocument]
    ) -> ContactDocument:
        """Keep links that the contact does not know yet. The turn that follows remembers the ids with the contact.

        `others` is what is stored under the ids: what silences the bot for a person does so under each of their names.
        Whatever undoes it later counts for all of them: from the link on their records are one story.
        """
        new = unknown(contact, records)
        for user_id in sorted(new):
            await self._repository.link(user_id, contact.id)
        silenced = [one for one in others if one.id in new]
        silent = {
            "escalated": contact.escalated or any(one.escalated for one in silenced),
            "opted_out": contact.opted_out or any(one.opted_out for one in silenced),
        }
        return contact.model_copy(update=silent) if silenced else contact


def seen_as(records: Sequence[Envelope[Event]]) -> list[str]:
    """The user ids that come with these records of a number."""
    if not records[0].contact.startswith("+"):
        return []
    messages = [one.data for one in records if isinstance(one.data, MessageReceived)]
    return sorted({user_key(one.user_id or "") for one in messages} - {""})


def unknown(contact: ContactDocument, records: Sequence[Envelope[Event]]) -> set[str]:
    """Those of the ids that come with these records which no turn of the contact has seen."""
    return set(seen_as(records)) - {user_key(one) for one in (*contact.user_ids, contact.user_id or "")}
