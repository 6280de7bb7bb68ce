"""The pool's rules, on sessions that are only claimed to exist."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from processor.agent.errors import AgentError
from processor.agent.pool import Pool
from processor.agent.timing import Timing
from tests.conftest import FakeClock

TIMING = Timing(drain=0.05)


class Claimed:
    def __init__(self, agent_id: str, clock: FakeClock) -> None:
        self.agent_id = agent_id
        self.usable = True
        self.closed = 0
        self.activities = 0
        self._clock = clock
        self.opened_at = self.asked_at = self.said_at = self.heard_at = clock.monotonic()

    async def activity(self) -> None:
        self.activities += 1
        self.said_at = self._clock.monotonic()

    async def close(self) -> None:
        self.usable = False
        self.closed += 1
        await asyncio.sleep(0)


class World:
    def __init__(self, clock: FakeClock, size: int) -> None:
        self.clock = clock
        self.sessions: list[Claimed] = []
        self.opening = self.most_opening = 0
        self.refusal: AgentError | None = None
        self.pool = Pool(self.open, clock, TIMING, size)

    async def open(self, agent_id: str, _user: str, _variables: Mapping[str, str]) -> Claimed:
        self.opening += 1
        self.most_opening = max(self.most_opening, self.opening)
        await asyncio.sleep(0)
        self.opening -= 1
        if self.refusal:
            raise self.refusal
        self.sessions.append(Claimed(agent_id, self.clock))
        return self.sessions[-1]

    async def turn(self, conversation: str, agent_id: str = "a") -> Claimed:
        async with self.pool.seat(conversation) as seat:
            session = await seat.take(agent_id, "u", {})
            assert isinstance(session, Claimed)
            session.asked_at = self.clock.monotonic()
            return session

    @property
    def open_ones(self) -> int:
        return sum(not one.closed for one in self.sessions)


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[World]:
    one = World(clock, size=2)
    yield one
    await one.pool.stop()
    assert (one.open_ones, one.pool.sockets) == (0, 0)
    assert all(session.closed == 1 for session in one.sessions)


async def test_a_conversation_keeps_its_socket(world: World) -> None:
    assert await world.turn("c1") is await world.turn("c1")
    assert (world.pool.counts.opened, world.pool.counts.reused) == (1, 1)


async def test_when_partitions_are_revoked_every_idle_socket_is_closed(world: World) -> None:
    one, two = await world.turn("c1"), await world.turn("c2")
    await world.pool.release()
    await asyncio.sleep(0)
    assert (one.closed, two.closed, world.pool.sockets) == (1, 1, 0)


async def test_when_partitions_are_revoked_a_turn_in_flight_keeps_its_socket_to_its_end(world: World) -> None:
    async with world.pool.seat("c1") as seat:
        session = await seat.take("a", "u", {})
        await world.pool.release()
        assert session.usable
    assert world.pool.sockets == 0
    assert await world.turn("c1") is not session


async def test_another_agent_needs_another_socket(world: World) -> None:
    assert await world.turn("c1", "a") is not await world.turn("c1", "b")
    await asyncio.sleep(0)
    assert world.open_ones == 1


@pytest.mark.parametrize("age", [539, 541])
async def test_no_turn_starts_on_an_old_socket(world: World, clock: FakeClock, age: int) -> None:
    first = await world.turn("c1")
    clock.advance(age)
    assert (await world.turn("c1") is first) is (age < 540)


async def test_one_that_died_while_idle_is_replaced(world: World) -> None:
    first = await world.turn("c1")
    first.usable = False
    assert await world.turn("c1") is not first


async def test_the_least_recently_idle_makes_room(world: World) -> None:
    one, two = await world.turn("c1"), await world.turn("c2")
    assert await world.turn("c1") is one
    await world.turn("c3")
    await asyncio.sleep(0)
    assert (one.closed, two.closed, world.pool.counts.evicted, world.pool.sockets) == (0, 1, 1, 2)


async def test_when_all_are_busy_turns_wait_in_order_and_use_a_socket_each(world: World) -> None:
    done: list[str] = []
    gate = asyncio.Event()

    async def turn(name: str) -> None:
        async with world.pool.seat(name) as seat:
            await seat.take("a", "u", {})
            await gate.wait()
            assert world.pool.sockets <= 2
            done.append(name)

    tasks = []
    for number in range(6):
        tasks.append(asyncio.create_task(turn(f"c{number}")))
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    assert done == [f"c{number}" for number in range(6)]
    assert (world.pool.counts.waited, world.pool.counts.opened) == (4, 6)


async def test_who_gives_up_waiting_takes_no_seat(world: World) -> None:
    async with world.pool.seat("c1"), world.pool.seat("c2"):
        waiter = asyncio.create_task(world.turn("c3"))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait({waiter})
    assert world.pool.sockets == 0
    late = asyncio.create_task(world.turn("c4"))
    await late
    assert world.pool.sockets == 1


async def test_a_seat_given_to_one_who_just_left_goes_on_to_the_next(world: World) -> None:
    async with world.pool.seat("c1"):
        async with world.pool.seat("c2"):
            first, second = asyncio.create_task(world.turn("c3")), asyncio.create_task(world.turn("c4"))
            await asyncio.sleep(0)
        first.cancel()  # it was called just now
        await asyncio.wait({first, second}, timeout=1)
    assert second.done()
    assert not second.cancelled()


@pytest.mark.parametrize(
    ("seconds", "closed", "activities"), [(19, 0, 0), (21, 0, 1), (59, 0, 1), (61, 1, 0), (121, 1, 0)]
)
async def test_idle_sockets_are_tended(
    world: World, clock: FakeClock, seconds: int, closed: int, activities: int
) -> None:
    session = await world.turn("c1")
    clock.advance(seconds)
    await world.pool.tend()
    await asyncio.sleep(0)
    assert (session.closed, session.activities) == (closed, activities)


@pytest.mark.parametrize(("seconds", "closed"), [(110, 0), (130, 1)])
async def test_nobody_used_it_for_too_long(world: World, clock: FakeClock, seconds: int, closed: int) -> None:
    session = await world.turn("c1")
    for _ in range(seconds // 10):
        clock.advance(10)
        session.heard_at = clock.monotonic()
        await world.pool.tend()
    await asyncio.sleep(0)
    assert session.closed == closed


async def test_a_dropped_conversation_is_forgotten_idle_or_busy(world: World) -> None:
    idle = await world.turn("c1")
    world.pool.drop("c1")
    world.pool.drop("nobody")
    async with world.pool.seat("c2") as seat:
        busy = await seat.take("a", "u", {})
        world.pool.drop("c2")
        assert busy.usable
    await asyncio.sleep(0)
    assert not idle.usable
    assert not busy.usable


async def test_two_handshakes_at_once_and_one_after_a_refusal(clock: FakeClock) -> None:
    world = World(clock, size=50)
    await asyncio.gather(*(world.turn(f"c{number}") for number in range(20)))
    assert world.most_opening == 2
    world.refusal = AgentError("capacity", "connect", "HTTP 429")
    with pytest.raises(AgentError):
        await world.turn("x")
    world.refusal, world.most_opening = None, 0
    await asyncio.gather(*(world.turn(f"d{number}") for number in range(10)))
    assert world.most_opening == 1
    await world.pool.stop()


async def test_stopping_lets_turns_finish_within_the_drain(clock: FakeClock) -> None:
    world = World(clock, size=5)
    await world.pool.start()

    async def turn(seconds: float) -> str:
        async with world.pool.seat(f"c{seconds}") as seat:
            session = await seat.take("a", "u", {})
            await asyncio.sleep(seconds)
            return "answered" if session.usable else "cut"

    short, long = asyncio.create_task(turn(0.01)), asyncio.create_task(turn(0.2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await world.pool.stop()
    assert (await short, await long) == ("answered", "cut")
    assert (world.open_ones, world.pool.sockets) == (0, 0)
