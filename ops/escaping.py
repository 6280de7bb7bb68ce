"""Bytes and texts of others, made harmless for a terminal."""

import unicodedata

__all__ = ["escaped", "readable"]

KEPT = {"\n", "\t"}


def escaped(text: str) -> str:
    """Control and formatting characters as escapes: no text moves the cursor or turns letters round."""
    return "".join(
        one if one in KEPT or unicodedata.category(one) not in {"Cc", "Cf", "Cs"} or one == "\u200d" else _escape(one)
        for one in text
    )


def readable(value: bytes | None) -> str:
    """Any bytes as text; what is no UTF-8 stands as an escape of two hex digits."""
    return escaped((value or b"").decode("utf-8", "backslashreplace"))


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
