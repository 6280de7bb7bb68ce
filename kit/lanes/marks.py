"""How far a source is done."""

from dataclasses import dataclass

__all__ = ["Mark"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Every record below `offset` is settled; this is what may be committed.

    What is finished ahead of it is not written down: on Apache Kafka a kill -9 repeats a handful of records, and each
    costs its handler one look-up.
    """

    offset: int
