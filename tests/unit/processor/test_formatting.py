"""Markdown in, WhatsApp out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.formatting import formatted

PLAIN = st.lists(
    st.sampled_from(["hola", "¿qué tal?", "son las 10:30.", "$1,500.00", "snake_case", "👋", "a/b", "(sí)", "50%"]),
    min_size=1,
).map(" ".join)


@given(st.lists(PLAIN, min_size=1).map("\n\n".join))
def test_text_without_markdown_comes_back_as_it_was(text: str) -> None:
    assert formatted(text) == text


@given(st.text(max_size=200))
def test_it_never_raises(text: str) -> None:
    formatted(text)


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("**Hola** Ana", "*Hola* Ana"),
        ("*así* y __más__ y ~~no~~", "_así_ y *más* y ~no~"),
        ("***ambas***", "_*ambas*_"),
        ("# Título\n\nTexto", "*Título*\n\nTexto"),
        ("## **Precio**", "*Precio*"),
        ("# ", ""),
        ("línea\notra", "línea\notra"),
        ("- uno\n- dos\n  - tres\n\nfin", "- uno\n- dos\n  - tres\n\nfin"),
        ("* uno\n* dos", "- uno\n- dos"),
        ("3. c\n4. d", "3. c\n4. d"),
        ("1) a\n2) b", "1) a\n2) b"),
        ("1. a\n\n2. b", "1. a\n2. b"),
        ("[la web](https://x.example/a_b_c)", "la web: https://x.example/a_b_c"),
        ("[https://x.example](https://x.example)", "https://x.example"),
        ("<https://x.example>", "https://x.example"),
        ("![foto](https://x.example/f.png)", "foto: https://x.example/f.png"),
        ("2*3*4 y snake_case_x", "2*3*4 y snake_case_x"),
        ("https://x.example/?a=*b*&c=_d_", "https://x.example/?a=*b*&c=_d_"),
        ("5 * 3 * 2", "5 * 3 * 2"),
        ("`a*b*` y ```x```", "`a*b*` y `x`"),
        ("```py\nx = **1**\n```", "```x = **1**```"),
        ("> cita\n> dos", "> cita\n> dos"),
        ("| a | b |\n|---|---|\n| 1 | **2** |", "a | b\n1 | *2*"),
        ("A\n\n\n\nB", "A\n\nB"),
        ("    hola", "hola"),
        ("a\n\n---\n\nb", "a\n\nb"),
        ("<b>x</b> &amp; \\*y\\*", "<b>x</b> & *y*"),
    ],
)
def test_what_whatsapp_shows(markdown: str, shown: str) -> None:
    assert formatted(markdown) == shown
