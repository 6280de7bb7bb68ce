"""A reply as WhatsApp bubbles: each at most 1,500 UTF-16 units, cut where a person would cut.

Twilio refuses more than 1,600 characters (error 21617) without saying in which unit: UTF-16 is the safe reading.
"""

import regex

__all__ = ["MAX_UNITS", "shorten", "split", "units"]

MAX_UNITS = 1500
LONGEST_GRAPHEME = 64  # characters; longer ones are no writing
GRAPHEME = regex.compile(r"\X")
CUTS = (regex.compile(r"\n\s*\n"), regex.compile(r"\n"), regex.compile(r"(?<=[.!?…])\s+"), regex.compile(r"\s+"))


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split(text: str, limit: int = MAX_UNITS) -> list[str]:
    """Bubbles in order; none is empty. Cut at a paragraph, else a line, a sentence, a word, else anywhere."""
    bubbles, rest = [], text.strip()
    while units(rest) > limit:
        cut = _cut(rest, limit)
        bubbles.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [bubble for bubble in [*bubbles, rest] if bubble]


def shorten(text: str, limit: int) -> str:
    """At most `limit` units, an ellipsis at the end if something was cut."""
    if units(text) <= limit:
        return text
    return f"{text[: _cut(text, limit - 1)].rstrip()}…"


def _cut(text: str, limit: int) -> int:
    """Where to cut: inside the limit, and not so early that the bubble is a scrap."""
    end = _index(text, limit)
    for pattern in CUTS:
        found = [match.start() for match in pattern.finditer(text, 0, end + 1)]
        if found and found[-1] > end // 2:
            return found[-1]
    return _whole_grapheme(text, end)


def _whole_grapheme(text: str, end: int) -> int:
    """The last boundary between visible characters up to `end`: a family of emoji is one."""
    boundaries = [match.end() for match in GRAPHEME.finditer(text[: end + LONGEST_GRAPHEME]) if match.end() <= end]
    return boundaries[-1] if boundaries else end


def _index(text: str, limit: int) -> int:
    """The longest prefix of at most `limit` units, in characters."""
    total = 0
    for index, character in enumerate(text):
        total += 2 if ord(character) > 0xFFFF else 1
        if total > limit:
            return index
    return len(text)
