"""What the log said is shown at once, in its place, until the stores have it."""

from datetime import timedelta
from typing import Any

import pytest

from kit import ids
from ops.console.looking import Looking
from ops.console.overlay import BUBBLES, CONTACTS, Overlay
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.events import (
    CloseRequested,
    EraseRequested,
    Event,
    OperatorSaid,
    Part,
    SendRequested,
    StatusChanged,
    TakenOver,
)
from tests.unit.ops.console.rig import Console
from tests.unit.ops.stories import World
from tests.unit.processor.states import ADDRESS, CHANNEL, CONTACT, NOW, message


def heard(overlay: Overlay, name: str, event: Event, contact: Contact = CONTACT) -> None:
    overlay.hear(Envelope(name, "hilo/test", NOW, contact, event))


def request(*texts: str, purpose: Any = "reply") -> SendRequested:
    parts = [Part(send_id=f"turn_1-{n}", text=text) for n, text in enumerate(texts, 1)]
    return SendRequested(
        contact=CONTACT, to=ADDRESS, channel=CHANNEL, conversation_id="conv_1", turn="turn_1", seq=1, purpose=purpose,
        parts=parts,
    )  # fmt: skip


def status(told: str, code: int | None = None) -> StatusChanged:
    about = {"message_sid": "SMx", "send_id": "turn_1-1", "address": ADDRESS, "received_at": NOW}
    return StatusChanged(status=told, error_code=code, **about)


def test_a_first_message_opens_the_conversation_that_it_will_open() -> None:
    overlay = Overlay()
    heard(overlay, "SM1", message("hola", profile_name="Ana"))
    expected = ids.conversation_id(CONTACT, CHANNEL, "SM1")
    person = Looking(None, overlay).heard(CONTACT, None)  # type: ignore[arg-type]
    assert (person.places, overlay.opening(expected)) == ([expected], CONTACT)
    entry = person.entry(expected)
    assert entry
    assert (entry.name, entry.last, entry.section) == ("Ana", "hola", "active")
    heard(overlay, "SM2", message("¿qué tal?"))
    assert [one.text for one in Looking(None, overlay).heard(CONTACT, None).heard_in(expected)] == ["hola", "¿qué tal?"]  # type: ignore[arg-type]


async def test_the_prediction_is_what_the_processor_does(world: World) -> None:
    await world.handle(("SM1", message("hola")))
    (conversation,) = await world.reads.conversations(CONTACT)
    assert conversation.id == ids.conversation_id(CONTACT, CHANNEL, "SM1")


async def test_an_operators_words_become_the_bubble_that_the_processor_makes(world: World) -> None:
    overlay = Overlay()
    heard(overlay, "say_1", OperatorSaid(by="Marta", text="hola"))
    (shown,) = overlay.of(CONTACT).heard
    await world.handle(("SM1", message("hola")))
    await world.handle(("takeover_1", TakenOver(by="Marta")))
    await world.handle(("say_1", OperatorSaid(by="Marta", text="hola")))
    assert world.requests[-1].parts[0].send_id == shown


def test_statuses_never_go_back() -> None:
    overlay = Overlay()
    for told in ("sent", "read", "delivered", "queued"):
        heard(overlay, told, status(told))
    assert overlay.of(CONTACT).told == {"turn_1-1": ("read", None)}


def test_what_is_asked_of_the_sender_knows_its_conversation_and_keeps_the_operators_name() -> None:
    overlay = Overlay()
    heard(overlay, "r", request("uno", "dos"))
    recent = overlay.of(CONTACT)
    assert [(one.bubble.text, one.conversation, one.bubble.mark) for one in recent.heard.values()] == [
        ("uno", "conv_1", "waiting"),
        ("dos", "conv_1", "waiting"),
    ]
    overlay.absorbed(CONTACT, {"turn_1-1", "elsewhere"})
    assert list(overlay.of(CONTACT).heard) == ["turn_1-2"]


def test_an_erased_contact_is_gone_at_once() -> None:
    overlay = Overlay()
    heard(overlay, "SM1", message("secreto"))
    heard(overlay, "erase_1", EraseRequested(by="Marta"))
    assert overlay.of(CONTACT).heard == {}
    assert overlay.opening(ids.conversation_id(CONTACT, CHANNEL, "SM1")) is None


def test_it_is_bounded() -> None:
    overlay = Overlay()
    for number in range(CONTACTS + 10):
        heard(overlay, f"SM{number}", message("hola"), Contact(f"+52551{number:07}"))
    assert overlay.of("+525510000000").heard == {}
    for number in range(BUBBLES + 10):
        heard(overlay, f"SMx{number}", message("hola"))
    assert len(overlay.of(CONTACT).heard) == BUBBLES
    for number in range(300):
        heard(overlay, "s", StatusChanged(**{**status("sent").model_dump(), "send_id": f"turn_{number}-1"}))
    assert len(overlay.of(CONTACT).told) == 200


@pytest.mark.parametrize("stored", [False, True])
async def test_a_chat_shows_each_message_once(console: Console, world: World, stored: bool) -> None:
    console.desk.feed.heard(Envelope("SM1", "hilo/test", NOW, CONTACT, message("hola")))
    if stored:
        await world.handle(("SM1", message("hola")))
    chat = await console.desk.looking.chat(ids.conversation_id(CONTACT, CHANNEL, "SM1"))
    assert chat
    texts = ["hola", "re: hola"] if stored else ["hola"]
    assert [one.text for one in chat.bubbles] == texts
    assert (chat.conversation is not None) is stored
    await console.desk.feed.stop()


async def test_a_message_after_a_closing_is_shown_in_the_conversation_it_opens(console: Console, world: World) -> None:
    await world.handle(("SM1", message("hola")))
    (first,) = await world.reads.conversations(CONTACT)
    await world.handle(("close_1", CloseRequested(conversation_id=first.id, last_message_at=NOW + timedelta(hours=1))))
    console.desk.feed.heard(Envelope("SM2", "hilo/test", NOW, CONTACT, message("otra vez", message_sid="SM2")))
    person = await console.desk.looking.person(CONTACT)
    opened = ids.conversation_id(CONTACT, CHANNEL, "SM2")
    assert person.places == [first.id, opened]
    closed, fresh = person.entry(first.id), person.entry(opened)
    assert closed
    assert fresh
    assert (closed.section, fresh.section, fresh.last) == ("closed", "active", "otra vez")
    await console.desk.feed.stop()
