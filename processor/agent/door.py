"""What lets a socket in: our key in its handshake, or an address that was signed for it. Source: reference §3.1."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode

import httpx

from kit.http import PooledClient
from processor.agent.errors import AgentError, rejected

__all__ = ["Door", "KeyDoor", "SignedDoor", "Way"]

PATH = "/v1/convai/conversation"


@dataclass(frozen=True, slots=True)
class Way:
    """Where to connect, and with what. Both may hold a secret."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Door(Protocol):
    async def way(self, agent_id: str) -> Way:
        """For one handshake. Raises AgentError."""
        ...


class KeyDoor:
    """One round trip less; the key travels with every handshake."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._url = f"ws{base_url.removeprefix('http')}{PATH}"  # http becomes ws, https becomes wss
        self._headers = {"xi-api-key": api_key}

    async def way(self, agent_id: str) -> Way:
        return Way(f"{self._url}?{urlencode({'agent_id': agent_id})}", self._headers)


class SignedDoor:
    """Asks for every socket anew: an address is good for 15 minutes, and a refusal should be today's."""

    def __init__(self, base_url: str, api_key: str, http: PooledClient, within_s: float) -> None:
        self._url = f"{base_url}{PATH}/get-signed-url"
        self._headers = {"xi-api-key": api_key}
        self._http = http
        self._within_s = within_s

    async def way(self, agent_id: str) -> Way:
        try:
            async with asyncio.timeout(self._within_s):
                response = await self._http.request(
                    "GET", self._url, key=agent_id, params={"agent_id": agent_id}, headers=self._headers
                )
        except (TimeoutError, httpx.TimeoutException):
            raise AgentError("timeout", "connect", f"no signed URL within {self._within_s:g} s") from None
        except httpx.HTTPError as error:
            raise AgentError("transient", "connect", type(error).__name__) from None
        if not response.is_success:
            raise rejected(response.status_code, response.text, response.headers.get("Retry-After", ""))
        return Way(_signed(response))


def _signed(response: httpx.Response) -> str:
    try:
        url = response.json()["signed_url"]
    except (ValueError, LookupError, TypeError):
        url = None
    if not isinstance(url, str) or not url.startswith(("ws://", "wss://")):
        raise AgentError("protocol", "connect", "an answer without a signed URL")
    return url
