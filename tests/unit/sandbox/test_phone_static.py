"""The page itself: every word is there in both languages, and nothing in it needs a weaker policy."""

import json
import re
from pathlib import Path

import pytest

from sandbox.phone.routes import STATIC, language
from sandbox.phone.trouble import TROUBLES

PAGE = (STATIC / "index.html").read_text()
SCRIPTS = sorted(STATIC.glob("*.js"))
WORDS: dict[str, list[str]] = json.loads((STATIC / "words.json").read_text())


def used() -> set[str]:
    found = set(re.findall(r'data-(?:word|label|hint)="(\w+)"', PAGE))
    for script in SCRIPTS:
        text = script.read_text()
        for call in re.findall(r"\bword\(([^()]*(?:\([^()]*\))?[^()]*)\)", text):
            found |= set(re.findall(r'(?<![\w=] )"([a-z_]+)"', re.sub(r'=== "\w+"', "", call)))
    return found | {f"trouble_{one.key}" for one in TROUBLES} | {f"of_{one.of}" for one in TROUBLES}


def test_every_word_is_there_in_both_languages() -> None:
    assert used() - set(WORDS) == set()
    assert all(len(both) == 2 and all(both) for both in WORDS.values())


@pytest.mark.parametrize("key", sorted(WORDS))
def test_both_languages_have_the_same_blanks(key: str) -> None:
    english, spanish = WORDS[key]
    assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", spanish))


def test_nothing_is_inline() -> None:
    assert re.findall(r"<script(?![^>]*\bsrc=)", PAGE) == []
    assert re.findall(r"\s(?:on\w+|style)=", PAGE) == []
    assert re.findall(r'(?:src|href)="(?!/static/|#)', PAGE) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_no_script_parses_html(script: Path) -> None:
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|DOMParser", script.read_text()) == []
    )


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [
        ("es", "es"),
        ("es-MX,en;q=0.5", "es"),
        ("en-US,es;q=0.8", "en"),
        ("de, es;q=0.3", "es"),
        ("de", "en"),
        ("", "en"),
    ],
)
def test_the_language_named_first(accepted: str, wanted: str) -> None:
    assert language(accepted) == wanted
