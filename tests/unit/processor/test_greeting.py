"""The first message after a call, word for word."""

import pytest

from processor.greeting import greeting, greeting_template
from processor.parts import units
from processor.texts import Texts, en, es, pt, texts_for

SID = "HX" + "0" * 32


def test_the_spanish_greeting_is_exactly_this() -> None:
    assert greeting(es.TEXTS, "Ana", "tu cita del martes") == (
        "¡Hola Ana! 👋\n\nHace un momento hablamos sobre: tu cita del martes\n\n¿En qué más puedo ayudarte?"
    )


def test_the_spanish_apology_is_exactly_this() -> None:
    assert es.TEXTS.apology == "Disculpa, tuve un problema procesando tu mensaje. ¿Puedes intentar de nuevo?"


@pytest.mark.parametrize(
    ("name", "summary", "expected"),
    [
        pytest.param(None, "cita", "¡Hola! 👋\n\nHace un momento hablamos sobre: cita\n\n{offer}", id="no name"),
        pytest.param("", "cita", "¡Hola! 👋\n\nHace un momento hablamos sobre: cita\n\n{offer}", id="empty name"),
        pytest.param(" \n ", "cita", "¡Hola! 👋\n\nHace un momento hablamos sobre: cita\n\n{offer}", id="blank name"),
        pytest.param("Ana", None, "¡Hola Ana! 👋\n\n{offer}", id="no summary"),
        pytest.param("Ana", " \n\t", "¡Hola Ana! 👋\n\n{offer}", id="blank summary"),
        pytest.param(None, None, "¡Hola! 👋\n\n{offer}", id="neither"),
        pytest.param("  Ana\n María  ", None, "¡Hola Ana María! 👋\n\n{offer}", id="name on two lines"),
        pytest.param(
            "{summary}",
            "{name} {0} %s",
            "¡Hola {{summary}}! 👋\n\nHace un momento hablamos sobre: {{name}} {{0}} %s\n\n{offer}",
            id="braces are no places",
        ),
    ],
)
def test_what_is_not_known_is_left_out(name: str | None, summary: str | None, expected: str) -> None:
    assert greeting(es.TEXTS, name, summary) == expected.format(offer="¿En qué más puedo ayudarte?")


@pytest.mark.parametrize("character", ["a", "ñ", "👋", "palabra "])
def test_five_thousand_characters_fit_into_one_bubble(character: str) -> None:
    text = greeting(es.TEXTS, (character * 5000)[:5000], (character * 5000)[:5000])
    assert units(text) <= 1000
    assert text.count("…") == 2
    assert text.endswith("¿En qué más puedo ayudarte?")


@pytest.mark.parametrize("texts", [es.TEXTS, en.TEXTS, pt.TEXTS], ids=["es", "en", "pt"])
def test_every_language_has_every_text(texts: Texts) -> None:
    for name in Texts.__slots__:
        assert getattr(texts, name).strip()
    assert "Ana" in greeting(texts, "Ana", "la cita")
    assert "la cita" in greeting(texts, "Ana", "la cita")


@pytest.mark.parametrize(
    ("name", "summary", "variables"),
    [
        pytest.param("Ana", "tu cita", {"1": "Ana", "2": "tu cita"}, id="plain"),
        pytest.param(None, None, {"1": "de nuevo", "2": "tu llamada"}, id="nothing known"),
        pytest.param(" ", "\n", {"1": "de nuevo", "2": "tu llamada"}, id="only blanks"),
        pytest.param(
            "Ana\nMaría",
            "uno\r\n\r\ndos\t\ttres      cuatro",
            {"1": "Ana María", "2": "uno dos tres cuatro"},
            id="lines",
        ),
    ],
)
def test_template_variables(name: str | None, summary: str | None, variables: dict[str, str]) -> None:
    template = greeting_template(SID, es.TEXTS, name, summary)
    assert template
    assert (template.content_sid, template.variables) == (SID, variables)


@pytest.mark.parametrize("text", ["x" * 5000, "👋" * 5000, "línea\n" * 1000, "\u2028 a\u2028" * 1000])
def test_template_variables_are_short_one_line_and_never_empty(text: str) -> None:
    template = greeting_template(SID, es.TEXTS, text, text)
    assert template
    for value in template.variables.values():
        assert value.strip()
        assert len(value.splitlines()) == 1
        assert "    " not in value
        assert units(value) <= 200


def test_without_a_template_there_is_none() -> None:
    assert greeting_template("", es.TEXTS, "Ana", "cita") is None


@pytest.mark.parametrize(
    ("tags", "texts"),
    [
        (["es"], es.TEXTS),
        (["en-US"], en.TEXTS),
        (["pt_BR"], pt.TEXTS),
        (["PT"], pt.TEXTS),
        ([None, "en"], en.TEXTS),
        (["", "en"], en.TEXTS),
        (["de", "pt"], pt.TEXTS),
        (["de"], es.TEXTS),
        ([], es.TEXTS),
    ],
)
def test_the_first_language_we_speak(tags: list[str | None], texts: Texts) -> None:
    assert texts_for(*tags) is texts
