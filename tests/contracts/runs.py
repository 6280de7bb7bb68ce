"""A run as a lane would give it, with nothing waiting behind it."""

from typing import cast

from kit.kafka.delivery import Delivery
from kit.lanes import Run

__all__ = ["run_of"]


class _Taken:
    def __init__(self, records: tuple[Delivery, ...]) -> None:
        self.records = records
        self.behind: tuple[Delivery, ...] = ()

    async def arrival(self, _: float) -> bool:
        return False

    async def linger(self, _: float) -> bool:
        return False

    def take(self) -> int:
        return 0


def run_of(*records: Delivery) -> Run[Delivery]:
    return cast("Run[Delivery]", _Taken(records))
