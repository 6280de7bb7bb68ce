"""What Twilio makes of a webhook's answer."""

from dataclasses import dataclass
from xml.etree import ElementTree as ET

_LARGEST = 64 * 1024
_XML = ("text/xml", "application/xml", "text/html")


@dataclass(frozen=True, slots=True)
class Answer:
    http: int | None = None
    content_type: str | None = None
    error: str | None = None
    """`ct`, `rt`, `4xx`, `5xx`: no acknowledgement."""
    replies: tuple[str, ...] = ()
    """Texts the user receives because of this answer."""
    automatic: bool = False
    """They come from a text/plain body, which nobody meant as a message."""
    complaint: int | None = None
    """Debugger code; the fallback URL is called."""

    @property
    def accepted(self) -> bool:
        return self.error is None and self.complaint is None


def read_failure(error: str, http: int | None = None, content_type: str | None = None) -> Answer:
    code = 11205 if error in {"ct", "rt"} else 11200
    return Answer(http=http, content_type=content_type, error=error, complaint=code)


def read_answer(http: int, content_type: str | None, body: bytes) -> Answer:
    """An answer with a 2xx status to an inbound webhook."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if len(body) > _LARGEST:
        return Answer(http, content_type, complaint=11750)
    if not body.strip():
        return Answer(http, content_type, complaint=None if http == 204 or kind else 12300)
    if kind in _XML:
        return _read_twiml(http, content_type, body)
    if kind == "text/plain":
        return Answer(http, content_type, replies=(body.decode("utf-8", "replace"),), automatic=True)
    return Answer(http, content_type, complaint=12300)


def _read_twiml(http: int, content_type: str | None, body: bytes) -> Answer:
    if body == b"<Response/>":
        return Answer(http, content_type)
    try:
        root = ET.fromstring(body)  # noqa: S314 - our own ingress answers, capped at 64 kB
    except ET.ParseError:
        return Answer(http, content_type, complaint=12100)
    if root.tag != "Response":
        return Answer(http, content_type, complaint=12200)
    replies = (_text(message) for message in root.iter("Message"))
    return Answer(http, content_type, replies=tuple(text for text in replies if text))


def _text(message: ET.Element) -> str:
    inside = "".join(part.text or "" for part in message.iter("Body"))
    return inside or (message.text or "").strip()
