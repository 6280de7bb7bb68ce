"""Numbers that an operator asked to see, for a while."""

from kit.clock import Clock
from kit.ids import digest
from kit.logs import get_log
from ops.console.sessions import Session

__all__ = ["Reveals"]

SHOWN_S = 600.0
MOST = 10_000


class Reveals:
    """Each one is in the log, with the contact as a hash: who saw what can be told afterwards."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], float] = {}
        self._log = get_log("reveals")

    def show(self, session: Session, contact: str) -> None:
        self._log.info("number revealed", by=session.by, session=session.id, contact_hash=digest(contact))
        while len(self._until) >= MOST:
            del self._until[next(iter(self._until))]
        self._until[session.id, contact] = self._clock.monotonic() + SHOWN_S

    def hide(self, session: Session, contact: str) -> None:
        self._until.pop((session.id, contact), None)

    def open(self, session: Session, contact: str) -> bool:
        return self._until.get((session.id, contact), 0.0) > self._clock.monotonic()
