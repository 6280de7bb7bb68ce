"""How far every group is behind, as the broker has it: also of a group that nobody serves just now (ADR 0025)."""

from datetime import timedelta

from janitor.rounds import Rounds
from kit.kafka.lag import partition_lags
from kit.service import Tools
from kit.settings import KafkaSettings

__all__ = ["Lag"]


class Lag(Rounds):
    def __init__(self, settings: KafkaSettings, tools: Tools, every: timedelta) -> None:
        super().__init__("lag", every, tools)
        self._settings = settings

    async def once(self) -> int:
        """How many records wait in all. Raises BrokerDown; the gauges keep what they had."""
        waiting = 0
        for one in await partition_lags(self._settings):
            at = {"group": one.group, "topic": one.topic, "partition": str(one.partition)}
            self._tools.metrics.set("hilo_group_lag", one.waiting, **at)
            self._tools.metrics.set("hilo_group_offset", one.committed, **at)
            waiting += one.waiting
        return waiting
