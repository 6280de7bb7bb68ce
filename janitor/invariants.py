"""What must be true of the data at any time, as code that runs: a fault that no test foresaw is found within minutes.

Each looks for what breaks it, at most `SHOWN` of it. All are read from indexes that hold only what is open.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from janitor.handed import handed_over
from janitor.rounds import Rounds
from kit.kafka.lag import Waiting, oldest_waiting
from kit.logs import get_log
from kit.reads import Reads
from kit.service import Tools
from kit.settings import KafkaSettings
from schemas.contact import redact
from schemas.topics import CONTACT_LOG, MESSAGE_OUTBOUND

__all__ = ["INVARIANTS", "Invariant", "Invariants", "World"]

SHOWN = 20
UNFINISHED = timedelta(minutes=5)  # a turn is finished in a second; a broker that is away holds it for longer
UNREAD = timedelta(minutes=10)  # a message waits for no agent so long (AGENT_DEADLINE_S three times over)
UNATTENDED = timedelta(hours=1)  # somebody waits for a person


@dataclass(frozen=True, slots=True)
class World:
    """What an invariant may look at."""

    reads: Reads
    tools: Tools
    waiting: Callable[[str, str], Awaitable[Waiting]]
    """Topic and group → its oldest record that is not settled."""
    handed: Callable[[datetime, datetime], AsyncGenerator[list[str]]]
    """Parts that were published between the two, and that the sender has settled."""


@dataclass(frozen=True, slots=True)
class Invariant:
    name: str
    about: str
    broken: Callable[[World], Awaitable[list[str]]]
    """Who or what breaks it, as it may stand in a log."""


async def _two_open(world: World) -> list[str]:
    return [redact(contact) for contact in await world.reads.open_twice(SHOWN)]


async def _unfinished(world: World) -> list[str]:
    return await world.reads.unfinished_turns(world.tools.clock.now() - UNFINISHED, SHOWN)


async def _unsent(world: World) -> list[str]:
    now, unsent = world.tools.clock.now(), list[str]()
    async with aclosing(world.handed(now - 3 * UNFINISHED, now - UNFINISHED)) as handed:
        async for parts in handed:
            unsent += await world.reads.without_row(parts)
            if len(unsent) >= SHOWN:
                break
    return unsent[:SHOWN]


async def _unread(world: World) -> list[str]:
    return await _late(world, CONTACT_LOG.name, CONTACT_LOG.group or "")


async def _undelivered(world: World) -> list[str]:
    return await _late(world, MESSAGE_OUTBOUND.name, MESSAGE_OUTBOUND.group or "")


async def _unattended(world: World) -> list[str]:
    return await world.reads.unattended(world.tools.clock.now() - UNATTENDED, SHOWN)


async def _late(world: World, topic: str, group: str) -> list[str]:
    found = await world.waiting(topic, group)
    late = found.since is not None and world.tools.clock.now() - found.since > UNREAD
    return [f"{topic}-{found.partition} since {found.since:%H:%M}"] if late else []


INVARIANTS = (
    Invariant("one_open_conversation", "no two open conversations of one contact and channel", _two_open),
    Invariant("turns_are_finished", "a decided turn is stored and published within 5 minutes", _unfinished),
    Invariant(
        "what_is_decided_is_sent", "a part of a record that the sender has settled has a row in `sends`", _unsent
    ),
    Invariant("messages_become_turns", "no record of contact.log waits for longer than 10 minutes", _unread),
    Invariant("parts_are_tried", "no record of message.outbound waits for longer than 10 minutes", _undelivered),
    Invariant("nobody_waits_for_a_person", "no client of a taken-over conversation waits for an hour", _unattended),
)


class Invariants(Rounds):
    """A metric for each, and one loud line for each that is broken."""

    def __init__(self, reads: Reads, settings: KafkaSettings, tools: Tools, every: timedelta) -> None:
        super().__init__("invariants", every, tools)
        self._log = get_log("invariants")

        async def waiting(topic: str, group: str) -> Waiting:
            return await oldest_waiting(settings, topic, group)

        self._world = World(reads, tools, waiting, partial(handed_over, settings))

    async def once(self) -> int:
        """How many are broken. Raises StoreDown, BrokerDown."""
        broken = 0
        for invariant in INVARIANTS:
            found = await invariant.broken(self._world)
            self._tools.metrics.set("hilo_invariant_broken", len(found), invariant=invariant.name)
            if found:
                broken += 1
                self._log.error("invariant broken", invariant=invariant.name, about=invariant.about, found=found)
        return broken
