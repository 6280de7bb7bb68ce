"""When what an operator asked for has taken effect."""

import pytest

from kit import ids
from kit.service import Tools
from ops.asked import take_over
from schemas.contact import Contact
from schemas.documents import FenceDocument
from tests.memory_mongo import MemoryMongo
from tests.unit.ops.stories import World
from tests.unit.processor.states import CONTACT

USER = Contact("ES.1349120888172341")


@pytest.mark.parametrize("asked", [CONTACT, USER])
@pytest.mark.parametrize("decided", [CONTACT, USER])
async def test_a_take_over_is_confirmed_in_whichever_story_it_was_decided(
    tools: Tools, asked: Contact, decided: Contact
) -> None:
    """An operator has the chat open that a client began as a user id, whose number is known by now."""
    world, wanted = World(MemoryMongo(), tools), take_over(asked, "Marta")
    await world.database.contacts.insert_one({"_id": f"link_{USER}", "linked_to": CONTACT, "rev": f"link_{USER}"})
    assert not await wanted.seen(world.reads)
    name = ids.fence_id(decided)
    fence = FenceDocument(id=name, fence=3, rev=f"{name}#1", told=[ids.turn_id(decided, wanted.event_id)])
    await world.database.sends.insert_one(fence.to_mongo())
    assert await wanted.seen(world.reads) is (asked == USER or decided == CONTACT)
