"""Records that could not be used: bytes, key and headers unchanged, with where they came from and why.

One that is too large to be sent again is kept with its beginning, without its headers, and says how long it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kit.clock import Clock
from kit.errors import Poison
from kit.kafka.outlet import Outlet
from kit.logs import get_log
from kit.metrics import Metrics
from schemas.attributes import WireRecord
from schemas.topics import DEAD_LETTERS

__all__ = ["KEPT", "PREFIX", "DeadLetters", "Position"]

PREFIX = "hilo_dead_"
KEPT, KEPT_KEY = 64 * 1024, 1024  # bytes of a record that is too large to be buried whole


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


class DeadLetters:
    """Burial is acknowledged by the broker before the record counts as settled."""

    def __init__(self, outlet: Outlet, clock: Clock, metrics: Metrics) -> None:
        self._outlet = outlet
        self._clock = clock
        self._metrics = metrics
        self._log = get_log("dead_letters")

    async def bury(
        self, record: WireRecord, position: Position, *, group: str, reason: str, detail: str, attempts: int = 1
    ) -> None:
        """Raises BrokerDown; then the record is not buried, and stays where it is."""
        about = {
            "topic": position.topic,
            "partition": str(position.partition),
            "offset": str(position.offset),
            "group": group,
            "reason": reason,
            "detail": detail[:1000],
            "attempts": str(attempts),
            "at": self._clock.now().isoformat(),
        }
        try:
            await self._outlet.publish_record(DEAD_LETTERS.name, _letter(record, about))
        except Poison:
            # It came compressed, and is more than we may send: rather its beginning than a partition that stands still.
            about["cut"] = str(len(record.value or b""))
            beginning = WireRecord(record.key and record.key[:KEPT_KEY], record.value and record.value[:KEPT], [])
            await self._outlet.publish_record(DEAD_LETTERS.name, _letter(beginning, about))
        self._metrics.count("hilo_dead_letters_total", topic=position.topic, reason=reason)
        self._log.error("record buried", position=str(position), reason=reason, detail=detail[:1000])


def _letter(record: WireRecord, about: Mapping[str, str]) -> WireRecord:
    headers = [*record.headers, *((PREFIX + name, value.encode()) for name, value in about.items())]
    return WireRecord(record.key, record.value, headers)
