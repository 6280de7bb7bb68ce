"""A processor fleet in memory and in virtual time: processes die between any two awaits, overlap, and start anew."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pymongo.errors import AutoReconnect

from kit.errors import BrokerDown
from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery
from kit.kafka.lanes import POLICY as FATES
from kit.lanes import Burial, LaneExecutor, Limits, RetryPolicy
from kit.metrics import Metrics
from kit.service import Tools
from processor.agent.client import AgentUnavailableError, Answer, Question
from processor.turns import TurnHandler, one_thought
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.documents import TurnDocument
from schemas.events import Event
from tests.memory_mongo import MemoryMongo
from tests.properties.sender.world import Clock
from tests.unit.processor.turning import handler

__all__ = ["Fleet", "Log", "Outlet", "Process", "Troubles", "World"]

SOURCE = "contact.log-0"
METRICS = Metrics()


@dataclass
class Troubles:
    """What may go wrong in one world; drawn from its seed."""

    store: float
    broker: float
    kills: int
    zombies: int
    replays: int
    agent_down: float
    tools: float
    escalates: float

    @classmethod
    def drawn(cls, dice: random.Random) -> "Troubles":
        return cls(
            store=dice.choice((0.0, 0.01, 0.05)),
            broker=dice.choice((0.0, 0.05, 0.2)),
            kills=dice.choice((0, 2, 6)),
            zombies=dice.choice((0, 1, 3)),
            replays=dice.choice((0, 1, 2)),
            agent_down=dice.choice((0.0, 0.2, 0.9)),
            tools=dice.choice((0.0, 0.5)),
            escalates=dice.choice((0.0, 0.1)),
        )


class Log:
    """One partition of contact.log: appended to, never changed."""

    def __init__(self) -> None:
        self.records: list[Delivery] = []
        self.appended: list[float] = []
        self._news = asyncio.Event()

    def append(self, envelope: Envelope[Event]) -> None:
        self.records.append(Delivery(envelope, Position("contact.log", 0, len(self.records))))
        self.appended.append(asyncio.get_running_loop().time())
        self._news.set()
        self._news = asyncio.Event()

    async def news(self) -> None:
        await self._news.wait()


class Outlet:
    """What is published stays published, though its publisher may never hear of it."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def publish(self, topic: str, envelope: Envelope[Event], **_: Any) -> None:
        dice = self._world.dice
        await asyncio.sleep(dice.random() * 0.01)
        if dice.random() < self._world.troubles.broker:
            raise BrokerDown("away")
        self._world.published(topic, envelope)
        await asyncio.sleep(dice.random() * 0.01)
        if dice.random() < self._world.troubles.broker:
            raise BrokerDown("acknowledgement lost")


class Agent:
    """Thinks for a while; answers what it was asked, so that an answer shows what it covers."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def ask(self, question: Question) -> Answer:
        dice, troubles = self._world.dice, self._world.troubles
        self._world.asked.append(question)
        await asyncio.sleep(dice.uniform(0.05, 2))
        if dice.random() < troubles.tools:
            question.progress.tools = True
        await asyncio.sleep(dice.uniform(0.05, 3))
        if dice.random() < troubles.agent_down:
            raise AgentUnavailableError(3, "down")
        outcome = "escalated" if dice.random() < troubles.escalates else "replied"
        return Answer([f"re: {question.text}"], outcome=outcome)  # type: ignore[arg-type]

    def drop(self, conversation: str) -> None:
        """It has nothing to forget."""


class Process:
    """One processor: its memory dies with it, the store and the log do not."""

    def __init__(self, world: "World", position: int) -> None:
        self._world = world
        self.owner = True
        self._position = position
        repository = world.repository(self._io)
        turns: TurnHandler = handler(repository, Agent(world), Outlet(world), world.tools, reads=world.reads(self._io))
        self.lanes: LaneExecutor[Delivery, Delivery] = LaneExecutor(
            turns.handle,
            decode=lambda delivery: delivery,
            bury=self._bury,
            policy=RetryPolicy(
                poison=FATES.poison, down=FATES.down, wait=FATES.wait, probe_every=0.5, jitter=world.dice.random
            ),
            clock=asyncio.get_running_loop().time,
            crash=world.crashes.append,
            limits=Limits(handler_s=300),
            cut=one_thought,
        )
        self.lanes.open(SOURCE)
        self._feeding = asyncio.create_task(self._feed())

    async def _io(self) -> None:
        dice = self._world.dice
        await asyncio.sleep(dice.random() * 0.01)
        if self.owner and self._world.troubles.zombies and dice.random() < 0.02:
            self._world.troubles.zombies -= 1
            self._world.overtake()
            await asyncio.sleep(dice.choice((0.5, 3, 20, 60)))  # it does not know; meanwhile another one works
        if dice.random() < self._world.troubles.store:
            raise AutoReconnect("away")

    async def _bury(self, burial: Burial[Delivery]) -> None:
        self._world.buried.append(burial)

    async def _feed(self) -> None:
        while True:
            records = self._world.log.records
            while self._position < len(records):
                delivery = records[self._position]
                self.lanes.admit(SOURCE, self._position, delivery.envelope.contact, delivery)
                self._position += 1
            self.lanes.pump()
            await self._world.log.news()

    def commit(self) -> None:
        marks = self.lanes.dirty()
        if self.owner and marks:
            self._world.committed = max(marks[SOURCE].offset, self._world.committed)
            self.lanes.accepted(marks)

    @property
    def idle(self) -> bool:
        return self._position == len(self._world.log.records) and self.lanes.buffered == 0

    def kill(self) -> None:
        """At whatever await each of its tasks is."""
        self.owner = False
        self._feeding.cancel()
        self.lanes.forget()


@dataclass
class World:
    """One log, one store, one topic out of it; `fleet` makes trouble until the log is worked off."""

    seed: int
    committed: int = 0
    asked: list[Question] = field(default_factory=list)
    out: list[tuple[str, Envelope[Event]]] = field(default_factory=list)
    crashes: list[BaseException] = field(default_factory=list)
    buried: list[Any] = field(default_factory=list)

    overtake: Callable[[], None] = lambda: None  # the fleet's, once there is one

    on_published: Callable[[Envelope[Any]], None] = lambda _: None  # whoever reads the topics

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.troubles = Troubles.drawn(self.dice)
        self.store = MemoryMongo()
        self.log = Log()
        self.tools = Tools("test", Clock(), METRICS)

    def repository(self, io: Callable[[], Any]) -> Any:
        from processor.repository import Repository

        return Repository(self.store.seen_by(io))  # type: ignore[arg-type]  # it has what a repository uses

    def reads(self, io: Callable[[], Any]) -> Any:
        from kit.reads import Reads

        return Reads(self.store.seen_by(io))  # type: ignore[arg-type]

    def published(self, topic: str, envelope: Envelope[Event]) -> None:
        self.out.append((topic, envelope))
        self.on_published(envelope)

    def append(self, name: str, event: Event, contact: str) -> None:
        self.log.append(Envelope(name, "hilo/test", self.tools.clock.now(), Contact(contact), event))

    @property
    def turns(self) -> list[TurnDocument]:
        found = [TurnDocument.from_mongo(one) for one in self.store.rows.get("turns", {}).values()]
        return sorted(found, key=lambda one: (one.contact, one.seq))


class Fleet:
    """One owner at a time; zombies go on for a while with what they have begun, and commit nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._zombies: list[Process] = []
        self._owner = Process(world, 0)
        world.overtake = self._overtake

    async def trouble(self, until: float) -> None:
        """Kill, overtake and replay at random moments, and then let one process finish."""
        world, loop = self._world, asyncio.get_running_loop()
        happenings = ["kill"] * world.troubles.kills + ["replay"] * world.troubles.replays
        moments = sorted((world.dice.uniform(0, until), what) for what in happenings)
        for moment, what in moments:
            while loop.time() < moment:  # in virtual time
                await asyncio.sleep(min(0.25, moment - loop.time()))
                self._owner.commit()
            self._happen(what)
        await asyncio.sleep(max(0.0, until - loop.time()))
        await self._settle()

    def _happen(self, what: str) -> None:
        world = self._world
        self._owner.kill()
        if what == "replay":
            world.committed = world.dice.randrange(world.committed + 1)
        self._owner = Process(world, world.committed)

    def _overtake(self) -> None:
        """The group has lost patience with a paused process: another one takes its partition."""
        self._owner.owner = False
        self._zombies.append(self._owner)
        self._owner = Process(self._world, self._world.committed)

    async def _settle(self) -> None:
        self._world.troubles.store = self._world.troubles.broker = 0
        processes = [self._owner, *self._zombies]
        async with asyncio.timeout(4000):
            while not all(one.idle for one in processes):  # in virtual time
                await asyncio.sleep(0.5)
                self._owner.commit()
        for one in processes:
            one.kill()
