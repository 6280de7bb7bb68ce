"""The REST resources: what each route answers once the caller is known and no fault interferes."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sandbox.twilio.account import Account
from sandbox.twilio.ledger import Media, Message
from sandbox.twilio.listing import list_page
from sandbox.twilio.outbox import Outbox, TwilioError
from sandbox.twilio.wire import rfc2822

_TYPING_S = 25


@dataclass(frozen=True, slots=True)
class Call:
    """A REST request, read."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    media_urls: list[str]
    authorization: str | None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    sid: str | None = None
    """Of what was created."""
    drip_s: float | None = None
    """Between two bytes of the body."""


Route = Callable[..., Awaitable[Reply]]


def as_json(facts: Any, status: int = 200, sid: str | None = None) -> Reply:
    return Reply(status, json.dumps(facts).encode(), sid=sid)


class Resources:
    def __init__(self, account: Account, outbox: Outbox) -> None:
        self._account = account
        self._outbox = outbox

    async def create(self, call: Call) -> Reply:
        message = self._outbox.accept(self._outbox.check(call.form, call.media_urls), call.fault)
        return as_json(message.resource(self._account.profile.account_sid), 201, message.sid)

    async def list(self, call: Call) -> Reply:
        return as_json(list_page(self._account, call.query))

    async def fetch(self, _: Call, sid: str) -> Reply:
        return as_json(self._message(sid).resource(self._account.profile.account_sid))

    async def update(self, call: Call, sid: str) -> Reply:
        """Redact. Nothing is ever `scheduled` here, so nothing can be cancelled."""
        message = self._message(sid)
        if "Status" in call.form:
            raise TwilioError(30409, "Message is not in a cancelable state", 409)
        if call.form.get("Body") != "":
            raise TwilioError(20009, "Body may only be changed to an empty string")
        message.body = ""
        message.updated = self._account.now()
        return as_json(message.resource(self._account.profile.account_sid))

    async def delete(self, _: Call, sid: str) -> Reply:
        self._account.ledger.remove(self._message(sid).sid)
        return Reply(204)

    async def list_media(self, _: Call, sid: str) -> Reply:
        message = self._message(sid)
        uri = f"/2010-04-01/Accounts/{self._account.profile.account_sid}/Messages/{sid}/Media"
        listed = [self._media_facts(message, media, uri) for media in message.media]
        page = {"page": 0, "page_size": 50, "start": 0, "end": max(0, len(listed) - 1)}
        links = {"first_page_uri": f"{uri}.json", "next_page_uri": None, "previous_page_uri": None}
        return as_json({"media_list": listed, **page, **links, "uri": f"{uri}.json"})

    async def media(self, call: Call, sid: str, media_sid: str) -> Reply:
        """A redirect to the CDN: it must be followed without the credentials."""
        message = self._message(sid)
        media = next((media for media in message.media if media.sid == media_sid), None)
        if media is None or self._missing_yet(media):
            raise _not_found(call.path)
        return Reply(307, headers=((b"location", f"{self._account.base_url}/_cdn/{media_sid}".encode()),))

    async def cdn(self, call: Call, media_sid: str) -> Reply:
        if call.authorization is not None:
            self._account.ledger.counts["cdn.credential_leaked"] += 1
            return Reply(400, b"InvalidArgument: Only one auth mechanism allowed", "text/plain")
        media = self._account.ledger.media.get(media_sid)
        return Reply(200, media.content, media.content_type) if media else Reply(404)

    async def typing(self, call: Call) -> Reply:
        message = self._account.ledger.messages.get(call.form.get("messageId", ""))
        if call.form.get("channel") != "whatsapp":
            raise TwilioError(20001, "channel must be whatsapp")
        if message is None or not message.inbound:
            raise _not_found(call.path)
        now = self._account.now
        handset = self._account.people.at(message.contact).handset
        handset.read_until(now(), message.sid)
        span = handset.start_typing(now(), message.sid)

        def end() -> None:
            if span.until is None:
                handset.end_typing(now(), "timeout")

        self._account.agenda.later(_TYPING_S, end)
        self._account.ledger.counts["typing"] += 1
        return as_json({"success": True})

    async def content(self, call: Call, sid: str) -> Reply:
        template = self._account.templates.get(sid)
        if template is None:
            raise _not_found(call.path)
        facts = template.approval() if call.path.endswith("/ApprovalRequests") else template.content()
        return as_json({**facts, "account_sid": self._account.profile.account_sid})

    def _message(self, sid: str) -> Message:
        message = self._account.ledger.messages.get(sid)
        if message is None:
            raise _not_found(f"/2010-04-01/Accounts/{self._account.profile.account_sid}/Messages/{sid}.json")
        return message

    def _missing_yet(self, media: Media) -> bool:
        media.misses += 1
        return media.misses <= self._account.profile.media_404_first_n

    def _media_facts(self, message: Message, media: Media, uri: str) -> dict[str, Any]:
        return {
            "sid": media.sid,
            "account_sid": self._account.profile.account_sid,
            "parent_sid": message.sid,
            "content_type": media.content_type,
            "date_created": rfc2822(message.created),
            "date_updated": rfc2822(message.created),
            "uri": f"{uri}/{media.sid}.json",
        }


def _not_found(path: str) -> TwilioError:
    return TwilioError(20404, f"The requested resource {path} was not found", 404)
