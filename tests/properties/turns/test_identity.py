"""One person under many names: whatever they are called, one story in the order in which they wrote."""

import asyncio
import os
import random

import pytest

from schemas.attributes import Envelope
from schemas.contact import canonical, parse_address
from schemas.events import Event, MessageReceived, SendRequested
from tests.properties.turns.world import Fleet, World
from tests.virtual_loop import run_virtual

WORLDS = min(2000, int(os.environ.get("HILO_WORLDS", "60")))
USER, PHONES = "MX.9f3c2ab41d", ("+525512345678", "+5215512345678")
CHANNEL = "+14155238886"


def lived(seed: int) -> tuple[World, list[str]]:
    texts: list[str] = []
    holder: list[World] = []

    async def live() -> None:
        world = World(seed)
        holder.append(world)
        world.troubles.agent_down = world.troubles.escalates = 0.0
        world.on_published = lambda envelope: relay(world, envelope)
        fleet = Fleet(world)
        writing = asyncio.create_task(write(world, texts))
        await fleet.trouble(until=120)
        await writing

    run_virtual(live)
    return holder[0], texts


def relay(world: World, envelope: Envelope[Event]) -> None:
    """What is sent on to the log stands at its end."""
    if isinstance(envelope.data, MessageReceived):
        world.log.append(envelope)


async def settled(world: World) -> None:
    while {one.envelope.id for one in world.log.records} != {event for turn in world.turns for event in turn.events}:  # noqa: ASYNC110
        await asyncio.sleep(0.5)


async def write(world: World, texts: list[str]) -> None:
    dice: random.Random = world.dice
    hidden = False
    for number in range(dice.randrange(3, 12)):
        await asyncio.sleep(dice.choice((0.05, 0.5, 2, 7)))
        if number and dice.random() < 0.4:
            hidden = not hidden
        if number == 1 or not hidden:
            await settled(
                world
            )  # the link is known; and who shows the number again comes after the detour: docs/turns.md
        address = USER if hidden else dice.choice(PHONES)
        text = f"mensaje {number}."
        texts.append(text)
        event = MessageReceived(
            message_sid=f"SM{number}",
            channel=CHANNEL,
            address=address,
            user_id=USER,
            text=text,
            received_at=world.tools.clock.now(),
        )
        world.append(f"event_{number}", event, canonical(parse_address(address)))


@pytest.mark.timeout(600)
def test_one_person_is_one_story_in_order() -> None:
    for seed in range(WORLDS):
        world, texts = lived(seed)
        assert not world.crashes, (seed, world.crashes)
        assert not world.buried, (seed, world.buried)
        once = {one.id: one.data for _, one in world.out if isinstance(one.data, SendRequested)}
        requests = sorted(once.values(), key=lambda one: one.seq)
        assert {one.contact for one in requests} <= {PHONES[0]}, seed
        said = "\n".join(part.text.removeprefix("re: ") for one in requests for part in one.parts).split("\n")
        assert said == texts, (seed, said, texts)
        assert all(turn.contact == PHONES[0] for turn in world.turns), seed
