"""STOP and START, in three languages, as whole messages."""

from typing import Any

import pytest

from processor import optout
from processor.drafts import Draft
from schemas.events import AddressRefused, Button, FenceRaised, MessageReceived, SendRequested
from tests.unit.processor.states import CHANNEL, POLICY, contact, conversation, message, run, state


def opted(event: MessageReceived, **person: Any) -> Draft:
    return optout.opted(run(event), state(contact(**person), conversation()), event, POLICY)


def kinds(draft: Draft) -> list[str]:
    return [one.type.removeprefix("hilo.").removesuffix(".v1") for one in (*draft.outbound, *draft.notices)]


@pytest.mark.parametrize(
    "text",
    ["STOP", "stop", " Stop. ", "BAJA", "baja!", "Darme de baja", "SAIR", "sair", "Unsubscribe", "cancelar suscripción",
     "No más mensajes", "não quero mais receber", "Cancel"],
)  # fmt: skip
def test_words_that_stop(text: str) -> None:
    assert optout.stops(message(text))


@pytest.mark.parametrize(
    "event",
    [
        message("no quiero que pares, stop es una palabra"), message("quiero cancelar mi cita"),
        message("bájame la foto"),
        message("STOP", kind="image"), message("stop.pdf", kind="document"), message("", kind="audio"), message("para"),
        message("alto ahí"), message(""),
    ],
)  # fmt: skip
def test_what_does_not_stop(event: MessageReceived) -> None:
    assert not optout.stops(event)


def test_a_button_and_twilios_own_word_stop_too() -> None:
    assert optout.stops(message("x", kind="button", button=Button(text="Baja")))
    assert optout.stops(message("cualquier cosa", opt_out_type="STOP"))


@pytest.mark.parametrize(
    ("text", "out", "expected"),
    [("START", False, True), ("alta", True, True), ("Iniciar", True, True), ("sí", True, True), ("Sim", True, True),
     ("yes", False, False), ("sí", False, False), ("sí, quiero", True, False), ("hola", True, False)],
)  # fmt: skip
def test_words_that_start(text: str, out: bool, expected: bool) -> None:
    assert optout.starts(message(text), opted_out=out) is expected


def test_a_stop_raises_the_fence_confirms_once_and_tells() -> None:
    draft = opted(message("BAJA"))
    assert (draft.outcome, draft.contact.opted_out, draft.contact.fence) == ("opted_out", True, 5)
    assert kinds(draft) == ["fence-raised", "send-requested", "contact-opted-out"]
    fence = FenceRaised.model_validate(draft.outbound[0].data)
    request = SendRequested.model_validate(draft.outbound[1].data)
    assert (fence.seq, fence.reason) == (5, "opt_out")
    assert (request.purpose, request.seq, request.channel) == ("confirmation", 5, CHANNEL)  # its own fence lets it pass
    assert "ALTA" in request.parts[0].text


def test_the_confirmation_speaks_the_contacts_language() -> None:
    draft = opted(message("STOP"), wrote_in="en")
    assert SendRequested.model_validate(draft.outbound[1].data).parts[0].text.startswith("Done")


def test_where_twilio_has_answered_we_say_nothing() -> None:
    assert kinds(opted(message("STOP", opt_out_type="STOP"))) == ["fence-raised", "contact-opted-out"]
    assert kinds(opted(message("START", opt_out_type="START"), opted_out=True)) == []


def test_a_second_stop_is_silence() -> None:
    draft = opted(message("STOP"), opted_out=True)
    assert (draft.outcome, kinds(draft), draft.contact.opted_out) == ("stored", [], True)
    assert [one.content for one in draft.messages] == ["STOP"]


def test_a_start_brings_them_back() -> None:
    draft = opted(message("ALTA"), opted_out=True)
    assert (draft.outcome, draft.contact.opted_out, kinds(draft)) == ("opted_in", False, ["send-requested"])


def test_a_start_from_somebody_who_never_left_is_only_stored() -> None:
    draft = opted(message("START"))
    assert (draft.outcome, kinds(draft), draft.contact.opted_out) == ("stored", [], False)


@pytest.mark.parametrize(
    ("code", "was", "outcome", "told"),
    [(21610, False, "opted_out", ["contact-opted-out"]), (21610, True, "opted_out", []), (63003, False, "refused", [])],
)
def test_what_twilio_refuses(code: int, was: bool, outcome: str, told: list[str]) -> None:
    event = AddressRefused(address="+1", code=code)
    draft = optout.refused(run(event), state(contact(opted_out=was), conversation()), event)
    assert (draft.outcome, kinds(draft)) == (outcome, told)
    assert draft.contact.opted_out is (code == 21610)
    assert draft.contact.refused == (None if code == 21610 else code)
