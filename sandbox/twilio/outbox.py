"""Making outbound messages: what the caller asked for, checked in Twilio's order."""

import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from sandbox.twilio.account import Account
from sandbox.twilio.ledger import Message
from sandbox.twilio.lifecycle import Lifecycle
from sandbox.twilio.people import ADDRESS, prefixed
from sandbox.twilio.templates import Template, parse_variables

_CHANNEL = re.compile(r"^(\w+):")
_LONGEST = 1600
_VALIDITY_S = (1, 36_000)
_MOST_MEDIA = 10
_LOOP_S = 30
_CONTENT_SID = re.compile(r"^HX[0-9a-f]{32}$")


class TwilioError(Exception):
    """An answer of the REST API that is no success."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    def body(self) -> bytes:
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        facts = {"code": self.code, "message": str(self), "more_info": more, "status": self.status}
        return json.dumps(facts).encode()


@dataclass(frozen=True, slots=True)
class Order:
    """The form of `POST /Messages`, after the checks."""

    to: str
    sender: str
    body: str
    service: str | None
    callback: str | None
    validity_s: float
    media: tuple[str, ...]
    template: Template | None
    early: int | None


class Outbox:
    def __init__(self, account: Account, lifecycle: Lifecycle) -> None:
        self._account = account
        self._lifecycle = lifecycle

    def accept(self, order: Order, fault: str | None = None) -> Message:
        message = self._make(order, "outbound-api", fault)
        contact = self._account.people.at(order.to)
        self._lifecycle.begin(message, contact, order.template, order.early)
        return message

    def reply(self, sender: str, to: str, text: str, *, automatic: bool) -> Message:
        """The message that a webhook's answer causes."""
        order = Order(to, sender, text, None, None, _VALIDITY_S[1], (), None, None)
        message = self._make(order, "outbound-reply", "text/plain" if automatic else None)
        contact = self._account.people.at(to)
        now = self._account.now().timestamp()
        recent = contact.auto_replies
        looping = len(recent) == recent.maxlen and now - recent[0] < _LOOP_S
        recent.append(now)
        self._lifecycle.begin(message, contact, None, 14107 if looping else None)
        return message

    def _make(self, order: Order, direction: str, fault: str | None) -> Message:
        account = self._account
        now = account.now()
        status = "accepted" if order.service else "queued"
        message = Message(
            n=next(account.ledger.serial),
            sid=account.mint.sid("MM" if order.media or order.template else "SM"),
            direction=direction,
            sender=order.sender,
            contact=order.to,
            body=order.body,
            status=status,
            created=now,
            updated=now,
            appeared=account.clock.monotonic(),
            service=order.service,
            callback=order.callback,
            content_sid=order.template.sid if order.template else None,
            category=order.template.category if order.template else None,
            validity_s=order.validity_s,
            media_urls=order.media,
            fault=fault,
            show_sender=order.service is None,
            log=[(status, now)],
        )
        account.ledger.add(message)
        account.ledger.counts["created"] += 1
        return message

    def check(self, form: dict[str, str], media: list[str]) -> Order:
        """Raises the TwilioError of the first thing that is wrong, in the order Twilio looks."""
        account = self._account
        to, sender, service = form.get("To", ""), form.get("From", ""), form.get("MessagingServiceSid")
        body, content = form.get("Body", ""), form.get("ContentSid")
        _require(bool(to), 21604, "A 'To' phone number is required.")
        _require(bool(sender or service), 21603, "A 'From' phone number is required.")
        _require(bool(body or media or content), 21602, "Message body is required.")
        _require(len(body) <= _LONGEST, 21617, "The concatenated message body exceeds the 1600 character limit")
        _require(_is_address(to), 21211, f"Invalid 'To' Phone Number: {to[:-4]}XXXX")
        if service:
            _require(service == account.profile.messaging_service_sid, 21701, "The Messaging Service does not exist")
            sender = sender or prefixed(account.profile.numbers[0])
        _require(_channel(to) == _channel(sender), 21910, "Invalid From and To pair: not the same channel")
        _require(to != sender, 63031, "Channel cannot have same From and To")
        _require(account.owns(sender), 63007, "Twilio could not find a Channel with the specified From address")
        template, text, early = self._content(content, form.get("ContentVariables"), body)
        _require(len(media) <= _MOST_MEDIA, 21623, "Number of media files exceeds the allowed limit")
        _require(all(_is_web(url) for url in media), 21620, "Invalid media URL(s)")
        validity = _validity(form.get("ValidityPeriod"))
        callback = form.get("StatusCallback") or None
        _require(callback is None or _is_web(callback), 21609, "The 'StatusCallback' URL is not a valid URL.")
        out = account.people.at(to).traits.opted_out
        _require(not out, 21610, "Attempt to send to unsubscribed recipient")
        full = self._lifecycle.backlog_s(sender) > account.profile.max_queue_s
        _require(not full, 21611, "This 'From' number has exceeded the maximum number of queued messages")
        return Order(to, sender, text, service, callback, validity, tuple(media), template, early)

    def _content(self, sid: str | None, variables: str | None, body: str) -> tuple[Template | None, str, int | None]:
        """The template, the text that will be read, and what WhatsApp will object to later."""
        if sid is None:
            _require(variables is None, 21654, "ContentSid Required")
            return None, body, None
        template = self._account.templates.get(sid) if _CONTENT_SID.match(sid) else None
        if template is None:
            raise TwilioError(21655, "The ContentSid is Invalid")
        values = parse_variables(variables)
        if values is None:
            raise TwilioError(21656, "The ContentVariables Parameter is invalid")
        return template, template.render(values), template.error(values)


def _require(holds: bool, code: int, message: str) -> None:
    if not holds:
        raise TwilioError(code, message)


def _is_address(to: str) -> bool:
    return bool(ADDRESS.match(to)) or (not to.startswith("whatsapp:") and to.startswith("+") and to[1:].isdigit())


def _channel(address: str) -> str:
    found = _CHANNEL.match(address)
    return found[1] if found else "sms"


def _is_web(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "_" not in (parts.hostname or "")


def _validity(text: str | None) -> float:
    if text is None:
        return _VALIDITY_S[1]
    low, high = _VALIDITY_S
    if not text.isdigit() or not low <= int(text) <= high:
        raise TwilioError(21624, "Invalid ValidityPeriod value")
    return int(text)
