"""A reply as bubbles: short enough, in order, nothing lost, cut where a person would."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processor.parts import MAX_UNITS, shorten, split, units

TEXTS = st.text(max_size=400) | st.lists(
    st.sampled_from(["hola", "👋", "👩🏽‍⚕️", ".", "! ", "\n", "\n\n", " ", "¿qué?", "\u2028", "x" * 30]), max_size=60
).map("".join)
LIMITS = st.integers(min_value=2, max_value=80)


MARKS = "*_~`"


def squeezed(*texts: str) -> str:
    return "".join("".join(texts).split())


def unmarked(*texts: str) -> str:
    return squeezed(*texts).translate({ord(mark): None for mark in MARKS})


@given(TEXTS.filter(lambda text: not set(text) & set(MARKS)), LIMITS)
@example("a" * 100, 2)
@example("👋" * 50, 3)
@example(" " * 100, 2)
def test_nothing_is_lost_and_the_order_is_kept(text: str, limit: int) -> None:
    assert squeezed(*split(text, limit)) == squeezed(text)


MARKED = st.lists(
    st.sampled_from(
        ["*muy importante*", "_así_", "~no~", "```una línea\notra```", "https://a.example/b?c=d", "hola", "\n\n"]
    ),
    max_size=40,
).map(" ".join)


@given(MARKED, st.integers(min_value=30, max_value=80))
def test_formatted_words_and_addresses_stay_whole(text: str, limit: int) -> None:
    bubbles = split(text, limit)
    assert squeezed(*bubbles) == squeezed(text)
    for whole in ("*muy importante*", "_así_", "~no~", "https://a.example/b?c=d"):
        assert sum(bubble.count(whole) for bubble in bubbles) == text.count(whole)
    assert all(bubble.count("```") % 2 == 0 for bubble in bubbles)


@given(st.text("abc *_~`\n", max_size=300), st.integers(min_value=10, max_value=60))
def test_whatever_the_marks_nothing_is_lost_and_every_bubble_fits(text: str, limit: int) -> None:
    bubbles = split(text, limit)
    assert unmarked(*bubbles) == unmarked(text)
    assert all(0 < units(bubble) <= limit for bubble in bubbles)


@pytest.mark.parametrize(
    ("text", "bubbles"),
    [
        pytest.param("uno dos *tres cuatro* cinco", ["uno dos", "*tres cuatro* cinco"], id="before bold"),
        pytest.param(
            "*" + "a b " * 10 + "c*", ["*a b a b a b a b a*", "*b a b a b a b a b*", "*a b c*"], id="long bold"
        ),
        pytest.param(
            "```" + "x = 1\n" * 5 + "y```",
            ["```x = 1\nx = 1```", "```x = 1\nx = 1```", "```x = 1\ny```"],
            id="long code",
        ),
        pytest.param(
            "ver https://x.example/" + "a" * 20, ["ver https://x.exampl", "e/" + "a" * 18, "aa"], id="long URL"
        ),
        pytest.param("mira ahora https://x.y/z", ["mira ahora", "https://x.y/z"], id="before a URL"),
        pytest.param("2*3 y 4*5 son otras cosas", ["2*3 y 4*5 son otras", "cosas"], id="no formatting"),
    ],
)
def test_formatting_is_closed_where_it_is_cut(text: str, bubbles: list[str]) -> None:
    assert split(text, 20) == bubbles


@given(TEXTS, LIMITS)
def test_every_bubble_fits_and_says_something(text: str, limit: int) -> None:
    for bubble in split(text, limit):
        assert 0 < units(bubble) <= limit
        assert bubble == bubble.strip()


@given(TEXTS, LIMITS)
def test_shortened_text_fits_and_begins_alike(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert units(short) <= limit
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


@pytest.mark.parametrize(
    ("text", "length"), [("", 0), ("abc", 3), ("ñ", 1), ("👋", 2), ("👩🏽‍⚕️", 7), ("e\u0301", 2), ("a\nb", 3)]
)
def test_lengths_are_utf16(text: str, length: int) -> None:
    assert units(text) == length


@pytest.mark.parametrize(
    ("text", "bubbles"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param(" \n ", [], id="blanks"),
        pytest.param("hola", ["hola"], id="short"),
        pytest.param("  hola  ", ["hola"], id="around"),
        pytest.param("a" * 20, ["a" * 20], id="exactly the limit"),
        pytest.param("uno dos tres\n\ncuatro cinco", ["uno dos tres", "cuatro cinco"], id="paragraph"),
        pytest.param("uno. dos. tres\ncuatro cinco", ["uno. dos. tres", "cuatro cinco"], id="line before sentence"),
        pytest.param("uno dos tres. cuatro cinco", ["uno dos tres.", "cuatro cinco"], id="sentence"),
        pytest.param("uno dos tres cuatro cinco", ["uno dos tres cuatro", "cinco"], id="word"),
        pytest.param("a" * 45, ["a" * 20, "a" * 20, "a" * 5], id="anywhere"),
        pytest.param("a\n\n" + "b" * 30, ["a\n\n" + "b" * 17, "b" * 13], id="no scrap of one letter"),
    ],
)
def test_cuts_of_twenty(text: str, bubbles: list[str]) -> None:
    assert split(text, 20) == bubbles


def test_a_long_answer_is_cut_below_twilios_limit() -> None:
    text = " ".join(f"Frase número {n}." for n in range(1000))
    bubbles = split(text)
    assert max(map(units, bubbles)) <= MAX_UNITS < 1600
    assert all(bubble.endswith(".") for bubble in bubbles)


def test_an_emoji_of_two_units_is_never_halved() -> None:
    bubbles = split("👋" * 1000)
    assert "".join(bubbles) == "👋" * 1000
    assert [units(bubble) for bubble in bubbles] == [1500, 500]


@pytest.mark.parametrize(
    "emoji", ["👩🏽‍⚕️", "👨‍👩‍👧‍👦", "👍🏿", "🇲🇽", "e\u0301"], ids=["joined", "family", "skin tone", "flag", "accent"]
)
def test_what_looks_like_one_character_is_not_cut(emoji: str) -> None:
    for lead in range(1, len(emoji)):
        for bubble in split("a" * lead + emoji * 30, 40):
            assert set(bubble.removeprefix("a" * lead).split(emoji)) == {""}


def test_half_an_emoji_does_not_stop_a_reply() -> None:
    assert split("hola \ud83d")
