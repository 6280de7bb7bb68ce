"""Human take-over over processor and sender: after the confirmed moment not one bot message is posted."""

import asyncio
import os
import random
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest

from kit.errors import DependencyDown, Retry, Wait
from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery
from kit.lanes import Run
from kit.metrics import Metrics
from kit.service import Tools
from schemas.attributes import Envelope
from schemas.events import HandedBack, MessageReceived, OperatorSaid, SendRequested, TakenOver
from schemas.notices import ConversationTakenOver
from schemas.topics import MESSAGE_OUTBOUND
from sender.delivery import DeliveryHandler
from sender.effects import EffectLedger
from sender.fences import Fences
from sender.pacing import Pacer
from sender.posting import Poster
from sender.telling import Teller
from tests.contracts.runs import run_of
from tests.properties.sender.world import Clock, Crash, FakeTwilio, Perils, Sends
from tests.properties.sender.world import Troubles as SenderTroubles
from tests.properties.turns.world import Fleet, World
from tests.virtual_loop import run_virtual

WORLDS = int(os.environ.get("HILO_TAKE_OVERS", os.environ.get("HILO_WORLDS", "2000")))
SHARES = 8
USER, CHANNEL = "+34600111222", "+14155238886"
BOT = {"reply", "greeting", "apology"}
OUTBOUND = {event.type_name() for event in MESSAGE_OUTBOUND.events}
METRICS = Metrics()


class Sending:
    """The sender's lane of this contact: serial, killed and paused, on a Twilio that misbehaves."""

    def __init__(self, world: World) -> None:
        self.world = world
        troubles = SenderTroubles.drawn(world.dice)
        troubles.callback_lost = 0.3
        self.perils = Perils(world.dice, troubles)
        self.sends = Sends(self.perils)
        self.twilio = FakeTwilio(self.perils, asyncio.Queue())
        self.log: list[Delivery] = []
        self.confirmed: list[tuple[datetime, ConversationTakenOver]] = []
        self._news = asyncio.Event()
        self._position = 0
        self._owner = 0
        self._zombies: list[asyncio.Task[None]] = []
        self.perils.on_pause = self._overtaken

    def arrived(self, envelope: Envelope[Any]) -> None:
        if envelope.type not in OUTBOUND:
            return
        self.log.append(Delivery(envelope, Position("message.outbound", 0, len(self.log))))
        self._news.set()

    async def publish(self, _topic: str, envelope: Envelope[Any], **_: Any) -> None:
        await self.perils.io()
        if isinstance(envelope.data, ConversationTakenOver):
            self.confirmed.append((Clock().now(), envelope.data))
        await self.perils.io()

    def _handler(self) -> DeliveryHandler:
        tools = Tools("test", Clock(), METRICS)
        box: Any = self
        twilio: Any = self.twilio
        database: Any = type("Database", (), {"sends": self.sends})
        ledger = EffectLedger(database, tools.clock, 15)
        teller = Teller(box, ledger, tools)
        poster = Poster(ledger, twilio, teller, Pacer(tools.clock, 80), "https://x", tools)
        return DeliveryHandler(ledger, poster, Fences(database, ledger, teller), "HX1", tools)

    def _overtaken(self) -> None:
        self._owner += 1
        self._zombies.append(asyncio.ensure_future(self.lane()))

    @property
    def idle(self) -> bool:
        return self._position == len(self.log)

    async def lane(self) -> None:
        mine = self._owner
        while mine == self._owner:
            if self.idle:
                self._news.clear()
                await self._news.wait()
            position = self._position
            run: Any = run_of(self.log[position])
            run.behind = tuple(self.log[position + 1 :])
            if await self._settled(run, mine):
                self._position = position + 1

    async def _settled(self, run: Run[Delivery], mine: int) -> bool:
        handler = self._handler()
        while mine == self._owner:
            try:
                await handler.handle(run)
            except (Wait, DependencyDown, Retry) as held:
                await asyncio.sleep(held.after or 1)
            except Crash:
                handler = self._handler()
                await asyncio.sleep(self.world.dice.choice((1, 20)))
            else:
                return mine == self._owner
        return False

    async def stop(self) -> None:
        for task in self._zombies:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def live(world: World) -> Sending:
    world.troubles.escalates = 0.0
    sending = Sending(world)
    world.on_published = sending.arrived
    fleet, lane = Fleet(world), asyncio.create_task(sending.lane())
    writing = asyncio.create_task(write(world))
    await fleet.trouble(until=60)
    await writing
    async with asyncio.timeout(20_000):
        while not sending.idle:  # noqa: ASYNC110  # in virtual time
            await asyncio.sleep(1)
    lane.cancel()
    await sending.stop()
    await sending.twilio.idle()
    return sending


async def write(world: World) -> None:
    dice: random.Random = world.dice
    for number in range(dice.randrange(3, 9)):
        await asyncio.sleep(dice.choice((0.01, 0.3, 1, 4)))
        now = world.tools.clock.now()
        text = f"mensaje {number}"
        wrote = MessageReceived(message_sid=f"SM{number}", channel=CHANNEL, address=USER, text=text, received_at=now)
        event = dice.choices(
            (wrote, TakenOver(by="l"), OperatorSaid(by="l", text="yo"), HandedBack(by="l")), (6, 3, 1, 1)
        )
        world.append(f"event_{number}", event[0], USER)


def not_one_bot_message_after_the_confirmed_moment(world: World, sending: Sending) -> None:
    requests = {one.data.turn: one.data for _, one in world.out if isinstance(one.data, SendRequested)}
    seqs = {turn.id: turn.seq for turn in world.turns}
    back = sorted(turn.seq for turn in world.turns if turn.kind == HandedBack.type_name())
    for at, told in sending.confirmed:
        until = next((seq for seq in back if seq > seqs[told.turn]), 10**9)
        silent = {
            part.send_id: one
            for one in requests.values()
            if one.purpose in BOT and one.seq < until
            for part in one.parts
        }
        assert not [one for one in sending.twilio.messages if one.send_id in silent and one.created > at]


def every_take_over_is_confirmed(world: World, sending: Sending) -> None:
    taken = {turn.id for turn in world.turns if turn.outcome == "taken_over"}
    assert taken == {told.turn for _, told in sending.confirmed}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", range(SHARES))
def test_take_overs(share: int) -> None:
    for seed in range(share, WORLDS, SHARES):
        holder: list[Any] = []

        async def run(seed: int = seed, holder: list[Any] = holder) -> None:
            holder.append(World(seed))
            holder.append(await live(holder[0]))

        run_virtual(run)
        world, sending = holder
        assert not world.crashes, (seed, world.crashes)
        for check in (not_one_bot_message_after_the_confirmed_moment, every_take_over_is_confirmed):
            try:
                check(world, sending)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, {world.troubles}: {check.__name__}: {error}") from error
