"""The form Twilio posts for each thing a user can do (captured in Sep 2026; `unknown` is our guess at the future)."""

import json
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "text",
    "image",
    "audio",
    "video",
    "sticker",
    "document",
    "location",
    "contacts",
    "button",
    "list",
    "reaction",
    "referral",
    "forwarded",
    "unknown",
]
_TYPES: dict[Kind, str] = {"button": "interactive", "list": "interactive", "referral": "text", "forwarded": "text"}

MEDIA: dict[Kind, tuple[str, bytes]] = {
    "image": ("image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"),
    "audio": ("audio/ogg", b"OggS\x00\x02" + bytes(20) + b"OpusHead\x01\x01"),
    "video": ("video/mp4", b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"),
    "sticker": ("image/webp", b"RIFF\x0c\x00\x00\x00WEBPVP8 \x00\x00\x00\x00"),
    "document": ("application/pdf", b"%PDF-1.4\n%%EOF\n"),
    "contacts": ("text/vcard", b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ana\r\nEND:VCARD\r\n"),
}


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a user did, before it has a sid."""

    kind: Kind = "text"
    body: str = ""
    button_payload: str | None = None
    reply_to: str | None = None
    fields: dict[str, str | None] = field(default_factory=dict)
    """Put into the form as they are; None takes a field out of it."""


def inbound_fields(spoken: Spoken, sender: str) -> dict[str, str]:
    """The part of the form that depends on what the user did."""
    kind, body = spoken.kind, spoken.body
    if kind in {"audio", "location", "contacts", "sticker"}:
        body = ""  # Twilio sends an empty Body whatever the user's app shows
    elif kind == "document":
        body = body or "invoice.pdf"  # Body is the file name
    form = {"Body": body, "MessageType": _TYPES.get(kind, kind), "NumMedia": "1" if kind in MEDIA else "0"}
    if spoken.reply_to:
        form |= {
            "OriginalRepliedMessageSid": spoken.reply_to,
            "OriginalRepliedMessageSender": sender,
            "Forwarded": "false",
            "FrequentlyForwarded": "false",
        }
    return form | _extras(spoken)


def _extras(spoken: Spoken) -> dict[str, str]:
    match spoken.kind:
        case "button":
            payload = spoken.button_payload or spoken.body
            return {"ButtonText": spoken.body, "ButtonPayload": payload, "ButtonType": "REPLY"}
        case "list":
            return {
                "ListId": spoken.button_payload or "1",
                "ListTitle": spoken.body,
                "ListDescription": "",
                "ButtonType": "REPLY",
            }
        case _:
            return _FIXED.get(spoken.kind, {})


_FIXED: dict[Kind, dict[str, str]] = {
    "location": {"Latitude": "19.4326", "Longitude": "-99.1332"},
    "referral": {
        "ReferralBody": "Talk to us",
        "ReferralHeadline": "Spring offer",
        "ReferralSourceId": "120200000000000001",
        "ReferralSourceType": "ad",
        "ReferralSourceUrl": "https://fb.me/simulated",
        "ReferralCtwaClid": "simulated-click",
    },
    "forwarded": {"Forwarded": "true", "FrequentlyForwarded": "true"},
    "unknown": {"MessageType": "hologram", "X_New": "1"},
}


def channel_metadata(form: dict[str, str], name: str, wa_id: str | None) -> str:
    """`ChannelMetadata`: the loose fields once more, as JSON."""
    context: dict[str, str] = {"ProfileName": name}
    if wa_id:
        context["WaId"] = wa_id
    for loose in ("ButtonText", "ButtonPayload", "ListId", "Latitude", "Longitude"):
        if loose in form:
            context[loose] = form[loose]
    return json.dumps({"type": "whatsapp", "data": {"context": context}}, separators=(",", ":"))
