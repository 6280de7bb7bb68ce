"""What a client sent, in words an agent can read."""

from typing import Any

import pytest

from processor.wording import KINDS, wording
from schemas.events import Button, Location, Media
from tests.unit.processor.states import message

FILE = [Media(url="u", content_type="x/y")]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"text": "hola"}, "hola", id="text"),
        pytest.param({"text": " \n"}, "[The client sent a message without text: text]", id="only blanks"),
        pytest.param({"kind": "image", "text": ""}, "[The client sent a picture]", id="photo"),
        pytest.param({"kind": "image", "text": "mira"}, "[The client sent a picture] mira", id="photo with caption"),
        pytest.param({"kind": "document", "text": "f.pdf"}, "[The client sent a document: f.pdf]", id="document"),
        pytest.param({"kind": "document", "text": ""}, "[The client sent a document: no name]", id="nameless document"),
        pytest.param(
            {"kind": "location", "text": "", "location": Location(latitude=1.5, longitude=-2, label="Café")},
            "[The client sent a location: Café 1.5, -2.0]",
            id="location",
        ),
        pytest.param({"kind": "location", "text": ""}, "[The client sent a location]", id="location of nowhere"),
        pytest.param(
            {"kind": "interactive", "text": "x", "button": Button(text="Sí", payload="yes")}, "Sí", id="button"
        ),
        pytest.param({"kind": "interactive", "text": "x"}, "x", id="button without a button"),
        pytest.param({"kind": "contacts", "text": ""}, "[The client sent a contact card]", id="contact card"),
        pytest.param(
            {"kind": "hologram", "text": ""}, "[The client sent a message without text: hologram]", id="unknown"
        ),
        pytest.param({"kind": "hologram", "text": "", "media": FILE}, "[The client sent a file]", id="unknown file"),
        pytest.param({"kind": "hologram", "text": "hola"}, "hola", id="unknown with text"),
    ],
)
def test_words(fields: dict[str, Any], words: str) -> None:
    assert wording(message(**{"text": "hola", **fields})) == words


@pytest.mark.parametrize("kind", [*KINDS, "unsupported", "reaction"])
@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_nothing_is_never_said_to_an_agent(kind: str, text: str) -> None:
    assert wording(message(text, kind=kind)).strip()
