"""What others wrote, harmless for a terminal and free of numbers."""

from typing import Any

import pytest

from ops.escaping import escaped, readable
from ops.masking import Masking


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("añá 👩‍👩‍👧 [red]\n\tx", "añá 👩‍👩‍👧 [red]\n\tx"),
        ("\x1b[2J\x07\r", "\\x1b[2J\\x07\\x0d"),
        ("a\u202eb\u200bc", "a\\u202eb\\u200bc"),
        ("\U000e0001", "\\U000e0001"),
        ("\x9b", "\\x9b"),
    ],
)
def test_no_text_moves_the_cursor(text: str, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (b"", ""), (b"\xff\x00a", "\\xff\\x00a"), ("ñ".encode(), "ñ"), (b"\xc3", "\\xc3")]
)
def test_any_bytes_can_be_read(value: bytes | None, shown: str) -> None:
    assert readable(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("+5215512345678", "+52•••••5678"),
        ("whatsapp:+5215512345678.", "whatsapp:+52•••••5678."),
        ("whatsapp%3A%2B5215512345678", "whatsapp%3A+52•••••5678"),
        ("+52 (1) 55-1234 5678", "+52•••••5678"),
        ("0034 600 111 222", "+00•••••1222"),
        ("600 111 222", "600•••••1222"),
        ('{"phone":"5512345678"}', '{"phone":"551•••••5678"}'),
        ("soy MX.9f3c2ab41d", "soy MX.•••••b41d"),
        ({"+5215512345678": ["+5215512345678", 7, None]}, {"+52•••••5678": ["+52•••••5678", 7, None]}),
        # What looks like one and is none.
        ("2026-11-23T12:00:00.123456+00:00", "2026-11-23T12:00:00.123456+00:00"),
        ("el 2026-11-23 10:30 y 1.500", "el 2026-11-23 10:30 y 1.500"),
        ("SM00000000000000000000000000000001", "SM00000000000000000000000000000001"),
        ("turn_123456789012345678901234-1", "turn_123456789012345678901234-1"),
        ("contact.log-10-123456789", "contact.log-10-123456789"),
    ],
)
def test_numbers_are_masked_in_whatever_form(value: Any, shown: Any) -> None:
    masking = Masking("MX.9f3c2ab41d", reveal=False)
    assert masking(value) == shown
    assert masking(masking(value)) == shown
    assert Masking(reveal=True)(value) == value


@pytest.mark.parametrize(
    "text",
    [
        *("Cel:5512345678", "tel.5512345678", "_5512345678_", "5512345678: llámame", "55\u00a01234\u00a05678"),
        *("+52\u20111\u201155\u20111234\u20115678", "(55) 12-34-56-78", "55/12/34/56/78", "0052 1 55 1234 5678"),
    ],
)
def test_a_person_s_own_number_is_masked_however_it_is_written(text: str) -> None:
    masking = Masking("+5215512345678", reveal=False)
    shown = masking(text)
    assert ("•••" in shown, "1234" in shown, masking(shown)) == (True, False, shown)


@pytest.mark.parametrize("text", ["pedido 12345679", "a las 12:34, 56 €", "conv_8acd8c525ccff0a39efd8a34"])
def test_what_is_not_their_number_stays(text: str) -> None:
    assert Masking("+5215512345678", reveal=False)(text) == text
