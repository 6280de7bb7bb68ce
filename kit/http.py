"""HTTP out: pools of small clients, every timeout ours.

One `httpx.AsyncClient` walks all its connections on every request: 24 ms CPU at 256 concurrent, 2 ms in sixteen clients
of sixteen (encode/httpcore#1035). So a pool is k clients of at most 16 connections, chosen by a key's hash.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from zlib import crc32

import httpx

__all__ = ["PooledClient"]

CONNECTIONS = 16


class PooledClient:
    """`concurrency` requests at once; a key always goes to the same client."""

    def __init__(self, *, concurrency: int = 32, connect_s: float = 3.0, total_s: float = 10.0) -> None:
        self._total_s = total_s
        self._permits = asyncio.Semaphore(concurrency)
        self._clients = [
            httpx.AsyncClient(
                timeout=httpx.Timeout(total_s, connect=connect_s, pool=connect_s),
                limits=httpx.Limits(
                    max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=30
                ),
                follow_redirects=False,
                trust_env=False,
            )
            for _ in range(max(1, -(-concurrency // CONNECTIONS)))
        ]

    async def request(
        self,
        method: str,
        url: str,
        *,
        key: str = "",
        params: Mapping[str, str] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> httpx.Response:
        """Raises httpx.HTTPError. ConnectError, ConnectTimeout and PoolTimeout mean that no byte went out.

        `total_s` bounds the whole exchange, a slowly dripping answer included: that is a ReadTimeout. `before` runs
        when no permit has to be waited for any more; what it raises comes out, and no byte has gone out.
        """
        client = self._clients[crc32(key.encode()) % len(self._clients)]
        async with self._permits:
            if before:
                await before()
            try:
                async with asyncio.timeout(self._total_s):
                    return await client.request(method, url, params=params, data=data, headers=headers, auth=auth)
            except TimeoutError:
                raise httpx.ReadTimeout("no complete answer in time") from None

    async def start(self) -> None:
        """Connections are made when they are needed."""

    async def stop(self) -> None:
        for client in self._clients:
            await client.aclose()
