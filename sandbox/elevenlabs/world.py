"""Everything the parts of one simulator share. Built once, in `simulator.py`."""

import itertools
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from sandbox.elevenlabs.admission import Admission
from sandbox.elevenlabs.agents import AgentFixture
from sandbox.elevenlabs.clock import SimClock
from sandbox.elevenlabs.faults import FaultBook
from sandbox.elevenlabs.records import Record, Records
from sandbox.elevenlabs.signed_urls import SignedUrls
from sandbox.elevenlabs.stats import Stats
from sandbox.elevenlabs.transcription import Recordings
from sandbox.elevenlabs.webhook import WebhookCourier
from sandbox.elevenlabs.wire_log import WireLogs

__all__ = ["Open", "World"]


class Open(Protocol):
    """An open conversation, as far as the world knows it."""

    agent: AgentFixture
    record: Record | None

    @property
    def user_id(self) -> str | None: ...

    def cut(self) -> None: ...

    def as_json(self) -> dict[str, Any]: ...


@dataclass
class World:
    """`rng` is seeded: the same calls in the same order behave the same."""

    clock: SimClock
    rng: random.Random
    stats: Stats
    faults: FaultBook
    admission: Admission
    records: Records
    logs: WireLogs
    webhook: WebhookCourier
    signed_urls: SignedUrls
    recordings: Recordings = field(default_factory=Recordings)
    agents: dict[str, AgentFixture] = field(default_factory=dict)
    sessions: dict[str, Open] = field(default_factory=dict)
    sessions_of: Counter[str] = field(default_factory=Counter)
    _fixtures: list[AgentFixture] = field(default_factory=list)
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def new_id(self, prefix: str) -> str:
        """Unique in this process and the same for the same seed and order."""
        return f"{prefix}_{self.rng.getrandbits(64):016x}{next(self._ids):06x}"

    def set_agents(self, fixtures: Iterable[AgentFixture]) -> None:
        """The agents that there are now and after every reset."""
        self._fixtures = [fixture.model_copy(deep=True) for fixture in fixtures]
        self.agents.update({fixture.agent_id: fixture for fixture in fixtures})

    def reset(self) -> None:
        """As after the start; open conversations are cut. The clock keeps its time, the ids go on."""
        for session in list(self.sessions.values()):
            session.cut()
        self.faults.reset()
        self.admission.new_day()
        self.records.clear()
        self.logs.clear()
        self.webhook.clear()
        self.signed_urls.clear()
        self.recordings.clear()
        self.stats.clear()
        self.sessions_of.clear()
        self.agents.clear()
        self.agents.update({f.agent_id: f.model_copy(deep=True) for f in self._fixtures})

    def knows_key(self, api_key: str | None) -> bool:
        return api_key is not None and any(api_key in agent.api_keys for agent in self.agents.values())
