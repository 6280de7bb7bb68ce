"""What the pages say, one plain table for each language."""

from collections.abc import Callable, Mapping

from ops.console.texts.en import EN
from ops.console.texts.es import ES

__all__ = ["LANGUAGES", "Say", "accepted", "saying"]

LANGUAGES: Mapping[str, Mapping[str, str]] = {"es": ES, "en": EN}
Say = Callable[..., str]


def saying(language: str) -> Say:
    table = LANGUAGES[language]

    def say(key: str, **values: object) -> str:
        return table[key].format(**values) if values else table[key]

    return say


def accepted(header: str, chosen: str = "") -> str:
    """The language to speak: the one chosen, else the best that a browser asks for, else English."""
    if chosen in LANGUAGES:
        return chosen
    wishes: list[tuple[float, str]] = []
    for wish in header.split(",")[:20]:
        name, _, weight = wish.partition(";q=")
        try:
            wishes.append((float(weight or 1), name.strip().lower().split("-")[0]))
        except ValueError:
            continue
    known = [(weight, name) for weight, name in wishes if name in LANGUAGES and weight > 0]
    return max(known, key=lambda one: one[0])[1] if known else "en"
