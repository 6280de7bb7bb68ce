"""Fetching a client's media from Twilio. Our credentials go to Twilio's API and to nobody else.

A media URL comes in a form that is signed, and still it is data: only an address below our own account and this very
message gets credentials, and the redirect to a CDN is followed without them (chatwoot PR #15502).
"""

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx

from kit.settings import TwilioSettings

__all__ = ["Fetched", "MediaRefused", "TwilioMedia"]

MOST_BYTES = 16 * 1024 * 1024  # WhatsApp's own limit for media
TOTAL_S, CONNECT_S = 10.0, 3.0
NOT_YET_S = (1.0, 3.0)  # fresh media may be 404 for a moment (chatwoot PR #15499)
HOPS = 3
TRUSTED = (".twilio.com", ".twiliocdn.com", ".amazonaws.com")  # where Twilio's redirects lead
MAGIC = ((b"OggS", "audio/ogg"), (b"ID3", "audio/mpeg"), (b"\xff\xfb", "audio/mpeg"), (b"#!AMR", "audio/amr"))
TYPES = re.compile(r"audio/[a-z0-9.+-]{1,40}")


class MediaRefused(Exception):
    """Not fetched; the message says why and names no address."""


@dataclass(frozen=True, slots=True)
class Fetched:
    content: bytes
    content_type: str


class TwilioMedia:
    """A part of the service."""

    def __init__(self, settings: TwilioSettings) -> None:
        self._base = settings.twilio_base_url
        self._account = settings.twilio_account_sid
        key, secret = settings.twilio_api_key_sid, settings.twilio_api_key_secret
        token = settings.twilio_auth_token.get_secret_value()
        self._auth = (key, secret.get_secret_value()) if key and secret else (self._account, token)
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(TOTAL_S, connect=CONNECT_S), follow_redirects=False, trust_env=False
        )

    async def start(self) -> None:
        """Connections are made when they are needed."""

    async def stop(self) -> None:
        await self._http.aclose()

    async def sound(self, url: str, message_sid: str) -> Fetched:
        """What is a sound by its content or its name. Raises MediaRefused, within 15 s."""
        return _checked(await self.fetch(url, message_sid))

    async def fetch(self, url: str, message_sid: str) -> Fetched:
        """Whatever it is. Raises MediaRefused, within 15 s."""
        message = rf"{re.escape(self._base)}/2010-04-01/Accounts/{self._account}/Messages/{re.escape(message_sid)}"
        ours = rf"{message}/Media/ME[0-9a-f]{{32}}"
        if not re.fullmatch(ours, url):
            raise MediaRefused("not an address of this message's media")
        for pause in (*NOT_YET_S, None):
            try:
                async with asyncio.timeout(TOTAL_S):
                    found = await self._follow(url)
            except (TimeoutError, httpx.HTTPError) as error:
                raise MediaRefused(type(error).__name__) from None
            if found is not None:
                return found
            if pause:
                await asyncio.sleep(pause)
        raise MediaRefused("not there")

    async def _follow(self, url: str) -> Fetched | None:
        """None where it is not there yet."""
        auth: tuple[str, str] | None = self._auth
        for _ in range(HOPS):
            async with self._http.stream("GET", url, auth=auth) as response:
                if response.is_redirect:
                    url, auth = self._next(url, response.headers.get("location", "")), None
                    continue
                if response.status_code == httpx.codes.NOT_FOUND:
                    return None
                if not response.is_success:
                    raise MediaRefused(f"HTTP {response.status_code}")
                return Fetched(await _read(response), response.headers.get("content-type", "").split(";")[0].strip())
        raise MediaRefused("too many redirects")

    def _next(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        host = urlsplit(target).hostname or ""
        if target.startswith(f"{self._base}/") or (target.startswith("https://") and host.endswith(TRUSTED)):
            return target
        raise MediaRefused("a redirect to somebody else")


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MOST_BYTES:
            raise MediaRefused(f"more than {MOST_BYTES} bytes")
    return bytes(content)


def _checked(found: Fetched) -> Fetched:
    """What it is decides, not what it calls itself."""
    for magic, kind in MAGIC:
        if found.content.startswith(magic):
            return Fetched(found.content, kind)
    if not TYPES.fullmatch(found.content_type):
        raise MediaRefused("no sound")
    return found
