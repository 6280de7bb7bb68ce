"""Forms with files, as httpx and the official SDK send them (RFC 7578)."""

import re
from dataclasses import dataclass

__all__ = ["Field", "parse_form"]

_BOUNDARY = re.compile(r'^multipart/form-data\b.*?\bboundary="?([^";,\s]+)', re.IGNORECASE)
_NAME = re.compile(rb'(?<!file)name="([^"]*)"', re.IGNORECASE)
_FILENAME = re.compile(rb'filename="([^"]*)"', re.IGNORECASE)
_TYPE = re.compile(rb"^content-type:\s*([^\r\n;]+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Field:
    data: bytes
    filename: str | None = None
    media_type: str = "text/plain"

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")


def parse_form(content_type: str, body: bytes) -> dict[str, Field]:
    """The last field of every name. Raises ValueError for what is no such form."""
    found = _BOUNDARY.match(content_type)
    if not found:
        raise ValueError("not multipart/form-data")
    first, *parts = (b"\r\n" + body).split(b"\r\n--" + found[1].encode())
    end = parts.pop() if parts else b""
    if first or not end.startswith(b"--"):
        raise ValueError("a form without its boundaries")
    return dict(map(_field, parts))


def _field(part: bytes) -> tuple[str, Field]:
    head, blank, data = part.partition(b"\r\n\r\n")
    name, filename, kind = _NAME.search(head), _FILENAME.search(head), _TYPE.search(head.lstrip())
    if not blank or not name:
        raise ValueError("a part without a name")
    media_type = kind[1].decode(errors="replace") if kind else "text/plain"
    return name[1].decode(errors="replace"), Field(data, filename and filename[1].decode(errors="replace"), media_type)
