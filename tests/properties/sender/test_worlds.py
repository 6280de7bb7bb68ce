"""Whatever happens on either side of the wire, each part is on the handset once, in order, or somebody is told."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from kit.errors import DependencyDown, Retry, Wait
from kit.kafka.delivery import Delivery
from kit.lanes import Run
from kit.metrics import Metrics
from kit.service import Tools
from schemas.documents import SendDocument
from schemas.events import Event, FenceRaised, Part, SendRequested
from schemas.notices import ConversationTakenOver, MessageExpired, MessageUncertain, MessageUndeliverable
from sender.debts import Debts
from sender.delivery import DeliveryHandler
from sender.effects import EffectLedger
from sender.fences import Fences
from sender.pacing import Pacer
from sender.posting import Poster
from sender.reconcile import Reconciliation
from sender.statuses import StatusHandler
from sender.telling import Teller
from tests.contracts.runs import run_of
from tests.properties.sender.world import (
    EPOCH,
    OURS,
    USER,
    Box,
    Clock,
    Crash,
    FakeTwilio,
    Log,
    Perils,
    Sends,
    Troubles,
    delivery,
)
from tests.virtual_loop import run_virtual

WORLDS = int(os.environ.get("HILO_WORLDS", "500"))
SHARES = 10
METRICS = Metrics()
Handle = Callable[[Run[Delivery]], Awaitable[None]]


class Process:
    """One process of the sender: its memory dies with it, the store does not."""

    def __init__(self, world: "World") -> None:
        tools = Tools("test", Clock(), METRICS)
        box: Any = world.box
        twilio: Any = world.twilio
        database: Any = type("Database", (), {"sends": world.sends})
        self.ledger = EffectLedger(database, tools.clock, 15)
        teller = Teller(box, self.ledger, tools)
        poster = Poster(self.ledger, twilio, teller, Pacer(tools.clock, 80), "https://x", tools)
        fences = Fences(database, self.ledger, teller)
        debts = Debts(self.ledger, poster, fences, teller, tools)
        self.delivery = DeliveryHandler(self.ledger, poster, fences, debts, world.reengage, tools)
        self.statuses = StatusHandler(self.ledger, debts, fences, teller, tools)
        self.reconciliation = Reconciliation(self.ledger, twilio, self.statuses, tools)


def _delivers(process: Process) -> Handle:
    return process.delivery.handle


def _merges(process: Process) -> Handle:
    return process.statuses.handle


class World:
    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.troubles = Troubles.drawn(self.dice)
        self.perils = Perils(self.dice, self.troubles)
        self.perils.on_pause = self._rebalance
        self.sends = Sends(self.perils)
        self.statuses = Log()
        self.twilio = FakeTwilio(self.perils, self.statuses)
        self.reengage = self.dice.choice(("", "HX1"))
        self.outbound = Log(self._drawn())
        self.box = Box(self.perils, self.outbound)
        self.late: list[Delivery] = []
        """They come when everything else is quiet."""
        self.untouched = False
        self.owner = 0
        self._tasks: list[asyncio.Task[None]] = []

    def _drawn(self) -> list[Delivery]:
        events: list[Event] = []
        for seq in range(1, self.dice.choice((1, 2, 3)) + 1):
            events.append(self._reply(seq))
            if self.dice.random() < 0.15:
                events.append(FenceRaised(contact=USER, seq=seq + 1, turn=f"turn_{seq}", reason="takeover"))
            if self.dice.random() < 0.2:
                events.append(events[0])  # a replay
        return [delivery(event, f"record_{number}") for number, event in enumerate(events)]

    def _reply(self, seq: int) -> SendRequested:
        texts = [self.dice.choice(("claro", "uno", f"texto {seq} {n}")) for n in range(self.dice.choice((1, 1, 2, 3)))]
        return SendRequested(
            contact=USER,
            to=USER,
            channel=OURS,
            conversation_id="conv_1",
            turn=f"turn_{seq}",
            seq=seq,
            purpose="reply",
            parts=[Part(send_id=f"turn_{seq}-{n}", text=text) for n, text in enumerate(texts, 1)],
            window_until=EPOCH + timedelta(hours=20),
            not_after=EPOCH + timedelta(seconds=self.dice.choice((40, 3600, 3600))),
        )

    @property
    def requests(self) -> list[SendRequested]:
        found = [one.envelope.data for one in self.outbound.records]
        return list({one.turn: one for one in found if isinstance(one, SendRequested)}.values())

    def _rebalance(self) -> None:
        """The group has lost patience with a paused process: another one takes its partitions."""
        self.owner += 1
        self._take()

    def _take(self) -> None:
        lanes = (self._lane(self.outbound, _delivers), self._lane(self.statuses, _merges))
        self._tasks += [asyncio.ensure_future(lane) for lane in lanes]

    async def run(self) -> None:
        self._take()
        await self._quiet()
        self.outbound.append(*self.late)
        await self._quiet()
        self.untouched = self.perils.crash_at is not None
        self.perils.crash_at = None
        self.troubles.crash = self.troubles.pause = 0
        for _ in range(3):
            await asyncio.sleep(13 * 3600)
            await Process(self).reconciliation.once()
            await self._quiet()
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    async def _quiet(self) -> None:
        """Nothing is on its way any more; a callback that comes late may owe something again."""
        still = 0
        while still < 3:
            await asyncio.sleep(10)
            for task in self._tasks:
                if task.done():
                    task.result()
            still = still + 1 if self.outbound.settled and self.statuses.settled and self.twilio.idle else 0

    async def _lane(self, log: Log, which: Callable[[Process], Handle]) -> None:
        """The one owner works; a zombie goes on with what it has begun, and commits nothing."""
        mine = self.owner
        while mine == self.owner:
            if log.settled:
                log.more.clear()
                await log.more.wait()
                continue
            position = log.position
            run: Any = run_of(log.records[position])
            run.behind = tuple(log.records[position + 1 :])
            done = await self._settled(run, which, lambda: mine == self.owner)
            if done and mine == self.owner:
                log.position = position + 1

    async def _settled(self, run: Run[Delivery], which: Callable[[Process], Handle], owned: Callable[[], bool]) -> bool:
        process = Process(self)
        while owned():
            try:
                await which(process)(run)
            except (Wait, DependencyDown, Retry) as held:
                await asyncio.sleep(held.after or 1)
            except Crash:
                process = Process(self)
                await asyncio.sleep(self.dice.choice((1, 20)))
            else:
                return True
        return False

    def row(self, part: Part) -> SendDocument:
        return SendDocument.from_mongo(self.sends.rows[part.send_id])

    def notices(self, *kinds: type[Event]) -> list[Any]:
        return [envelope.data for _, envelope in self.box.sent if isinstance(envelope.data, kinds)]


def each_part_once_or_told(world: World) -> None:
    told = world.notices(MessageExpired, MessageUncertain, MessageUndeliverable)
    for request in world.requests:
        of_reply = [one for one in told if one.send_id in {part.send_id for part in request.parts}]
        for part in request.parts:
            row = world.row(part)
            made = [one for one in world.twilio.messages if one.send_id == part.send_id]
            shown = [one for one in made if one.shown]
            assert row.state not in {"intent", "unknown", "again"}, row
            if len(shown) > 1:
                the_documented_exception(world, part, shown)
            elif not shown:
                assert of_reply, (part, row)
                assert row.state != "accepted" or row.status == "undelivered", row
            else:
                assert row.state in {"accepted", "uncertain"} or row.repeats, row


def the_documented_exception(world: World, part: Part, shown: list[Any]) -> None:
    """Neither callback nor list knew the first one for a minute; it is said, and it is one repeat."""
    assert len(shown) == 2
    again = shown[1].created
    if not shown[0].lied:
        assert world.troubles.list_lag_s > 45
        assert not [at for at in shown[0].told if at < again - timedelta(seconds=30)]
    assert [one for one in world.notices(MessageUncertain) if one.send_id == part.send_id]


def in_order(world: World) -> None:
    """As they were handed to Twilio, and as they were seen."""
    for made in (world.twilio.messages, [one for one in world.twilio.messages if one.shown]):
        first: dict[str, int] = {}
        for number, message in enumerate(made):
            first.setdefault(message.send_id, number)
        wanted = [part.send_id for request in world.requests for part in request.parts if part.send_id in first]
        assert sorted(wanted, key=lambda one: first[one]) == wanted


def the_final_status_is_right(world: World) -> None:
    for request in world.requests:
        for part in request.parts:
            row = world.row(part)
            made = {one.sid: one for one in world.twilio.messages if one.send_id == part.send_id}
            if row.state == "accepted":
                assert row.sid in made, row
                end = made[row.sid or ""].status  # a lost `read` is not asked after: `delivered` is final
                assert row.status in ({"read", "delivered"} if end == "read" else {end}), (row, made)


def nothing_after_a_take_over(world: World) -> None:
    for at, envelope in world.box.sent:
        if isinstance(envelope.data, ConversationTakenOver):
            fence = next(
                one.envelope.data
                for one in world.outbound.records
                if isinstance(one.envelope.data, FenceRaised) and one.envelope.data.turn == envelope.data.turn
            )
            older = {part.send_id for one in world.requests if one.seq < fence.seq for part in one.parts}
            assert not [one for one in world.twilio.messages if one.send_id in older and one.created > at]


CHECKS = (each_part_once_or_told, in_order, the_final_status_is_right, nothing_after_a_take_over)


def lived(make: Callable[[], World]) -> World:
    """A world from its beginning to its end."""
    holder: list[World] = []

    async def live() -> None:
        holder.append(make())
        await holder[0].run()

    run_virtual(live)
    for check in CHECKS:
        try:
            check(holder[0])
        except AssertionError as error:
            raise AssertionError(f"{holder[0].troubles}: {check.__name__}: {error}") from error
    return holder[0]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", range(SHARES))
def test_worlds(share: int) -> None:
    for seed in range(share, WORLDS, SHARES):
        try:
            lived(lambda seed=seed: World(seed))  # type: ignore[misc]
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {error}") from error


def crashing(at: int) -> World:
    """Two replies, of which one part fails first for a while and one for a closed window; and one crash."""
    world = World(1)
    world.perils.troubles = world.troubles = Troubles.none()
    world.perils.crash_at = at
    world.reengage = "HX1"
    fields = {"not_after": EPOCH + timedelta(hours=2)}
    first = [Part(send_id="turn_1-1", text="uno"), Part(send_id="turn_1-2", text="dos")]
    second = [Part(send_id="turn_2-1", text="tres")]
    fence = FenceRaised(contact=USER, seq=1, turn="turn_0", reason="takeover")
    one, two = (
        world._reply(seq).model_copy(update={**fields, "parts": parts}) for seq, parts in ((1, first), (2, second))
    )
    world.outbound.records[:] = [delivery(fence, "fence"), delivery(one, "one")]
    world.late = [delivery(two, "two")]
    world.twilio.codes = [None, 63012, None, 63016, None]
    return world


def test_a_crash_at_any_await_changes_nothing_that_is_seen() -> None:
    """But for this: what had to be posted again after the crash, and fails then, is told, not posted a third time."""
    at, wanted = 0, ["turn_1-1", "turn_1-2", "turn_2-1"]
    while True:
        at += 1
        world = lived(lambda at=at: crashing(at))  # type: ignore[misc]
        told = {one.send_id for one in world.notices(MessageExpired, MessageUndeliverable)}
        parts = [part for request in world.requests for part in request.parts]
        repeated = {part.send_id for part in parts if world.row(part).repeats}
        assert [one.send_id for one in world.twilio.messages if one.shown] == [
            one for one in wanted if one not in told
        ], f"crash at {at}"
        assert told <= repeated, f"crash at {at}"
        confirmed = [one.id for _, one in world.box.sent if isinstance(one.data, ConversationTakenOver)]
        assert set(confirmed) == {"turn_0-taken-over"}, f"crash at {at}"
        if world.untouched:
            break
    assert at > 100
