"""Every kind of message: one recorded form each (`forms/*.form`, as captured in Sep 2026, anonymised) and its event.

Twilio's documents name no list of kinds; `reaction`, `video`, `sticker`, `flow` and `unknown` are put together from
what others report.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.forms import parse_form
from ingress.twilio import message_received
from schemas.contact import canonical, parse_address
from schemas.events import MessageReceived

FORMS = sorted((Path(__file__).parent / "forms").glob("*.form"))
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
KINDS = {
    "text",
    "image",
    "audio",
    "video",
    "sticker",
    "document",
    "location",
    "contacts",
    "interactive",
    "button",
    "reaction",
}
UNKNOWN = st.dictionaries(st.from_regex(r"[A-Z][A-Za-z]{3,20}", fullmatch=True).map("X".__add__), st.text(max_size=20))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_a_recorded_form_is_its_event(form: Path) -> None:
    expected = MessageReceived.model_validate_json(form.with_suffix(".json").read_text())
    assert message_received(parse_form(form.read_bytes().strip()), AT) == expected


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_nothing_that_was_sent_is_lost(form: Path) -> None:
    """Every value that is not empty, and not said by the event as such, stands in it somewhere."""
    sent = dict(parse_qsl(form.read_text().strip()))
    said = json.dumps(json.loads(form.with_suffix(".json").read_text()), ensure_ascii=False)
    constant = {"SmsStatus", "NumSegments", "NumMedia", "AccountSid", "ApiVersion", "MessageType"}
    missing = {
        name
        for name, value in sent.items()
        if name not in constant and json.dumps(value.removeprefix("whatsapp:"), ensure_ascii=False)[1:-1] not in said
    }
    assert missing == set()


def test_there_is_a_form_of_every_kind() -> None:
    kinds = {json.loads(form.with_suffix(".json").read_text()).get("kind", "text") for form in FORMS}
    assert kinds >= KINDS
    assert kinds - KINDS == {"hologram"}, "and one of a kind that is yet to come"


@given(UNKNOWN, st.sampled_from(FORMS))
def test_whatever_twilio_adds_is_kept(added: dict[str, str], form: Path) -> None:
    extra = "".join(f"&{name}={quote_plus(value)}" for name, value in added.items())
    got = message_received(parse_form(form.read_bytes().strip() + extra.encode()), AT)
    assert added.items() <= got.fields.items()


@pytest.mark.parametrize("name", ["MediaCaption", "MediaUrl10", "MediaSize0", "ParentExternalUserId", "Fromage"])
def test_a_new_field_that_looks_like_one_we_know_is_kept(name: str) -> None:
    body = (Path(__file__).parent / "forms/image.form").read_bytes().strip() + f"&{name}=x".encode()
    assert message_received(parse_form(body), AT).fields[name] == "x"


# The same person, however spelled: one contact; another person: another.

PEOPLE = st.one_of(
    st.from_regex(r"[1-9][0-9]{9}", fullmatch=True).map(lambda n: (f"+52{n}", (f"+52{n}", f"+521{n}"))),
    st.from_regex(r"[1-8][0-9]{9}", fullmatch=True).map(lambda n: (f"+549{n}", (f"+54{n}", f"+549{n}"))),
    st.from_regex(r"[1-9][0-9][6-9][0-9]{7}", fullmatch=True).map(
        lambda n: (f"+55{n[:2]}9{n[2:]}", (f"+55{n}", f"+55{n[:2]}9{n[2:]}"))
    ),
    st.from_regex(r"(34|351|44|49|57|1)[1-9][0-9]{8}", fullmatch=True).map(lambda n: (f"+{n}", (f"+{n}",))),
    st.from_regex(r"(MX|AR|BR|ES)\.(ENT\.)?[A-Za-z0-9]{6,30}", fullmatch=True).map(lambda n: (n, (n,))),
)


@st.composite
def spelled(draw: st.DrawFn) -> tuple[str, str]:
    """(the person, one spelling of it)."""
    person, numbers = draw(PEOPLE)
    number = draw(st.sampled_from(numbers))
    if not number.startswith("+"):
        return person, draw(st.sampled_from(["", "whatsapp:"])) + number
    start = draw(st.sampled_from(["+", "00", "+ ", "00 "]))
    gap = draw(st.sampled_from(["", " ", "-", ".", "\u00a0", "\u2011"]))
    cut = draw(st.integers(2, 6))
    text = start + number[1:cut] + gap + number[cut:8] + gap + number[8:]
    return person, draw(st.sampled_from(["", "whatsapp:", "  "])) + text + draw(st.sampled_from(["", " "]))


@given(spelled())
def test_however_a_person_is_spelled_it_is_one_contact(one: tuple[str, str]) -> None:
    person, spelling = one
    assert canonical(parse_address(spelling)) == person


@given(spelled(), spelled())
def test_two_people_are_two_contacts(one: tuple[str, str], other: tuple[str, str]) -> None:
    same = one[0] == other[0]
    assert (canonical(parse_address(one[1])) == canonical(parse_address(other[1]))) is same


@given(spelled(), st.from_regex(r"MX\.[A-Za-z0-9]{6,30}", fullmatch=True))
def test_a_message_carries_what_links_a_number_and_a_user_id(one: tuple[str, str], user_id: str) -> None:
    """Twilio shows both, one of them, or the user id twice; the event has the exact address, and the id if told."""
    person, _ = one
    fields = {"MessageSid": "SM1", "From": f"whatsapp:{person}", "To": "whatsapp:+14155238886", "Body": "x"}
    body = "&".join(f"{name}={quote_plus(value)}" for name, value in fields.items())
    told = message_received(parse_form(f"{body}&ExternalUserId=whatsapp%3A{user_id}".encode()), AT)
    assert (told.address, told.user_id) == (person, user_id)
    assert message_received(parse_form(body.encode()), AT).user_id is None
