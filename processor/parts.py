"""A reply as WhatsApp bubbles: each at most 1,500 UTF-16 units, cut where a person would cut.

Twilio refuses more than 1,600 characters (error 21617) without saying in which unit: UTF-16 is the safe reading.
"""

from collections.abc import Sequence

import regex

__all__ = ["MAX_UNITS", "MOST_PARTS", "bubbles", "shorten", "split", "units"]

MAX_UNITS = 1500
MOST_PARTS = 6  # nobody reads more at once, and WhatsApp slows a number down that floods one person
LONGEST_GRAPHEME = 64  # characters; longer ones are no writing
GRAPHEME = regex.compile(r"\X")
PROTECTED = (
    (regex.compile(r"```.+?```", regex.DOTALL), "```"),
    (regex.compile(r"https?://\S+"), ""),
    (regex.compile(r"(?<![\w*])\*(?=\S)[^\n]*?\S\*(?![\w*])"), "*"),
    (regex.compile(r"(?<!\w)_(?=\S)[^\n]*?\S_(?!\w)"), "_"),
    (regex.compile(r"(?<![\w~])~(?=\S)[^\n]*?\S~(?![\w~])"), "~"),
)
"""What a cut would break, and the mark that has to be closed and opened again where it cannot be helped."""
CUTS = (regex.compile(r"\n\s*\n"), regex.compile(r"\n"), regex.compile(r"(?<=[.!?…])\s+"), regex.compile(r"\s+"))


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split(text: str, limit: int = MAX_UNITS) -> list[str]:
    """Bubbles in order; none is empty. Cut at a paragraph, else a line, a sentence, a word, else anywhere.

    Addresses and formatted words stay whole where that can be; else the formatting is closed and opened again.
    """
    bubbles, rest = [], text.strip()
    while units(rest) > limit:
        cut, mark = _place(rest, limit)
        bubbles.append(rest[:cut].rstrip() + mark)
        rest = mark + rest[cut:].lstrip()
    return [bubble for bubble in [*bubbles, rest] if bubble]


def bubbles(texts: Sequence[str], most: int = MOST_PARTS) -> list[str]:
    """What is said in one turn: `most` bubbles at most, the last one cut short where there is more."""
    found = [bubble for text in texts for bubble in split(text)]
    if len(found) <= most:
        return found
    return [*found[: most - 1], f"{shorten(found[most - 1], MAX_UNITS - 2)} …"]


def shorten(text: str, limit: int) -> str:
    """At most `limit` units, an ellipsis at the end if something was cut."""
    if units(text) <= limit:
        return text
    return f"{text[: _cut(text, limit - 1)].rstrip()}…"


def _place(text: str, limit: int) -> tuple[int, str]:
    """Where to cut, and the mark that is open there."""
    cut = _cut(text, limit)
    found = [(match, mark) for pattern, mark in PROTECTED for match in pattern.finditer(text)]
    broken = [(match, mark) for match, mark in found if match.start() < cut < match.end()]
    if not broken:
        return cut, ""
    before, whole = min((match.start(), match.group()) for match, _ in broken)
    if before and (units(whole) <= limit or before > _index(text, limit) // 3):
        return before, ""
    mark = max((mark for _, mark in broken), key=len)
    inside = _cut(text, limit - len(mark))
    return (inside, mark) if inside > len(mark) else (cut, "")


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
