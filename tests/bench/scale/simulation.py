"""The worst minute on virtual time: what queues add to a turn, with the processes that the plan proposes.

A turn goes to the partition of its contact, waits for the core of that partition's process, for a seat among its
AGENT_MAX_SESSIONS and, where it needs a new socket, for the right to a handshake; then for the core again, for the
sender's core, and in Twilio's queue of the number it leaves from. Arrivals are Poisson, each piece of work takes an
exponential time with the measured mean (worse than it is), an answer 3 to 8 s. Same seed, same figures, on any machine.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.bench.scale.costs import Costs, World
from tests.bench.scale.plan import Plan, ingress_cost

__all__ = ["Added", "Loop", "Places", "simulate"]

LEAST_TURNS, LEAST_S, WARM_S = 20_000, 30.0, 12.0  # warm: longer than the longest answer
Then = Callable[[], None]


@dataclass(frozen=True)
class Added:
    """Seconds beyond the agent's own."""

    p50: float
    p99: float
    busiest: float
    """How much of its core the busiest processor used."""


class Loop:
    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Then]] = []
        self._number = 0

    def at(self, moment: float, then: Then) -> None:
        self._number += 1
        heapq.heappush(self._queue, (moment, self._number, then))

    def after(self, seconds: float, then: Then) -> None:
        self.at(self.now + seconds, then)

    def run(self) -> None:
        while self._queue:
            self.now, _, then = heapq.heappop(self._queue)
            then()


class Places:
    """Who finds none free waits in order of arrival."""

    def __init__(self, loop: Loop, count: int) -> None:
        self._loop = loop
        self._free = count
        self._waiting: deque[Then] = deque()
        self.used = 0.0

    def enter(self, then: Then) -> None:
        if self._free:
            self._free -= 1
            then()
        else:
            self._waiting.append(then)

    def leave(self) -> None:
        if self._waiting:
            self._waiting.popleft()()
        else:
            self._free += 1

    def hold(self, seconds: float, then: Then) -> None:
        """Wait for a place, keep it so long, go on."""

        def over() -> None:
            self.leave()
            then()

        def inside() -> None:
            self.used += seconds
            self._loop.after(seconds, over)

        self.enter(inside)


class _Minute:
    def __init__(self, plan: Plan, cost: Costs, world: World, lost: float, seed: int) -> None:
        self.plan, self.cost, self.world = plan, cost, world
        self.random, self.loop = Random(seed), Loop()
        self.ingress = self._processes(plan.ingress, lost, 1)
        self.processor = self._processes(plan.processor, lost, 1)
        self.sender = self._processes(plan.sender, lost, 1)
        self.handshakes = self._processes(plan.processor, lost, world.handshakes)
        self.seats = self._processes(plan.processor, lost, plan.sessions_each)
        self.numbers = self._processes(plan.numbers, 0, 1)
        self.added: list[float] = []

    def _processes(self, count: int, lost: float, places: int) -> list[Places]:
        left = count - round(max(1, count * lost)) if lost else count
        return [Places(self.loop, places) for _ in range(left)]

    def work(self, mean: float) -> float:
        return self.random.expovariate(1 / mean)


class _Turn:
    """Each step begins when the former one has ended."""

    def __init__(self, minute: _Minute) -> None:
        self.minute = minute
        random, plan = minute.random, minute.plan
        self.began = minute.loop.now
        self.answer = random.uniform(*minute.world.agent)
        partition = random.randrange(plan.partitions)
        self.process, self.sender = partition % len(minute.processor), partition % len(minute.sender)
        self.away = minute.world.hop + minute.world.command * minute.cost.commands / 2

    def begin(self) -> None:
        here = self.minute
        here.random.choice(here.ingress).hold(here.work(ingress_cost(here.cost, here.world)), self._accepted)

    def _accepted(self) -> None:
        self.minute.loop.after(self.away, lambda: self._compute(self._read))

    def _compute(self, then: Then) -> None:
        self.minute.processor[self.process].hold(self.minute.work(self.minute.cost.processor / 2), then)

    def _read(self) -> None:
        self.minute.seats[self.process].enter(self._seated)

    def _seated(self) -> None:
        here = self.minute
        if here.random.random() < here.plan.fresh / here.plan.peak:
            here.handshakes[self.process].hold(here.world.handshake, self._asked)
        else:
            self._asked()

    def _asked(self) -> None:
        self.minute.loop.after(self.answer, self._answered)

    def _answered(self) -> None:
        self.minute.seats[self.process].leave()
        self._compute(self._decided)

    def _decided(self) -> None:
        self.minute.loop.after(self.away, self._requested)

    def _requested(self) -> None:
        here = self.minute
        here.sender[self.sender].hold(here.work(here.cost.sender * here.world.parts), self._posted)

    def _posted(self) -> None:
        world = self.minute.world
        self.minute.random.choice(self.minute.numbers).hold(world.parts / world.number_per_s, self._shown)

    def _shown(self) -> None:
        if self.began > WARM_S:
            self.minute.added.append(self.minute.loop.now - self.began - self.answer)


def simulate(plan: Plan, cost: Costs, world: World, *, lost: float = 0.0, seed: int = 7) -> Added:
    """`lost`: which share of the processes is gone in that minute, one of each service at least."""
    there, at = _Minute(plan, cost, world, lost, seed), 0.0
    seconds = max(LEAST_S, LEAST_TURNS / plan.peak)
    while at < seconds:
        at += there.random.expovariate(plan.peak)
        there.loop.at(at, lambda: _Turn(there).begin())
    there.loop.run()
    found = sorted(there.added)
    busiest = max(one.used for one in there.processor) / seconds
    return Added(found[len(found) // 2], found[int(len(found) * 0.99)], busiest)
