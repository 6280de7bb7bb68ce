"""What may go wrong, drawn once. A class says what its catcher should do.

HiloError
├── Poison              this record can never be handled: bury it
├── Retry               may succeed later: try again, spend an attempt
├── Wait                not yet: come back later, spend no attempt, hold nobody else
├── NoAnswer            an HTTP request has no usable answer: what to do depends on what was asked
├── DependencyDown      nobody's fault here: hold, spend no attempt
│   ├── BrokerDown          Kafka did not acknowledge in time
│   ├── StoreDown           MongoDB is away
│   └── TwilioDown          Twilio is away, or refuses us as a whole
└── Misconfigured       stop, name the settings, exit with code 2
"""

from collections.abc import Sequence

__all__ = [
    "BrokerDown",
    "DependencyDown",
    "HiloError",
    "Misconfigured",
    "NoAnswer",
    "Poison",
    "Retry",
    "StoreDown",
    "TwilioDown",
    "Wait",
]


class HiloError(Exception):
    """Anything of ours. Messages never hold a secret, a phone number or what a client wrote."""


class Poison(HiloError):
    """This record can never be handled; `reason` is a short name to group by."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class Retry(HiloError):
    """Worth another attempt, not before `after` seconds where given."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Wait(HiloError):
    """This record's time has not come: `after` seconds from now it may have."""

    def __init__(self, message: str, after: float) -> None:
        super().__init__(message)
        self.after = after


class NoAnswer(HiloError):
    """An HTTP request without a usable answer. `sent`: its bytes went out, so it may have had its effect."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class DependencyDown(HiloError):
    """Something we depend on is away. Hold the record; nobody's attempt is spent."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class BrokerDown(DependencyDown):
    """Kafka did not acknowledge in time.

    `sent`: the record may still arrive. Its id makes that harmless, but whoever makes another id asks a second time.
    """

    def __init__(self, message: str, after: float | None = None, *, sent: bool = False) -> None:
        super().__init__(message, after)
        self.sent = sent


class StoreDown(DependencyDown):
    """MongoDB cannot be reached. A write may or may not have happened: ours can be repeated."""


class TwilioDown(DependencyDown):
    """Twilio was not reached, or asked us to slow down: certainly nothing was sent."""


class Misconfigured(HiloError):
    """The service cannot start as it is set up; `faults` has one sentence each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)
