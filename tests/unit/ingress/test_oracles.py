"""Our own signature check and form reader against what they stand in for: the package's, and urllib's."""

import os
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator

from ingress.forms import Form, parse_form
from ingress.signature import Signature

REQUESTS = int(os.environ.get("HILO_REQUESTS", "10000"))
TEXT = "aZ09 -_.~+&=%#/?:;,@ñü¿😀👩🏽‍⚕️\n\r\t\x00"
NAMES = ["Body", "From", "To", "MessageSid", "NumMedia", "MediaUrl0", "ProfileName", "bodySHA256", "X_New", ""]
HOSTS = ["hooks.example.com", "Hooks.Example.COM", "10.0.0.7", "localhost"]
TOKENS = ["0123456789abcdef0123456789abcdef", "señal", "x"]


def text(dice: random.Random, longest: int = 12) -> str:
    return "".join(dice.choices(TEXT, k=dice.randint(0, longest)))


def base_url(dice: random.Random) -> str:
    port = dice.choice(["", "", ":443", ":80", ":8443"])
    return f"{dice.choice(['https', 'http'])}://{dice.choice(HOSTS)}{port}{dice.choice(['', '/hilo', '/a/b%20c'])}"


def encoded(dice: random.Random) -> bytes:
    """A form: names repeated or of any text, values empty, repeated, or encoded in one way or the other."""
    fields = [
        (dice.choice(NAMES) if dice.random() < 0.8 else text(dice), text(dice)) for _ in range(dice.randint(0, 9))
    ]
    fields += dice.sample(fields, k=min(len(fields), dice.randint(0, 2)))
    quoting = dice.choice([quote, quote_plus])
    return "&".join(f"{quoting(name)}={quoting(value)}" for name, value in fields).encode()


def scope(dice: random.Random) -> dict[str, Any]:
    # No bare ";": the package rebuilds the URL and loses one at the end, though Twilio signs byte for byte.
    path = "/webhook/twilio/" + quote(text(dice), safe="/,:@")
    query = "&".join(f"{quote(text(dice, 4))}={quote(text(dice, 4))}" for _ in range(dice.randint(0, 2)))
    return {"raw_path": path.encode(), "query_string": query.encode()}


def requests(seed: int, count: int) -> Iterator[tuple[str, dict[str, Any], Form, str, str]]:
    """(base, scope, form, token, signature): a third signed as asked, the others nearly so."""
    dice = random.Random(seed)
    for _ in range(count):
        base, asked, token = base_url(dice), scope(dice), dice.choice(TOKENS)
        form = parse_form(encoded(dice))
        signed_base = base if dice.random() < 0.7 else base_url(dice)
        url = signed_base + asked["raw_path"].decode()
        url += f"?{asked['query_string'].decode()}" if asked["query_string"] else ""
        signer = token if dice.random() < 0.8 else dice.choice(TOKENS)
        pairs = form.pairs if dice.random() < 0.8 else form.pairs[1:]
        signature = RequestValidator(signer).compute_signature(url, ImmutableMultiDict(pairs))
        if dice.random() < 0.2:
            signature = dice.choice(["", signature[:-1], signature.lower(), f"{signature} ", signature[::-1]])
        yield base, asked, form, token, signature


def test_the_packages_validator_agrees_on_every_request() -> None:
    agreed = {True: 0, False: 0}
    for base, asked, form, token, signature in requests(9, REQUESTS):
        query = asked["query_string"].decode()
        url = base + asked["raw_path"].decode() + (f"?{query}" if query else "")
        expected = RequestValidator(token).validate(url, ImmutableMultiDict(form.pairs), signature)
        assert Signature(base, [token]).holds(asked, form, signature.encode()) is expected, (url, form.pairs, signature)
        agreed[expected] += 1
    assert min(agreed.values()) > REQUESTS / 5, agreed


@given(st.binary(max_size=200) | st.text(alphabet="ab=&+%0123F ñ\ufffd", max_size=60).map(str.encode))
@example(b"a=%F0%9F%91%8B+x&=&&b&%61=%zz&c=%ff")
def test_a_form_is_read_as_urllib_reads_it(body: bytes) -> None:
    try:
        expected = parse_qsl(body.decode(), keep_blank_values=True)
    except UnicodeDecodeError:
        with pytest.raises(ValueError, match=r"."):
            parse_form(body)
        return
    assert parse_form(body).pairs == expected
    assert parse_form(body) == dict(expected)
