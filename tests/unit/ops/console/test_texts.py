"""Both languages say the same things, and every text that a page asks for is there."""

import re
import string
from pathlib import Path

import pytest

from ops.causes import OUTCOMES, REASONS, STATES
from ops.console import rendering
from ops.console.texts import LANGUAGES, accepted, saying
from ops.console.wording import cause_in_words, outcome_in_words
from tests.unit.ops.console.rig import Console
from tests.unit.ops.stories import World

HERE = rendering.HERE


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_tables_have_the_same_keys_and_places() -> None:
    spanish, english = LANGUAGES["es"], LANGUAGES["en"]
    assert list(spanish) == list(english)
    assert {name for name in english if fields(english[name]) != fields(spanish[name])} == set()
    assert [name for name, text in [*english.items(), *spanish.items()] if not text] == []


def test_every_text_that_is_asked_for_is_there() -> None:
    sources = [*(HERE / "templates").glob("*.html"), *HERE.glob("*.py")]
    asked = {
        key for path in sources for key in re.findall(r"""(?:\bt|say)\(["']([a-z.]+)["'][,)]""", Path(path).read_text())
    }
    assert len(asked) > 100
    assert asked - set(LANGUAGES["en"]) == set()


def test_every_cause_has_its_words() -> None:
    say = saying("es")
    for name, english in OUTCOMES.items():
        assert outcome_in_words(say, name, english) == say(f"outcome.{name}")
    assert outcome_in_words(say, "stored", f"{OUTCOMES['stored']} (opted out)").endswith("de baja (opted out)")
    assert outcome_in_words(say, "brand_new", "anything") == "anything"
    for text in (*REASONS.values(), *STATES.values()):
        assert cause_in_words(say, text) != text, text
    refused = cause_in_words(say, "Twilio refused it: Invalid 'To'; Twilio error 21211")
    assert refused == "Twilio lo rechazó: Invalid 'To'; el número no es válido (error 21211 de Twilio)"


@pytest.mark.parametrize(
    ("header", "chosen", "language"),
    [
        ("", "", "en"),
        ("es", "", "es"),
        ("es-MX,es;q=0.9,en;q=0.8", "", "es"),
        ("fr,en;q=0.5,es;q=0.4", "", "en"),
        ("pt-BR, es;q=0.3", "", "es"),
        ("es;q=0,en;q=0.1", "", "en"),
        ("es;q=x, en", "", "en"),
        ("en", "es", "es"),
        ("es", "fr", "es"),
    ],
)
def test_a_browser_is_spoken_to_in_its_language(header: str, chosen: str, language: str) -> None:
    assert accepted(header, chosen) == language


async def test_pages_speak_it(console: Console, world: World) -> None:
    async with console.logged_in(**{"accept-language": "es-MX"}) as browser:
        page = (await browser.get("/")).text
        assert ('lang="es"' in page, "Conversaciones" in page, "Conversations" in page) == (True, True, False)
        await browser.post("/language", data={"language": "en"})
        assert "Conversations" in (await browser.get("/")).text
