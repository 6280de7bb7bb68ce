"""Voice notes in words: fetched from Twilio, transcribed, forgotten. The store keeps the words, never the sound."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from kit.logs import get_log
from kit.media import Fetched, MediaRefused
from kit.metrics import Metrics
from schemas.events import MessageReceived

__all__ = ["Hearing", "Transcriber", "TranscriptionFailed"]

Fetch = Callable[[str, str], Awaitable[Fetched]]


class TranscriptionFailed(Exception):
    """These sounds could not be made out; the message names no content."""


class Transcriber(Protocol):
    async def transcribe(self, sound: bytes, content_type: str) -> str:
        """The words, possibly none. Raises TranscriptionFailed."""
        ...


class Hearing:
    """Never raises: what cannot be heard is None, and the client is asked kindly to write."""

    def __init__(self, fetch: Fetch, transcriber: Transcriber, metrics: Metrics) -> None:
        self._fetch = fetch
        self._transcriber = transcriber
        self._metrics = metrics
        self._log = get_log("hearing")

    async def words(self, message: MessageReceived) -> str | None:
        sounds = [one for one in message.media if one.content_type.startswith("audio/")]
        if not sounds:
            return None
        try:
            sound = await self._fetch(sounds[0].url, message.message_sid)
            text = (await self._transcriber.transcribe(sound.content, sound.content_type)).strip()
        except (MediaRefused, TranscriptionFailed) as error:
            self._log.warning("voice note not heard", event_id=message.message_sid, reason=str(error))
            self._metrics.count("hilo_voice_notes_total", result="failed")
            return None
        self._metrics.count("hilo_voice_notes_total", result="heard" if text else "silent")
        return text or None
