"""What can go wrong on purpose: each trouble is one or two faults of a simulator, until it is ended."""

from dataclasses import dataclass
from typing import Any

from sandbox.phone.hub import Hub
from sandbox.phone.outside import Outside

__all__ = ["TROUBLES", "Troubles"]


@dataclass(frozen=True, slots=True)
class Trouble:
    key: str
    of: str
    """The simulator: twilio, elevenlabs."""
    faults: tuple[dict[str, Any], ...]


def _agent(key: str, *faults: dict[str, Any]) -> Trouble:
    # `times` null repeats for ever.
    return Trouble(key, "elevenlabs", tuple({"times": None, **fault} for fault in faults))


def _twilio(key: str, **fault: Any) -> Trouble:
    return Trouble(key, "twilio", ({"times": None, **fault},))


POST = {"method": "POST", "path": "Messages"}
TROUBLES = (
    # Sockets that are open already are closed too.
    _agent(
        "agent_down",
        {"at": "handshake", "do": {"kind": "http", "status": 503}},
        {"at": "before_reply", "do": {"kind": "close", "code": 1001}},
    ),
    _agent("agent_slow", {"at": "before_reply", "do": {"kind": "slow", "factor": 15}}),
    _agent("agent_error", {"at": "before_reply", "do": {"kind": "close", "code": 1011, "error_frame": "nested"}}),
    _twilio("twilio_500", effect="error", http=500, **POST),
    _twilio("twilio_busy", effect="error", http=429, code=20429, retry_after=2, **POST),
    _twilio("twilio_slow", effect="delay", seconds=4, **POST),
    _twilio("twilio_unclear", effect="reset", after=True, probability=0.5, **POST),
    _twilio("callbacks_lost", effect="drop", kind="status"),
    _twilio("callbacks_twice", effect="duplicate", kind="status", seconds=0.5),
    _twilio("callbacks_shuffled", effect="shuffle", kind="status", count=3, seconds=5),
    _twilio("webhooks_twice", effect="replay", kind="inbound", seconds=0.5),
    _twilio("webhooks_late", effect="hold", kind="inbound", seconds=5),
    _twilio("webhooks_lost", effect="drop", kind="inbound"),
)


class Troubles:
    """Which are on is what was switched here, minus what a simulator forgot."""

    def __init__(self, outside: Outside, hub: Hub) -> None:
        self._outside = outside
        self._hub = hub
        self._known = {trouble.key: trouble for trouble in TROUBLES}
        self._on: dict[str, list[str]] = {}

    def stories(self) -> list[dict[str, Any]]:
        return [{"key": one.key, "of": one.of, "on": one.key in self._on} for one in TROUBLES]

    async def switch(self, key: str, *, on: bool) -> None:
        """Harmless twice. Raises KeyError for an unknown one, HTTPException where the simulator is away."""
        trouble = self._known[key]
        if on and key not in self._on:
            self._on[key] = []
            for fault in trouble.faults:
                told = await self._outside.do("POST", trouble.of, "/faults", fault)
                self._on[key].append(str(told["id"]))
        elif not on and key in self._on:
            for fault_id in self._on.pop(key):
                await self._outside.do("DELETE", trouble.of, f"/faults/{fault_id}")
        self._tell()

    async def all_well(self) -> None:
        """Ends every fault, also what somebody else set."""
        self._on.clear()
        for simulator in ("twilio", "elevenlabs"):
            await self._outside.do("DELETE", simulator, "/faults")
        self._tell()

    def forgotten(self, simulator: str) -> None:
        """It started over: nothing is wrong there any more."""
        self._on = {key: ids for key, ids in self._on.items() if self._known[key].of != simulator}
        self._tell()

    def _tell(self) -> None:
        self._hub.tell("troubles", self.stories())
