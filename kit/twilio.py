"""Twilio's REST, as the sender and the janitor need it, with the one distinction that matters: did the request go out?

The package's own client is not used for this: its async side ignores timeouts and posts again on every 5xx
(twilio-python#925, ADR 0010). Its validator and error shapes are.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from typing import Any, Literal

import httpx

from kit.errors import TwilioDown
from kit.http import PooledClient
from kit.settings import TwilioSettings
from schemas.contact import to_wire

__all__ = ["Created", "Fetched", "Listed", "Received", "Twilio"]

Class = Literal["ACCEPTED", "NOT_SENT", "REJECTED", "CONFIG", "UNKNOWN"]
TYPING_S = 2.0  # nobody waits for it
UNTOUCHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Created:
    """What became of one POST (Twilio error 20500: a message may exist after a 5xx).

    NOT_SENT nothing happened, repeat freely · REJECTED Twilio refused this message · CONFIG Twilio refuses us ·
    ACCEPTED it has a SID · UNKNOWN it may or may not exist.
    """

    outcome: Class
    sid: str | None = None
    code: int | None = None
    detail: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    sid: str
    body: str
    status: str
    direction: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Fetched:
    """What Twilio knows of one message now."""

    status: str
    code: int | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A client's message as Twilio's list has it: without what only its webhook told (buttons, places, names)."""

    sid: str
    address: str
    channel: str
    body: str
    media: int
    at: datetime


PAGE = 1000  # the most that Twilio gives at once


class Twilio:
    """Messages of one account."""

    def __init__(self, settings: TwilioSettings, http: PooledClient) -> None:
        self._http = http
        self._base = settings.twilio_base_url
        self._messages = f"{self._base}/2010-04-01/Accounts/{settings.twilio_account_sid}/Messages.json"
        key, secret = settings.twilio_api_key_sid, settings.twilio_api_key_secret
        token = settings.twilio_auth_token.get_secret_value()
        self._auth = (key, secret.get_secret_value()) if key and secret else (settings.twilio_account_sid, token)

    async def create(
        self,
        *,
        to: str,
        channel: str,
        callback: str,
        content: Mapping[str, str],
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> Created:
        """POST one message. Never raises for what Twilio or the network did, never posts twice.

        `before` runs immediately before the bytes go out; what it raises comes out, and nothing was posted.
        """
        form = {"To": to_wire(to), "From": to_wire(channel), "StatusCallback": callback, **content}
        try:
            response = await self._http.request(
                "POST", self._messages, key=to, data=form, auth=self._auth, before=before
            )
        except UNTOUCHED as error:
            return Created("NOT_SENT", detail=type(error).__name__)
        except httpx.HTTPError as error:
            return Created("UNKNOWN", detail=type(error).__name__)
        return _classify(response)

    async def list_to(self, *, to: str, channel: str) -> list[Listed]:
        """The newest messages from `channel` to `to`. Raises httpx.HTTPError.

        Without a DateSent filter: a queued message has none, and might be missed by it.
        """
        params = {"To": to_wire(to), "From": to_wire(channel), "PageSize": "20"}
        response = await self._http.request("GET", self._messages, key=to, params=params, auth=self._auth)
        response.raise_for_status()
        try:
            return [_listed(one) for one in response.json()["messages"]]
        except (KeyError, TypeError, ValueError):
            raise httpx.DecodingError("the list is cut, or no list", request=response.request) from None

    async def received(self, *, channel: str, since: datetime) -> list[Received]:
        """What clients wrote to `channel` since then, newest first, all pages of it. Raises TwilioDown."""
        since_text = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        params: dict[str, str] | None = {"To": to_wire(channel), "DateSent>": since_text, "PageSize": str(PAGE)}
        url, found = self._messages, []
        while url:
            body = await self._listing(url, params)
            found += [_received(one) for one in body["messages"] if one["direction"] == "inbound"]
            url, params = self._next(body.get("next_page_uri")), None
        return found

    async def media_of(self, sid: str) -> list[tuple[str, str]]:
        """(URL, content type) of a message's files, as its webhook would have given them. Raises TwilioDown."""
        url = f"{self._messages.removesuffix('.json')}/{sid}/Media"
        body = await self._listing(f"{url}.json", None)
        return [(f"{url}/{one['sid']}", one["content_type"]) for one in body["media_list"]]

    def _next(self, uri: str | None) -> str:
        return f"{self._messages.partition('/2010-04-01/')[0]}{uri}" if uri else ""

    async def _listing(self, url: str, params: Mapping[str, str] | None) -> dict[str, Any]:
        try:
            response = await self._http.request("GET", url, params=params, auth=self._auth)
        except httpx.HTTPError as error:
            raise TwilioDown(f"no list: {type(error).__name__}") from None
        body = _json(response)
        if not response.is_success or not body:
            raise TwilioDown(f"no list: HTTP {response.status_code}", _retry_after(response))
        return body

    async def fetch(self, sid: str) -> Fetched | None:
        """One message as it stands; None where Twilio has forgotten it. Raises httpx.HTTPError."""
        url = f"{self._messages.removesuffix('.json')}/{sid}.json"
        response = await self._http.request("GET", url, key=sid, auth=self._auth)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        response.raise_for_status()
        body = _json(response)
        if not isinstance(body.get("status"), str):
            raise httpx.DecodingError("the message is cut", request=response.request)
        return Fetched(body["status"], body.get("error_code"), body.get("error_message"))

    async def typing(self, message_sid: str) -> bool:
        """Mark a message read and show that we are writing, for 25 s at most. Whether Twilio took it; never raises."""
        base = self._base.replace("https://api.twilio.com", "https://messaging.twilio.com")
        try:
            async with asyncio.timeout(TYPING_S):
                response = await self._http.request(
                    "POST",
                    f"{base}/v2/Indicators/Typing.json",
                    key=message_sid,
                    data={"channel": "whatsapp", "messageId": message_sid},
                    auth=self._auth,
                )
        except (TimeoutError, httpx.HTTPError):
            return False
        return response.is_success

    async def reachable(self) -> Created:
        """One cheap authenticated read, for `hilo doctor`."""
        try:
            response = await self._http.request("GET", self._messages, params={"PageSize": "1"}, auth=self._auth)
        except httpx.HTTPError as error:
            return Created("NOT_SENT", detail=type(error).__name__)
        return Created("ACCEPTED") if response.is_success else _classify(response)


def _listed(one: dict[str, Any]) -> Listed:
    created = parsedate_to_datetime(one["date_created"])
    return Listed(one["sid"], one["body"] or "", one["status"], one["direction"], created)


def _received(one: dict[str, Any]) -> Received:
    return Received(
        sid=one["sid"],
        address=one["from"],
        channel=one["to"],
        body=one["body"] or "",
        media=int(one["num_media"] or 0),
        at=parsedate_to_datetime(one["date_created"]),
    )


def _classify(response: httpx.Response) -> Created:
    body = _json(response)
    code = body.get("code") if isinstance(body.get("code"), int) else None
    detail = f"HTTP {response.status_code}"
    if response.status_code == httpx.codes.CREATED and isinstance(body.get("sid"), str):
        return Created("ACCEPTED", sid=body["sid"], detail=str(body.get("status", "")))
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return Created("NOT_SENT", code=code, detail=detail, retry_after=_retry_after(response))
    if response.status_code in {401, 403, 404}:
        return Created("CONFIG", code=code, detail=detail)
    if response.is_client_error and body:
        return Created("REJECTED", code=code, detail=detail)
    return Created("UNKNOWN", code=code, detail=detail)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except (JSONDecodeError, UnicodeDecodeError):
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return min(60.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
