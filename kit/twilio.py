"""Twilio's REST, as the sender and the janitor need it, with the one distinction that matters: did the request go out?

The package's own client is not used for this: its async side ignores timeouts and posts again on every 5xx
(twilio-python#925, ADR 0010). Its validator and error shapes are.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Literal

from kit.errors import NoAnswer, TwilioDown
from kit.http import Answer, PooledClient
from kit.settings import TwilioSettings
from schemas.contact import to_wire

__all__ = ["Created", "Fetched", "Listed", "Received", "Twilio"]

Class = Literal["ACCEPTED", "NOT_SENT", "REJECTED", "CONFIG", "UNKNOWN"]
TYPING_S = 2.0  # nobody waits for it


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
            answer = await self._http.request("POST", self._messages, data=form, auth=self._auth, before=before)
        except NoAnswer as error:
            return Created("UNKNOWN" if error.sent else "NOT_SENT", detail=str(error))
        return _classify(answer)

    async def list_to(self, *, to: str, channel: str) -> list[Listed]:
        """The newest messages from `channel` to `to`. Raises NoAnswer.

        Without a DateSent filter: a queued message has none, and might be missed by it.
        """
        params = {"To": to_wire(to), "From": to_wire(channel), "PageSize": "20"}
        answer = await self._http.request("GET", self._messages, params=params, auth=self._auth)
        if not answer.ok:
            raise _unusable(answer)
        try:
            return [_listed(one) for one in answer.json()["messages"]]
        except (KeyError, TypeError, ValueError):
            raise NoAnswer("the list is cut, or no list", sent=True) from None

    async def received(self, *, channel: str, since: datetime) -> AsyncGenerator[list[Received]]:
        """What clients wrote to `channel` since then, newest first, a page at a time. Raises TwilioDown."""
        since_text = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        params: dict[str, str] | None = {"To": to_wire(channel), "DateSent>": since_text, "PageSize": str(PAGE)}
        url = self._messages
        while url:
            body = await self._listing(url, params)
            yield [_received(one) for one in body["messages"] if one["direction"] == "inbound"]
            url, params = self._next(body.get("next_page_uri")), None

    async def media_of(self, sid: str) -> list[tuple[str, str]]:
        """(URL, content type) of a message's files, as its webhook would have given them. Raises TwilioDown."""
        url = f"{self._messages.removesuffix('.json')}/{sid}/Media"
        body = await self._listing(f"{url}.json", None)
        return [(f"{url}/{one['sid']}", one["content_type"]) for one in body["media_list"]]

    def _next(self, uri: str | None) -> str:
        return f"{self._messages.partition('/2010-04-01/')[0]}{uri}" if uri else ""

    async def _listing(self, url: str, params: Mapping[str, str] | None) -> dict[str, Any]:
        try:
            answer = await self._http.request("GET", url, params=params, auth=self._auth)
        except NoAnswer as error:
            raise TwilioDown(f"no list: {error}") from None
        body = _json(answer)
        if not answer.ok or not body:
            raise TwilioDown(f"no list: HTTP {answer.status}", _retry_after(answer))
        return body

    async def fetch(self, sid: str) -> Fetched | None:
        """One message as it stands; None where Twilio has forgotten it. Raises NoAnswer."""
        url = f"{self._messages.removesuffix('.json')}/{sid}.json"
        answer = await self._http.request("GET", url, auth=self._auth)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        body = _json(answer)
        if not answer.ok or not isinstance(body.get("status"), str):
            raise _unusable(answer)
        return Fetched(body["status"], body.get("error_code"), body.get("error_message"))

    async def typing(self, message_sid: str) -> bool:
        """Mark a message read and show that we are writing, for 25 s at most. Whether Twilio took it; never raises."""
        base = self._base.replace("https://api.twilio.com", "https://messaging.twilio.com")
        try:
            async with asyncio.timeout(TYPING_S):
                response = await self._http.request(
                    "POST",
                    f"{base}/v2/Indicators/Typing.json",
                    data={"channel": "whatsapp", "messageId": message_sid},
                    auth=self._auth,
                )
        except (TimeoutError, NoAnswer):
            return False
        return response.ok

    async def reachable(self) -> Created:
        """One cheap authenticated read, for `hilo doctor`."""
        try:
            answer = await self._http.request("GET", self._messages, params={"PageSize": "1"}, auth=self._auth)
        except NoAnswer as error:
            return Created("NOT_SENT", detail=str(error))
        return Created("ACCEPTED") if answer.ok else _classify(answer)


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


def _unusable(answer: Answer) -> NoAnswer:
    return NoAnswer(f"HTTP {answer.status}", sent=True)


def _classify(answer: Answer) -> Created:
    body = _json(answer)
    code = body.get("code") if isinstance(body.get("code"), int) else None
    detail = f"HTTP {answer.status}"
    if answer.status == HTTPStatus.CREATED and isinstance(body.get("sid"), str):
        return Created("ACCEPTED", sid=body["sid"], detail=str(body.get("status", "")))
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Created("NOT_SENT", code=code, detail=detail, retry_after=_retry_after(answer))
    if answer.status in {401, 403, 404}:
        return Created("CONFIG", code=code, detail=detail)
    if 400 <= answer.status < 500 and body:
        return Created("REJECTED", code=code, detail=detail)
    return Created("UNKNOWN", code=code, detail=detail)


def _json(answer: Answer) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(answer: Answer) -> float | None:
    try:
        return min(60.0, float(answer.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
