"""ElevenLabs' speech-to-text behind `Transcriber`. Source: `POST /v1/speech-to-text` of the official SDK (2.78)."""

import asyncio

import httpx

from processor.hearing import TranscriptionFailed

__all__ = ["ElevenLabsTranscriber"]

MODEL = "scribe_v2"  # the one the official SDK names in its examples
TOTAL_S, CONNECT_S = 20.0, 3.0  # a voice note of a few minutes; the client waits meanwhile


class ElevenLabsTranscriber:
    """A part of the service."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._url = f"{base_url}/v1/speech-to-text"
        self._http = httpx.AsyncClient(
            headers={"xi-api-key": api_key}, timeout=httpx.Timeout(TOTAL_S, connect=CONNECT_S), trust_env=False
        )

    async def start(self) -> None:
        """Connections are made when they are needed."""

    async def stop(self) -> None:
        await self._http.aclose()

    async def transcribe(self, sound: bytes, content_type: str) -> str:
        """One attempt: a client waits, and asking kindly to write is better than a long silence."""
        files = {"file": ("voice", sound, content_type)}
        try:
            async with asyncio.timeout(TOTAL_S):
                response = await self._http.post(self._url, data={"model_id": MODEL}, files=files)
            text = response.raise_for_status().json()["text"]
        except httpx.HTTPStatusError as error:
            raise TranscriptionFailed(f"HTTP {error.response.status_code}") from None
        except (TimeoutError, httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise TranscriptionFailed(type(error).__name__) from None
        if not isinstance(text, str):
            raise TranscriptionFailed("no text in the answer")
        return text
