"""Whatever dies, overlaps or is replayed: one turn for each event, the same words published, nothing forgotten."""

import asyncio
import os
from collections import Counter

import pytest

from schemas.documents import ConversationDocument
from schemas.events import (
    AddressRefused,
    CallCompleted,
    CallFacts,
    CloseRequested,
    Event,
    HandedBack,
    MessageReceived,
    OperatorSaid,
    SendRequested,
    TakenOver,
)
from tests.properties.turns.world import Fleet, World
from tests.virtual_loop import run_virtual

WORLDS = int(os.environ.get("HILO_WORLDS", "300"))
SHARES = 6
CONTACTS, CHANNELS = ("+525512345678", "+34600111222"), ("+14155238886", "+14155230000")
TEXTS = (
    "hola",
    "quería saber",
    "mi cita de mañana",
    "¿a qué hora es?",
    "gracias",
    "y",
    "STOP",
    "ALTA",
    "sí",
    "necesito",
)
BOT = {"reply", "greeting", "apology"}


async def live(world: World) -> None:
    fleet = Fleet(world)
    writing = asyncio.create_task(write(world))
    await fleet.trouble(until=90)
    await writing


async def write(world: World) -> None:
    """Two contacts, some minutes; copies of webhooks among it."""
    dice = world.dice
    for number in range(dice.randrange(3, 22)):
        await asyncio.sleep(dice.choice((0.01, 0.2, 1.5, 6)))
        contact = CONTACTS[dice.random() < 0.2]
        if world.log.records and dice.random() < 0.15:
            copy = dice.choice(world.log.records).envelope
            world.append(copy.id, copy.data, copy.contact)
            continue
        event = drawn(world, contact, number)
        if event:
            world.append(f"event_{number}", event, contact)


def drawn(world: World, contact: str, number: int) -> Event | None:  # noqa: PLR0911  # one line for each event
    dice, now = world.dice, world.tools.clock.now()
    how = dice.random()
    if how < 0.62:
        channel = CHANNELS[dice.random() < 0.1]
        text = dice.choice(TEXTS)
        return MessageReceived(message_sid=f"SM{number}", channel=channel, address=contact, text=text, received_at=now)
    if how < 0.70:
        return CallCompleted(phone_number=contact, call_summary=f"llamada {number}", conversation_id=f"call_{number}")
    if how < 0.73:
        return CallFacts(conversation_id=f"call_{dice.randrange(number + 1)}", call_summary="hechos")
    if how < 0.80:
        return close_request(world, contact)
    if how < 0.86:
        return TakenOver(by="luis")
    if how < 0.92:
        return HandedBack(by="luis")
    return (
        OperatorSaid(by="luis", text=f"soy Luis {number}")
        if how < 0.97
        else AddressRefused(address=contact, code=63003)
    )


def close_request(world: World, contact: str) -> Event | None:
    """What a janitor saw, or what it saw a while ago."""
    found = [one for one in world.store.rows.get("conversations", {}).values() if one["contact"] == contact]
    if not found:
        return None
    seen = ConversationDocument.from_mongo(world.dice.choice(found))
    return CloseRequested(conversation_id=seen.id, last_message_at=seen.last_message_at)


def every_event_has_one_turn_and_every_turn_its_place(world: World) -> None:
    events = {one.envelope.id for one in world.log.records}
    decided = Counter(event for turn in world.turns for event in turn.events)
    assert set(decided) == events
    assert set(decided.values()) <= {1}
    for contact in CONTACTS:
        mine = [turn for turn in world.turns if turn.contact == contact]
        assert [turn.seq for turn in mine] == list(range(1, len(mine) + 1))
        assert all(turn.done for turn in mine)


def what_is_decided_is_published_and_nothing_else(world: World) -> None:
    decided = {one.id: one for turn in world.turns for one in (*turn.outbound, *turn.notices)}
    published = {envelope.id: envelope for _, envelope in world.out}
    assert set(published) == set(decided)
    for _, envelope in world.out:
        assert envelope.data.model_dump(mode="json") == decided[envelope.id].data
        assert envelope.type == decided[envelope.id].type


def replies_leave_in_order(world: World) -> None:
    for contact in CONTACTS:
        first: dict[str, int] = {}
        for _, envelope in world.out:
            if isinstance(envelope.data, SendRequested) and envelope.data.contact == contact:
                first.setdefault(envelope.id, envelope.data.seq)
        assert list(first.values()) == sorted(first.values())


def nothing_goes_back(world: World) -> None:
    seqs: dict[tuple[str, str], int] = {}
    closed: set[str] = set()
    for collection, row in world.store.history:
        if collection not in {"contacts", "conversations", "calls"}:
            continue
        key = (collection, row["_id"])
        assert row["seq"] >= seqs.get(key, 0), key
        seqs[key] = row["seq"]
        if collection == "conversations":
            assert row["_id"] not in closed or row["status"] == "closed"
            closed |= {row["_id"]} if row["status"] == "closed" else set()


def counts_are_right(world: World) -> None:
    kept = Counter(one["conversation_id"] for one in world.store.rows.get("messages", {}).values())
    for one in world.store.rows.get("conversations", {}).values():
        assert one["message_count"] == kept[one["_id"]]
        assert len({line["id"] for line in one["lines"]}) == len(one["lines"])


def the_bot_is_silent_where_it_has_to_be(world: World) -> None:
    """Judged by the records themselves, in the order in which they were decided."""
    records = {one.envelope.id: one.envelope.data for one in world.log.records}
    taken: set[str] = set()
    stopped: set[str] = set()
    for turn in world.turns:
        said = {one.data["purpose"] for one in turn.outbound if one.type == SendRequested.type_name()} & BOT
        event = records[turn.events[0]]
        if isinstance(event, HandedBack):
            taken.discard(turn.contact)
        silent = turn.contact in taken | stopped
        assert not (silent and said), turn
        taken |= {turn.contact} if isinstance(event, TakenOver) else set()
        words = event.text if isinstance(event, MessageReceived) else ""
        stopped |= {turn.contact} if words == "STOP" else set()
        stopped -= {turn.contact} if words in {"ALTA", "sí"} else set()


def a_thought_goes_to_one_agent_call_at_most_thrice(world: World) -> None:
    for turn in world.turns:
        assert len(turn.superseded) <= 2


def no_bug_was_met(world: World) -> None:
    assert not world.crashes, world.crashes
    assert not world.buried, world.buried


CHECKS = (
    no_bug_was_met,
    every_event_has_one_turn_and_every_turn_its_place,
    what_is_decided_is_published_and_nothing_else,
    replies_leave_in_order,
    nothing_goes_back,
    counts_are_right,
    the_bot_is_silent_where_it_has_to_be,
    a_thought_goes_to_one_agent_call_at_most_thrice,
)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", range(SHARES))
def test_turn_worlds(share: int) -> None:
    for seed in range(share, WORLDS, SHARES):
        holder: list[World] = []

        async def run(seed: int = seed, holder: list[World] = holder) -> None:
            holder.append(World(seed))
            await live(holder[0])

        run_virtual(run)
        for check in CHECKS:
            try:
                check(holder[0])
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, {holder[0].troubles}: {check.__name__}: {error}") from error
