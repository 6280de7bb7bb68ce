"""What we say ourselves, per language. The agent's words are the agent's."""

from processor.texts import en, es, pt
from processor.texts.shape import Texts

__all__ = ["Texts", "texts_for"]

LANGUAGES = {"es": es.TEXTS, "en": en.TEXTS, "pt": pt.TEXTS}


def texts_for(*tags: str | None) -> Texts:
    """The texts of the first tag we speak (`es-MX` is `es`); Spanish where we speak none."""
    for tag in tags:
        known = LANGUAGES.get((tag or "").lower().replace("_", "-").split("-")[0])
        if known:
            return known
    return es.TEXTS
