"""What Twilio's webhooks say: form → event.

`MessageType` says what came, not `Body`: a document's `Body` is its file name, a location's is empty.
"""

import math
import re
from collections.abc import Mapping
from datetime import datetime

from pydantic import ValidationError

from ingress.forms import Form
from schemas.contact import UnusableAddress, canonical, parse_address
from schemas.events import Button, Location, Media, MessageReceived, StatusChanged

__all__ = ["Refused", "message_received", "status_changed"]

SEND_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
NUMBER = re.compile(r"[0-9]{1,9}")  # int() refuses 5,000 digits, and MongoDB twenty
MEDIA = re.compile(r"Media(Url|ContentType)[0-9]")
PLAIN = {
    "MessageSid", "SmsMessageSid", "SmsSid", "SmsStatus", "AccountSid", "ApiVersion", "From", "To", "Body", "NumMedia",
    "NumSegments", "MessageType", "ProfileName", "ExternalUserId", "OptOutType", "ButtonText", "ButtonPayload",
    "Latitude", "Longitude", "Address", "Label", "OriginalRepliedMessageSid", "ListId", "ListTitle",
}  # fmt: skip


class Refused(Exception):
    """Properly signed, and still not for us; the reason is safe to log."""


def message_received(form: Form, received_at: datetime) -> MessageReceived:
    """Raises Refused where a field we cannot do without is missing or unusable."""
    try:
        address, channel = parse_address(form.get("From", "")), parse_address(form.get("To", ""))
    except UnusableAddress:
        raise Refused("From or To is no usable address") from None
    if not SEND_ID.fullmatch(form.get("MessageSid", "")):
        raise Refused("MessageSid is missing")
    try:
        return _message(form, address, channel, received_at)
    except ValidationError as error:
        raise Refused(f"{error.errors()[0]['loc'][0]} cannot be used") from None


def _message(form: Form, address: str, channel: str, received_at: datetime) -> MessageReceived:
    return MessageReceived(
        message_sid=form["MessageSid"],
        channel=channel,
        address=address,
        kind=form.get("MessageType") or _kind(form),
        text=form.get("Body", ""),
        media=_media(form),
        location=_location(form),
        button=_button(form),
        reply_to=form.get("OriginalRepliedMessageSid") or None,
        profile_name=form.get("ProfileName") or None,
        user_id=(form.get("ExternalUserId") or "").removeprefix("whatsapp:") or None,
        opt_out_type=form.get("OptOutType") or None,
        fields={name: value for name, value in form.items() if name not in PLAIN and not MEDIA.fullmatch(name)},
        received_at=received_at,
    )


def status_changed(form: Form, query: Mapping[str, str], received_at: datetime) -> StatusChanged:
    """Raises Refused."""
    try:
        address = parse_address(form.get("To", ""))
    except UnusableAddress:
        raise Refused("To is no usable address") from None
    send, attempt, code = query.get("send", ""), query.get("attempt", ""), form.get("ErrorCode", "")
    status = form.get("MessageStatus") or form.get("SmsStatus")
    if not status or not form.get("MessageSid"):
        raise Refused("MessageSid or MessageStatus is missing")
    return StatusChanged(
        message_sid=form["MessageSid"],
        status=status,
        send_id=send if SEND_ID.fullmatch(send) else None,
        attempt=_number(attempt),
        address=canonical(address),
        error_code=_number(code),
        error_message=form.get("ChannelStatusMessage") or form.get("ErrorMessage") or None,
        received_at=received_at,
    )


def _number(text: str) -> int | None:
    return int(text) if NUMBER.fullmatch(text) else None


def _kind(form: Form) -> str:
    """`MessageType` is not in Twilio's public table: do without it."""
    if form.get("NumMedia", "0") not in {"", "0"}:
        return form.get("MediaContentType0", "media").split("/")[0]
    return "location" if form.get("Latitude") else "text"


def _media(form: Form) -> list[Media]:
    count = _number(form.get("NumMedia", "")) or 0
    found = [(form.get(f"MediaUrl{n}"), form.get(f"MediaContentType{n}", "")) for n in range(min(count, 10))]
    return [Media(url=url, content_type=kind) for url, kind in found if url]


def _location(form: Form) -> Location | None:
    try:
        latitude, longitude = float(form["Latitude"]), float(form["Longitude"])
    except (KeyError, ValueError):
        return None
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        return None  # JSON has neither, and so no record could be read again
    return Location(
        latitude=latitude, longitude=longitude, address=form.get("Address") or None, label=form.get("Label") or None
    )


def _button(form: Form) -> Button | None:
    text = form.get("ButtonText") or form.get("ListTitle")
    payload = form.get("ButtonPayload") or form.get("ListId")
    return Button(text=text or "", payload=payload) if text or payload else None
