"""`hilo export --media`: the files a person sent, from Twilio, or in words why one is missing."""

from pathlib import Path
from typing import Any

import pytest

from ops.enclosing import enclosed
from ops.export import exported
from ops.person import Person
from sandbox.twilio.simulator import TwilioSimulator
from schemas.documents import ContactDocument, MessageDocument
from tests.contracts.test_hearing import note, settings

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64


def told(*notes: Any) -> Person:
    messages = [
        MessageDocument(
            id=one.message_sid,
            conversation_id="c1",
            contact="+34600111222",
            direction="inbound",
            content="",
            whatsapp_message_id=one.message_sid,
            timestamp=one.received_at,
            kind="image",
            media=one.media,
        )
        for one in notes
    ]
    return Person(ContactDocument(id="+34600111222"), [], messages, [], [], [])


@pytest.fixture
async def twilio() -> Any:
    async with TwilioSimulator() as running:
        yield running


async def test_what_was_sent_lies_beside_the_document(
    twilio: TwilioSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.media.NOT_YET_S", (0.01,))
    picture = note(twilio, PNG, "image/png")
    nobodys = note(twilio).model_copy(update={"media": [picture.media[0]]})  # another message's address
    person = told(picture, nobodys)
    files = await enclosed([person], tmp_path, settings(twilio))
    name = f"{picture.message_sid}-1.png"
    assert files[picture.message_sid] == [{"file": name}]
    assert files[nobodys.message_sid] == [{"missing": "not an address of this message's media"}]
    assert (tmp_path / name).read_bytes() == PNG
    first, second = exported(person, files)["messages"]
    assert first["media"] == [{**picture.media[0].model_dump(mode="json"), "file": name}]
    assert "missing" in second["media"][0]
    assert exported(person)["messages"][0]["media"] == [picture.media[0].model_dump(mode="json")]
