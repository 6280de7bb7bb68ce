"""Stands before a MongoDB server and counts the commands that go to it, by name and collection."""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sandbox.stack.ports import HOST

__all__ = ["CountingProxy", "counting"]

OP_MSG = 2013
IDLE = {"ping", "hello", "ismaster", "isMaster", "endSessions", "buildInfo", "createIndexes", "listIndexes"}
"""What drivers and starts say by themselves."""


class CountingProxy:
    def __init__(self) -> None:
        self.commands: Counter[str] = Counter()
        self.uri = ""

    def heard(self, message: bytes) -> None:
        """The first element of the first section: header, flags, kind 0, length, type, name, length, collection."""
        if struct.unpack_from("<i", message, 12)[0] != OP_MSG:
            return
        end = message.index(b"\0", 26)
        name = message[26:end].decode()
        if name not in IDLE:
            collection = message[end + 5 : message.index(b"\0", end + 5)].decode()
            self.commands[f"{name} {collection}"] += 1


@asynccontextmanager
async def counting(server_uri: str) -> AsyncIterator[CountingProxy]:
    host, _, port = server_uri.removeprefix("mongodb://").rstrip("/").partition(":")
    proxy = CountingProxy()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, ahead = await asyncio.open_connection(host, int(port))
        back = asyncio.create_task(_back(behind, writer))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(4)
                message = head + await reader.readexactly(struct.unpack("<i", head)[0] - 4)
                proxy.heard(message)
                ahead.write(message)
                await ahead.drain()
        ahead.close()
        back.cancel()
        await asyncio.gather(back, return_exceptions=True)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    proxy.uri = f"mongodb://{HOST}:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()


async def _back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
