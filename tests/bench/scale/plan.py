"""The arithmetic: from conversations a day to processes, partitions and sockets; docs/scale.md has it in words."""

import math
from dataclasses import dataclass

from tests.bench.scale.costs import Costs, World

__all__ = ["PARTITIONS", "Plan", "plan"]

PARTITIONS = (24, 48, 96, 192, 384, 768)
LEAST = 2  # processes: one may die
DAY_S, HOUR_S = 86_400, 3_600
RECORDS = 2  # of a turn, beside its callbacks: contact.log and message.outbound
SPARE = 4  # standard deviations: contacts do not come evenly to one process


@dataclass(frozen=True)
class Plan:
    """For one size, in its worst minute."""

    conversations: int
    mean: float
    """Turns a second."""
    peak: float
    partitions: int
    ingress: int
    processor: int
    sender: int
    at_work: float
    """Turns that wait for the agent's answer."""
    sockets: float
    """Open to ElevenLabs: those at work, and those kept for the client's next message."""
    fresh: float
    """New sockets a second."""
    posts: float
    """To Twilio, a second."""
    numbers: int
    commands: float
    """To MongoDB, a second."""
    shards: int
    records: float
    """Written to Kafka, a second."""
    memory_gb: float

    @property
    def sessions_each(self) -> int:
        """`AGENT_MAX_SESSIONS` of each processor."""
        each = self.sockets / self.processor
        return math.ceil(each + SPARE * math.sqrt(each))


def plan(conversations: int, cost: Costs, world: World, *, keep: bool = True) -> Plan:
    """`keep`: sockets stay open for the next message; otherwise each turn opens one, and fewer are open."""
    mean = conversations * world.turns / DAY_S
    peak = conversations * world.turns * world.peak_share * world.burst / HOUR_S
    fresh = peak * (_fresh_share(world) if keep else 1)
    shaking = fresh * world.handshake / world.handshakes  # processes that do nothing but let sockets in
    need = {
        "ingress": peak * ingress_cost(cost, world) / world.busy,
        "processor": max(peak * cost.processor, shaking) / world.busy,
        "sender": peak * cost.sender * world.parts / world.busy,
    }
    partitions = _partitions(max(need["processor"], need["sender"]))
    count = {name: _even(need[name], partitions) for name in ("processor", "sender")}
    count["ingress"] = max(LEAST, math.ceil(need["ingress"]))
    return Plan(
        conversations=conversations,
        mean=mean,
        peak=peak,
        partitions=partitions,
        **count,
        at_work=peak * world.answer,
        sockets=peak * (world.answer + (_kept(world) if keep else 0)),
        fresh=fresh,
        posts=peak * world.parts,
        numbers=math.ceil(peak * world.parts / world.number_per_s / world.number_share),
        commands=peak * cost.commands,
        shards=math.ceil(peak * cost.commands / world.primary_per_s),
        records=peak * (RECORDS + world.parts * world.statuses),
        memory_gb=sum(number * cost.memory_mb[name] for name, number in count.items()) / 1000,
    )


def ingress_cost(cost: Costs, world: World) -> float:
    """Measured with one bubble an answer, and its callbacks."""
    return cost.ingress * (1 + world.parts * world.statuses) / (1 + world.statuses)


def _fresh_share(world: World) -> float:
    """Of a conversation's turns: the first, and each one whose client took longer than a socket is kept."""
    return (1 + (world.turns - 1) * math.exp(-world.idle / world.gap)) / world.turns


def _kept(world: World) -> float:
    """Seconds for which a socket is kept after an answer: until the next message, or until it was idle for too long."""
    until_next = world.gap * (1 - math.exp(-world.idle / world.gap))
    return ((world.turns - 1) * until_next + world.idle) / world.turns


def _partitions(processes: float) -> int:
    """Two for each process of the worst minute: room to double, for the number is final."""
    return next((one for one in PARTITIONS if one >= 2 * processes), PARTITIONS[-1])


def _even(need: float, partitions: int) -> int:
    """The fewest processes of which none has more partitions than it can serve."""
    each = max(1, math.floor(partitions / need))
    return min(partitions, max(LEAST, math.ceil(partitions / each)))
