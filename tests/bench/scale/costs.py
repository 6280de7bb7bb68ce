"""What a turn costs, from the last run of `path_end_to_end`; what is assumed where nothing is measured."""

import json
from dataclasses import dataclass
from typing import Any

from processor.agent.pool import HANDSHAKES
from processor.agent.timing import Timing
from tests.bench.harness import RESULTS

__all__ = ["CURVE", "MEASURED", "WORLD", "Costs", "World", "costs"]

MEASURED = RESULTS / "path_end_to_end.json"
CURVE = (4, 2, 1, 1, 1, 2, 8, 20, 42, 62, 72, 76, 74, 66, 64, 66, 70, 74, 76, 72, 60, 42, 24, 10)
"""Messages of each hour of a day, in any unit: a business that is written to from eight in the morning on."""


@dataclass(frozen=True)
class Costs:
    """Of one turn: one message of a client, one bubble as its answer, three callbacks. CPU in seconds."""

    ingress: float
    processor: float
    sender: float
    everything: float
    """Kafka, the store and the simulators too, which were on the same machine."""
    commands: float
    """To MongoDB, by processor and sender."""
    memory_mb: dict[str, float]
    turns_per_s: float
    """The most that machine managed."""
    machine: str
    at: str


@dataclass(frozen=True)
class World:
    """Assumptions. Seconds, unless it says otherwise."""

    turns: float = 6
    """Of a conversation in a day, the greeting among them."""
    parts: float = 1.2
    """Bubbles of an answer."""
    statuses: float = 3
    """Callbacks of a bubble: sent, delivered, read."""
    burst: float = 1.5
    """The worst minute against its hour."""
    busy: float = 0.6
    """How much of its core a process may use in the worst minute."""
    agent: tuple[float, float] = (3, 8)
    gap: float = 90
    """From our answer to the client's next message, on average."""
    idle: float = Timing().idle
    handshakes: int = HANDSHAKES
    """Of one process at once."""
    handshake: float = 0.2
    """Until ElevenLabs has let a socket in: an assumption, never measured on theirs."""
    hop: float = 0.01
    """A record's way through Kafka."""
    command: float = 0.001
    """A command's way to MongoDB and back."""
    number_per_s: float = 80
    """WhatsApp's limit of one number; text up to 400 on request."""
    account_per_s: float = 2000
    sessions: int = 750
    """Chats at once in ElevenLabs' plans Scale and Business; 100, 150, 250, 500 in Free, Starter, Creator, Pro."""
    calls: int = 30
    """Voice calls at once in the same plans: a chat counts as one until it is let in."""
    share: float = 0.6
    """How much of ElevenLabs' limits is planned for: phone calls need the rest."""
    number_share: float = 0.8
    """How much of Twilio's."""
    primary_per_s: float = 10_000
    """Commands that one MongoDB primary shall take: an assumption, to be measured on yours."""

    @property
    def peak_share(self) -> float:
        """Of the day's messages, in its busiest hour."""
        return max(CURVE) / sum(CURVE)

    @property
    def answer(self) -> float:
        return sum(self.agent) / 2


WORLD = World()


def costs(path: Any = MEASURED) -> Costs:
    found = json.loads(path.read_text())
    details = found["details"]
    used = {name: value / 1000 for name, value in details["flat_out"]["cpu_ms_a_turn"].items()}
    return Costs(
        used["ingress"],
        used["processor"],
        used["sender"],
        used["all"],
        details["mongo_commands_a_turn"]["all"],
        details["memory_mb"],
        details["flat_out"]["turns_per_s"],
        found["machine"],
        found["at"],
    )
