"""A stand-in for the main backend: publishes `call.completed` straight to Kafka, and reads the notices back.

It knows nothing of Hilo but the two topics: plain aiokafka, no headers, camelCase, as a foreign producer may.
"""

import argparse
import asyncio
import json
import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from fastapi import FastAPI, Query

__all__ = ["Backend", "main"]

KEPT = 10_000


class Backend:
    """Its own consumer group; notices are kept in the order they were read, numbered from 1."""

    def __init__(self, servers: str, prefix: str = "") -> None:
        self._calls = f"{prefix}call.completed"
        self._producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all")
        self._consumer = AIOKafkaConsumer(
            f"{prefix}system.notices", bootstrap_servers=servers, group_id="main-backend", auto_offset_reset="earliest"
        )
        self.notices: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._read = 0
        self._arrived = asyncio.Condition()

    async def publish(self, call: dict[str, Any]) -> dict[str, int]:
        key = str(call.get("phoneNumber", "")).encode()
        done = await self._producer.send_and_wait(self._calls, json.dumps(call).encode(), key=key)
        return {"partition": done.partition, "offset": done.offset}

    async def wait(self, contact: str | None, after: int, seconds: float) -> list[dict[str, Any]]:
        """Notices about a contact, or all, with a number above `after`; waits for the first one."""

        def found() -> list[dict[str, Any]]:
            news = (one for one in self.notices if one["n"] > after)
            return [one for one in news if contact in (None, one["data"].get("contact"))]

        async with self._arrived:
            try:
                await asyncio.wait_for(self._arrived.wait_for(found), seconds)
            except TimeoutError:
                return []
        return found()

    @asynccontextmanager
    async def running(self, _app: FastAPI) -> AsyncIterator[None]:
        await self._producer.start()
        await self._consumer.start()
        reader = asyncio.create_task(self._consume())
        try:
            yield
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            await self._consumer.stop()
            await self._producer.stop()

    async def _consume(self) -> None:
        async for record in self._consumer:
            headers = {name: value.decode() for name, value in record.headers}
            async with self._arrived:
                self._read += 1
                about = {"n": self._read, "at": headers.get("ce_time")}
                about |= {"id": headers.get("ce_id"), "type": headers.get("ce_type")}
                self.notices.append({**about, "data": json.loads(record.value or b"{}")})
                self._arrived.notify_all()


def app(backend: Backend) -> FastAPI:
    app = FastAPI(title="The main backend, pretended", lifespan=backend.running)

    @app.post("/calls", status_code=201)
    async def call_completed(call: dict[str, Any]) -> dict[str, int]:
        """A call has ended."""
        return await backend.publish(call)

    @app.get("/notices")
    async def notices(
        contact: str | None = None, after: int = 0, wait: Annotated[float, Query(ge=0, le=60)] = 0
    ) -> list[dict[str, Any]]:
        return await backend.wait(contact, after, wait)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.backend", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9977)
    parser.add_argument("--servers", default=os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"))
    given = parser.parse_args()

    async def serve() -> None:
        backend = Backend(given.servers, os.environ.get("KAFKA_TOPIC_PREFIX", ""))
        config = uvicorn.Config(app(backend), host=given.host, port=given.port, log_level="warning")
        await uvicorn.Server(config).serve()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
