"""One contact behind every spelling of an address."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.contact import UnusableAddress, canonical, parse_address, redact, to_wire

PHONES = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
BSUIDS = st.from_regex(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "contact"),
    [
        pytest.param("+5215512345678", "+525512345678", id="mexico with the mobile digit"),
        pytest.param("+525512345678", "+525512345678", id="mexico without"),
        pytest.param("+541112345678", "+5491112345678", id="argentina without the mobile digit"),
        pytest.param("+5491112345678", "+5491112345678", id="argentina with"),
        pytest.param("+551187654321", "+5511987654321", id="brazil without the ninth digit"),
        pytest.param("+5511987654321", "+5511987654321", id="brazil with"),
        pytest.param("+551133334444", "+551133334444", id="brazil landline keeps eight digits"),
        pytest.param("+34600111222", "+34600111222", id="nothing to fold"),
        pytest.param("+14155238886", "+14155238886", id="north america"),
        pytest.param("MX.9f3cAbc", "MX.9f3cAbc", id="business-scoped user id"),
        pytest.param("MX.ENT.9f3cAbc", "MX.ENT.9f3cAbc", id="enterprise user id"),
        pytest.param("whatsapp:MX.9f3cAbc", "MX.9f3cAbc", id="prefixed user id"),
        pytest.param("whatsapp:+5215512345678", "+525512345678", id="prefixed phone"),
        pytest.param("  +34 600 111 222 ", "+34600111222", id="blanks"),
        pytest.param("+52 (55) 1234-5678", "+525512345678", id="brackets and dashes"),
        pytest.param("+52.55.1234/5678", "+525512345678", id="dots and slashes"),
        pytest.param("+52\u00a055\u20101234\u20145678", "+525512345678", id="typographic blanks and dashes"),
        pytest.param("0034600111222", "+34600111222", id="00 instead of plus"),
        pytest.param("00 52 1 55 1234 5678", "+525512345678", id="00 and the mobile digit"),
    ],
)
def test_every_spelling_of_a_person_is_one_contact(text: str, contact: str) -> None:
    assert canonical(parse_address(text)) == contact


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("whatsapp:", id="only the prefix"),
        pytest.param("34600111222", id="no plus"),
        pytest.param("+0600111222", id="country code 0"),
        pytest.param("+123456", id="six digits"),
        pytest.param("+1234567890123456", id="sixteen digits"),
        pytest.param("+34600x11222", id="a letter inside"),
        pytest.param("+34+600111222", id="two plus signs"),
        pytest.param("tel:+34600111222", id="another scheme"),
        pytest.param("sip:ana@example.com", id="sip"),
        pytest.param("anonymous", id="a withheld number"),
        pytest.param("mx.9f3c", id="lower-case country"),
        pytest.param("MX.", id="a user id without an id"),
        pytest.param("MX.ENT.", id="an enterprise id without an id"),
        pytest.param(f"MX.{'a' * 129}", id="too long a user id"),
        pytest.param("MX.9f3c;drop", id="a user id with punctuation"),
        pytest.param("+34600111222\n+34600111223", id="two numbers"),
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(UnusableAddress) as refused:
        parse_address(text)
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize("text", ["+5٢٣٤٥٦٧٨٩٠١", "+34６００111222"])  # noqa: RUF001
def test_digits_of_other_scripts_make_no_second_contact(text: str) -> None:
    with pytest.raises(UnusableAddress):
        parse_address(text)


@given(PHONES | BSUIDS)
def test_canonicalising_twice_changes_nothing(text: str) -> None:
    once = canonical(parse_address(text))
    assert canonical(parse_address(once)) == once


@given(PHONES, st.sampled_from([" ", "-", ".", "(", ")", "/", "\u00a0", "\u2013"]), st.integers(1, 20))
def test_a_separator_anywhere_changes_nothing(phone: str, separator: str, where: int) -> None:
    assert parse_address(phone[:where] + separator + phone[where:]) == phone


@given(PHONES | BSUIDS)
def test_the_wire_form_reads_back_as_the_same_address(text: str) -> None:
    assert parse_address(to_wire(parse_address(text))) == text


@given(PHONES | BSUIDS)
def test_redaction_shows_a_beginning_and_four_characters_at_most(text: str) -> None:
    beginning, ending = re.split("•+", redact(text))
    assert len(beginning) <= 3
    assert len(ending) <= 4
    assert sum(map(str.isdigit, ending)) <= 4
    assert len(text) > len(beginning) + len(ending)


@pytest.mark.parametrize(
    ("contact", "shown"),
    [
        ("+525512345678", "+52•••••5678"),
        ("MX.a1b2c3d49f3c", "MX.•••••9f3c"),
        ("+1234567", "•••••"),
        ("", "•••••"),
    ],
)
def test_redaction(contact: str, shown: str) -> None:
    assert redact(contact) == shown
