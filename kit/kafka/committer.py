"""Committing marks: bounded, one at a time, never backwards."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from kit.kafka.dropped import dropped_requests
from kit.lanes import LaneExecutor, Mark
from kit.metrics import Metrics

__all__ = ["Committer"]

TICK_S = 0.25  # what a kill -9 repeats is about the rate times this
COMMIT_S = 2.0  # aiokafka retries a commit for ever while the coordinator is away


class Committer:
    """A commit that fails is simply repeated by the next tick, with whatever has been settled since."""

    def __init__(self, consumer: AIOKafkaConsumer, executor: LaneExecutor[Any, Any], metrics: Metrics) -> None:
        self._consumer = consumer
        self._executor = executor
        self._metrics = metrics
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self.flush(self._executor.dirty())

    async def flush(self, marks: Mapping[Any, Mark]) -> None:
        """Never raises for what the broker did; at most COMMIT_S, plus the commit that is under way."""
        async with self._lock:
            owned = self._consumer.assignment()
            ours = {source: mark for source, mark in marks.items() if source in owned}
            if ours:
                began = asyncio.get_running_loop().time()
                self._metrics.count("hilo_commits_total", result=await self._commit(ours))
                self._metrics.observe("hilo_commit_seconds", asyncio.get_running_loop().time() - began)

    async def _commit(self, marks: Mapping[Any, Mark]) -> str:
        try:
            async with asyncio.timeout(COMMIT_S):
                with dropped_requests():
                    await self._consumer.commit({source: mark.offset for source, mark in marks.items()})
        except (CommitFailedError, IllegalStateError):
            return "fenced"  # a rebalance was faster: whoever has the partition now starts from the last commit
        except (KafkaError, TimeoutError):
            return "failed"
        self._executor.accepted(dict(marks))
        return "ok"
