"""Which language a client writes in."""

import pytest

from processor import decisions
from processor.language import language_of
from tests.unit.processor.states import POLICY, contact, conversation, message, run, state


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hola, quiero cambiar mi cita de mañana", "es"), ("¿A qué hora abren?", "es"), ("¡Buenos días!", "es"),
        ("Hello, I want to change my appointment", "en"), ("where is the clinic?", "en"),
        ("thank you so much for this", "en"),
        ("Olá, preciso mudar minha consulta", "pt"), ("vocês têm horário amanhã? não posso hoje", "pt"),
        ("", None), ("ok", None), ("12345", None), ("👍👍", None), ("Ana López", None),
        ("Bonjour, je voudrais un rendez-vous", None),
    ],
)  # fmt: skip
def test_it_is_told_by_its_small_words(text: str, language: str | None) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("person", "text", "beginning"),
    [
        ({}, "Hello, could you help me please?", "Sorry"),
        ({"wrote_in": "pt"}, "ok", "Desculpe"),
        ({"language": "en", "wrote_in": "pt"}, "ok", "Sorry"),
        ({}, "ok", "Disculpa"),
    ],
)
def test_our_own_texts_follow_the_call_then_the_client_then_the_setting(
    person: dict[str, str], text: str, beginning: str
) -> None:
    work, before = run(message(text)), state(contact(**person), conversation())
    draft = decisions.received(work, before, work.events, POLICY)  # type: ignore[arg-type]
    assert decisions.texts_of(before, draft, POLICY).apology.startswith(beginning)
