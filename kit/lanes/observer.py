"""What lanes tell whoever counts. Every method does nothing unless it is overridden."""

from collections.abc import Hashable

__all__ = ["Observer"]


class Observer:
    def started(self, source: Hashable, waited: float) -> None:
        """A run began `waited` seconds after its first record was admitted."""

    def settled(self, source: Hashable, records: int, seconds: float) -> None:
        """A run's handler returned after `seconds`."""

    def buried(self, source: Hashable, reason: str) -> None: ...

    def put_off(self, source: Hashable, fate: str, error: BaseException, delay: float) -> None:
        """A run failed and comes back after `delay` seconds."""

    def regressed(self, source: Hashable) -> None:
        """Its offsets went back: the log or the position was reset, and a new ledger was opened."""

    def frozen(self, source: Hashable) -> None:
        """Most of it would have to be buried: it stands still until somebody has looked."""
