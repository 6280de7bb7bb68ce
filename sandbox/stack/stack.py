"""Kafka and MongoDB together: started at once, stopped at once, or simply those that exist already."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.stack.jars import Progress, silent
from sandbox.stack.kafka import KafkaServer
from sandbox.stack.mongo import MongoServer
from sandbox.stack.together import all_or_none


class Stack:
    """What `kafka` or `mongo` (an address) names is used as it is: not started, not checked, not stopped."""

    def __init__(
        self,
        data: Path,
        *,
        kafka_port: int | None = None,
        mongo_port: int | None = None,
        kafka: str | None = None,
        mongo: str | None = None,
        cache: Path | None = None,
        progress: Progress = silent,
    ) -> None:
        self._kafka_address = kafka
        self._mongo_address = mongo
        self.kafka = None if kafka else KafkaServer(data, kafka_port, cache=cache, progress=progress)
        self.mongo = None if mongo else MongoServer(data, mongo_port, cache=cache, progress=progress)

    @property
    def bootstrap_servers(self) -> str:
        return self.kafka.bootstrap_servers if self.kafka else self._kafka_address or ""

    @property
    def mongodb_uri(self) -> str:
        return self.mongo.uri if self.mongo else self._mongo_address or ""

    async def start(self) -> None:
        """Return when both answer; if one fails nothing is left running and its `StackError` is raised."""
        try:
            await all_or_none(server.start() for server in self._servers())
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop both at the same time: about 1 s, at most the longer grace."""
        await asyncio.gather(*(server.stop() for server in self._servers()))

    def _servers(self) -> list[KafkaServer | MongoServer]:
        return [server for server in (self.kafka, self.mongo) if server is not None]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
