"""The world outside, spoken to over HTTP as anybody would."""

from typing import Any

import httpx
from fastapi import HTTPException

from sandbox.layout import Layout

__all__ = ["Outside"]

LONG_POLL_S = 20.0
PATIENCE_S = 10.0


class Outside:
    """Both simulators' control interfaces and the pretended main backend."""

    def __init__(self, layout: Layout) -> None:
        self._bases = {
            "twilio": f"{layout.url('twilio_control')}/_sim",
            "elevenlabs": f"{layout.url('elevenlabs')}/__sim",
            "backend": layout.url("backend"),
        }
        self._http = httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S)

    async def get(self, who: str, path: str, **query: Any) -> Any:
        """Raises httpx.HTTPError."""
        return (await self._http.get(self._bases[who] + path, params=query)).raise_for_status().json()

    async def news(self, who: str, path: str, after: int) -> Any:
        """A long poll: answers when there is something, or after LONG_POLL_S."""
        query = {"after": after, "wait": LONG_POLL_S}
        timeout = httpx.Timeout(PATIENCE_S, read=LONG_POLL_S + PATIENCE_S)
        response = await self._http.get(self._bases[who] + path, params=query, timeout=timeout)
        return response.raise_for_status().json()

    async def file(self, path: str) -> httpx.Response:
        return await self._http.get(self._bases["twilio"] + path)

    async def do(self, method: str, who: str, path: str, body: Any = None) -> Any:
        """For a page: what is refused or away becomes the answer that the page gets."""
        try:
            response = await self._http.request(method, self._bases[who] + path, json=body)
        except httpx.HTTPError as error:
            raise HTTPException(503, f"{who} does not answer ({type(error).__name__})") from error
        if response.is_error:
            raise HTTPException(502, f"{who} refuses: {response.text[:300]}")
        return response.json()

    async def close(self) -> None:
        await self._http.aclose()
