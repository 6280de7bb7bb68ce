"""From a state and a run to a turn: the tables of the design."""

import re
from datetime import timedelta
from typing import Any

import pytest

from kit import ids
from kit.ids import call_id
from processor import calling, closing, decisions, drafts
from processor.agent.client import AgentUnavailableError, Answer
from processor.conversation import State
from processor.drafts import Draft, Run
from schemas.attributes import Envelope
from schemas.documents import ContactDocument, ConversationDocument, EventDocument
from schemas.events import CallCompleted, CallFacts, CloseRequested, MessageReceived, SendRequested
from tests.unit.processor.states import (
    ADDRESS,
    CHANNEL,
    CONTACT,
    NOW,
    POLICY,
    call,
    completed,
    contact,
    conversation,
    message,
    run,
    state,
)

UNTIL = NOW + timedelta(hours=5)


def kinds(notices: object) -> list[str]:
    assert isinstance(notices, list | tuple)
    return [one.type.removeprefix("hilo.").removesuffix(".v1") for one in notices]


def asked(draft: Draft) -> SendRequested:
    assert len(draft.outbound) == 1
    return SendRequested.model_validate(draft.outbound[0].data)


def received(work: Run, before: State) -> Draft:
    envelopes: list[Envelope[MessageReceived]] = list(work.events)  # type: ignore[arg-type]
    return decisions.received(work, before, envelopes, POLICY)


def called(before: State, event: CallCompleted | None = None, **facts: Any) -> Draft:
    event = event or completed()
    return calling.called(run(event), before, call(**facts), POLICY)


# Calls


@pytest.mark.parametrize(
    ("person", "open_one", "outcome", "opens", "greets"),
    [
        pytest.param({}, None, "greeted", True, True, id="nothing open: open and greet"),
        pytest.param({}, {"client_wrote": False}, "greeted", False, True, id="open, never wrote: greet again"),
        pytest.param({}, {"client_wrote": True}, "joined", False, False, id="client wrote: the facts join"),
        pytest.param({"opted_out": True}, None, "stored", False, False, id="opted out, nothing open"),
        pytest.param({"opted_out": True}, {"client_wrote": False}, "stored", False, False, id="opted out, open"),
        pytest.param({"escalated": True}, {"status": "escalated"}, "stored", False, False, id="a human has taken over"),
        pytest.param(
            {"escalated": True},
            {"status": "escalated", "client_wrote": True},
            "stored",
            False,
            False,
            id="taken over, client wrote",
        ),
    ],
)
def test_a_call(
    person: dict[str, Any], open_one: dict[str, Any] | None, outcome: str, opens: bool, greets: bool
) -> None:
    before = state(contact(**person), None if open_one is None else conversation(**open_one))
    draft = called(before)
    assert draft.outcome == outcome
    assert kinds(draft.notices) == (["conversation-started"] if opens else [])
    assert len(draft.outbound) == greets
    assert draft.call == call()
    assert draft.contact.last_call == "call_1"
    if draft.conversation:
        assert (draft.conversation.call, draft.conversation.agent_id) == ("call_1", "agent_1")
    else:
        assert open_one is None


def test_the_greeting_of_a_call() -> None:
    draft = called(state())
    request = asked(draft)
    assert [part.text for part in request.parts] == [
        "¡Hola Ana! 👋\n\nHace un momento hablamos sobre: tu cita\n\n¿En qué más puedo ayudarte?"
    ]
    assert (request.purpose, request.to, request.channel, request.seq) == ("greeting", ADDRESS, CHANNEL, 5)
    assert request.template
    assert request.template.variables == {"1": "Ana", "2": "tu cita"}
    assert (request.window_until, request.not_after) == (None, None)
    assert draft.conversation
    assert (draft.conversation.source, draft.conversation.message_count) == ("post_call", 1)
    assert draft.conversation.client_wrote is False


def test_someone_who_wrote_before_is_greeted_where_they_wrote() -> None:
    before = state(contact(address=CONTACT, channel="+14155230000", windows={"+14155230000": UNTIL}))
    request = asked(called(before))
    assert (request.to, request.channel, request.window_until) == (CONTACT, "+14155230000", UNTIL)


@pytest.mark.parametrize(
    ("of_call", "of_contact", "beginning"),
    [
        ("en-GB", None, "Hello Ana!"),
        (None, "pt", "Olá Ana!"),
        ("en", "pt", "Hello Ana!"),
        (None, None, "¡Hola Ana!"),
        ("de", None, "¡Hola Ana!"),
    ],
)
def test_a_greeting_speaks_the_calls_language(of_call: str | None, of_contact: str | None, beginning: str) -> None:
    draft = called(state(contact(language=of_contact)), language=of_call)
    assert asked(draft).parts[0].text.startswith(beginning)


def test_a_second_telling_of_a_call_adds_what_the_first_left_out() -> None:
    facts = CallFacts(conversation_id="c1", call_summary="de ElevenLabs", agent_id="a9", language="en")
    first = calling.call_document("call_1", CONTACT, facts, None, NOW)
    both = calling.call_document("call_1", CONTACT, completed(conversation_id="c1"), first, NOW)
    assert (both.client_name, both.summary, both.agent_id, both.language) == ("Ana", "de ElevenLabs", "a9", "en")
    again = calling.call_document("call_1", CONTACT, facts, both, NOW)
    assert again == both


@pytest.mark.parametrize(
    ("open_one", "joins"),
    [(None, False), ({"call": "call_1"}, True), ({"call": "call_0"}, False), ({"call": None}, False)],
)
def test_call_facts_join_the_conversation_that_knows_the_call_and_never_greet(
    open_one: dict[str, Any] | None, joins: bool
) -> None:
    before = state(None, None if open_one is None else conversation(**open_one))
    draft = calling.told(before, call())
    assert (draft.outcome, draft.outbound, draft.notices, draft.call) == ("facts", (), (), call())
    assert (draft.conversation is not None) is joins


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param({"conversation_id": "c"}, {"conversation_id": "c", "call_summary": "x"}, True, id="by id"),
        pytest.param({"conversation_id": "c"}, {"conversation_id": "d"}, False, id="other id"),
        pytest.param({}, {}, True, id="by content"),
        pytest.param({}, {"call_summary": "x"}, False, id="other content"),
        pytest.param({}, {"agent_id": None}, True, id="null is as if absent"),
        pytest.param(
            {},
            {"phone_number": "+52 1 55 1234 5678"},
            True,
            id="another spelling of the number",
        ),
    ],
)
def test_a_call_has_one_id_however_it_is_told(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (call_id(CONTACT, completed(**one)) == call_id(CONTACT, completed(**other))) is same


def test_facts_and_the_call_they_are_about_have_one_id() -> None:
    assert call_id(CONTACT, completed(conversation_id="c")) == call_id(CONTACT, CallFacts(conversation_id="c"))


# Messages


def test_a_first_message_opens_a_conversation() -> None:
    draft = received(run(message()), state(contact(seq=0, rev="")))
    assert draft.outcome == "to_answer"
    assert draft.must_answer
    assert kinds(draft.notices) == ["conversation-started"]
    assert draft.notices[0].data["source"] == "inbound"
    assert draft.conversation
    assert (draft.conversation.source, draft.conversation.phone_number) == ("inbound", ADDRESS)
    assert (draft.conversation.message_count, draft.conversation.client_wrote) == (1, True)
    assert draft.contact.address == ADDRESS


def test_a_message_into_an_open_conversation_opens_none() -> None:
    draft = received(run(message()), state(None, conversation()))
    assert (draft.outcome, list(draft.notices)) == ("to_answer", [])
    assert draft.conversation
    assert draft.conversation.id == "conv_1"


def test_a_conversation_opened_by_a_message_knows_the_last_call() -> None:
    draft = received(run(message()), state(None, None, call()))
    assert draft.conversation
    assert (draft.conversation.agent_id, draft.conversation.call) == ("agent_1", "call_1")


@pytest.mark.parametrize(
    ("person", "open_one"),
    [
        pytest.param({"escalated": True}, {"status": "escalated"}, id="a human has taken over"),
        pytest.param({"opted_out": True}, {}, id="opted out"),
        pytest.param({"opted_out": True}, None, id="opted out, nothing open"),
    ],
)
def test_where_the_bot_is_silent_a_message_is_only_stored(
    person: dict[str, Any], open_one: dict[str, Any] | None
) -> None:
    before = state(contact(**person), None if open_one is None else conversation(**open_one))
    draft = received(run(message()), before)
    assert (draft.outcome, draft.must_answer, draft.outbound) == ("stored", False, ())
    assert [one.id for one in draft.messages] == ["event-1"]


def test_a_run_of_messages_is_stored_in_its_order() -> None:
    draft = received(run(message("uno"), message("dos"), message("tres")), state(None, conversation()))
    assert [one.content for one in draft.messages] == ["uno", "dos", "tres"]
    assert draft.conversation
    assert draft.conversation.message_count == 3


def answered(before: State, *messages: str, work: Run | None = None, **facts: Any) -> Draft:
    work = work or run(message())
    return decisions.answered(work, before, received(work, before), Answer(list(messages), **facts), POLICY)


def test_the_agents_words_are_shown_in_the_window() -> None:
    draft = answered(state(None, conversation()), "Hola Ana.", "¿Qué tal?", conversation_id="conv_el_1", attempts=2)
    request = asked(draft)
    turn = ids.turn_id(CONTACT, "event-1")
    assert draft.outcome == "replied"
    assert [(part.send_id, part.text) for part in request.parts] == [
        (f"{turn}-1", "Hola Ana."),
        (f"{turn}-2", "¿Qué tal?"),
    ]
    assert (request.purpose, request.to, request.template, request.in_reply_to) == ("reply", ADDRESS, None, ["event-1"])
    assert request.window_until == message().received_at + timedelta(hours=24)
    assert request.not_after == message().received_at + timedelta(hours=1)
    assert (draft.agent["conversation_id"], draft.agent["attempts"]) == ("conv_el_1", 2)
    assert draft.conversation
    assert draft.conversation.message_count == 3
    assert list(draft.raw_reply) == ["Hola Ana.", "¿Qué tal?"]


def test_a_reply_is_stale_an_hour_after_the_newest_message_it_answers() -> None:
    times = [NOW - timedelta(minutes=9), NOW - timedelta(minutes=2), NOW - timedelta(minutes=5)]
    work = run(*(message(received_at=one) for one in times))
    assert asked(answered(state(), "x", work=work)).not_after == NOW + timedelta(minutes=58)


def test_a_long_answer_is_several_bubbles() -> None:
    request = asked(answered(state(), "palabra " * 500))
    assert len(request.parts) == 3
    assert [part.send_id[-2:] for part in request.parts] == ["-1", "-2", "-3"]


@pytest.mark.parametrize("said", [[], [""], [" \n "]])
def test_an_agent_may_say_nothing(said: list[str]) -> None:
    draft = answered(state(None, conversation()), *said)
    assert (draft.outcome, draft.outbound) == ("no_reply", ())
    assert [one.direction for one in draft.messages] == ["inbound"]


def apologised(before: State, work: Run | None = None) -> Draft:
    work = work or run(message())
    error = AgentUnavailableError(3, "timeout in sent: nothing within 25 s")
    return decisions.apologised(work, before, received(work, before), error, POLICY)


def test_after_all_attempts_the_client_hears_an_apology_and_the_backend_a_notice() -> None:
    draft = apologised(state(contact(apologies=1), conversation()))
    request = asked(draft)
    assert draft.outcome == "apologised"
    assert (request.purpose, [part.text for part in request.parts]) == (
        "apology",
        ["Disculpa, tuve un problema procesando tu mensaje. ¿Puedes intentar de nuevo?"],
    )
    assert kinds(draft.notices) == ["agent-unavailable"]
    told = draft.notices[0].data
    assert (told["attempts"], told["agent_id"], told["conversation_id"]) == (3, "agent_default", "conv_1")
    assert draft.contact.apologies == 2


def test_the_apology_of_a_first_message_has_both_notices() -> None:
    assert kinds(apologised(state()).notices) == ["conversation-started", "agent-unavailable"]


def test_an_apology_speaks_the_contacts_language() -> None:
    assert asked(apologised(state(contact(language="en")))).parts[0].text.startswith("Sorry")


def test_an_answer_ends_the_row_of_apologies() -> None:
    assert answered(state(contact(apologies=2), conversation()), "hola").contact.apologies == 0


# Close requests


@pytest.mark.parametrize(
    ("found", "saw", "outcome"),
    [
        pytest.param({}, NOW - timedelta(hours=2), "closed", id="idle"),
        pytest.param({"status": "escalated"}, NOW - timedelta(hours=2), "closed", id="idle and escalated"),
        pytest.param({}, NOW, "closed", id="older than what was seen"),
        pytest.param({}, NOW - timedelta(hours=2, seconds=1), "ignored", id="a newer message"),
        pytest.param({"status": "closed", "open_key": None}, NOW, "ignored", id="closed already"),
        pytest.param(None, NOW, "ignored", id="unknown"),
    ],
)
def test_a_close_request(found: dict[str, Any] | None, saw: Any, outcome: str) -> None:
    request = CloseRequested(conversation_id="conv_1", last_message_at=saw, by="luis")
    before = state(None, None if found is None else conversation(message_count=7, **found))
    draft = closing.closed(run(request), before, before.conversation, request)
    assert draft.outcome == outcome
    assert draft.outbound == ()
    if outcome == "ignored":
        assert (draft.conversation, draft.notices) == (None, ())
        return
    assert draft.conversation
    assert (draft.conversation.status, draft.conversation.open_key, draft.conversation.closed_at) == (
        "closed",
        None,
        NOW,
    )
    assert kinds(draft.notices) == ["conversation-closed"]
    told = draft.notices[0].data
    assert (told["message_count"], told["by"], told["conversation_id"]) == (7, "luis", "conv_1")


# Turns


def test_a_turn_takes_the_contacts_next_place() -> None:
    before = state(None, conversation())
    work = run(message("a"), message("b"), ids=("SM1", "SM2"))
    turn = drafts.turn(work, before, decisions.answered(work, before, received(work, before), Answer(["x"]), POLICY))
    assert (turn.id, turn.seq, turn.slot) == (ids.turn_id(CONTACT, "SM1"), 5, f"{CONTACT}#5")
    assert (turn.events, turn.positions) == (["SM1", "SM2"], ["contact.log-0-0", "contact.log-0-1"])
    assert (turn.done, turn.rev, turn.kind) == (False, f"{turn.id}#decided", "hilo.message-received.v1")
    assert (turn.contact_after["seq"], turn.contact_after["rev"]) == (5, f"{CONTACT}#5")
    after = turn.conversation_after or {}
    assert (after["seq"], after["rev"], after["message_count"]) == (5, "conv_1#5", 3)


def test_a_run_with_a_copy_names_each_event_once() -> None:
    work = run(message(), message(), ids=("SM1", "SM1"))
    assert drafts.turn(work, state(), Draft("ignored", contact())).events == ["SM1"]


def everything(work: Run, before: State) -> list[str]:
    """Every id a turn brings into the world."""
    turns = [
        drafts.turn(work, before, answered(before, "uno", "dos", work=work)),
        drafts.turn(work, before, apologised(before, work)),
    ]
    found: list[str] = []
    for turn in turns:
        documents: list[EventDocument] = [*turn.outbound, *turn.notices]
        found += [turn.id, *(one.id for one in documents), *(one["_id"] for one in turn.messages)]
        found += [turn.conversation_after["_id"] if turn.conversation_after else ""]
    return found


def test_the_same_run_has_the_same_ids_whenever_it_is_decided() -> None:
    later = run(message(), at=NOW + timedelta(hours=1))
    assert everything(run(message()), state()) == everything(later, state(contact(seq=9)))


def test_no_two_things_of_a_turn_have_one_id_and_all_may_stand_in_a_url() -> None:
    found = everything(run(message()), state())[: len(everything(run(message()), state())) // 2]
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", one) for one in found)


def test_other_events_have_other_ids() -> None:
    one = set(everything(run(message(), ids=("SM1",)), state()))
    other = set(everything(run(message(), ids=("SM2",)), state()))
    assert not one & other


@pytest.mark.parametrize("kind", [ContactDocument, ConversationDocument])
def test_what_a_turn_stores_can_be_read_back(kind: type[ContactDocument | ConversationDocument]) -> None:
    turn = drafts.turn(run(message()), state(), answered(state(), "hola"))
    stored = turn.contact_after if kind is ContactDocument else turn.conversation_after
    assert stored
    assert kind.from_mongo(stored).seq == 5


def test_every_published_document_is_an_event_of_its_topic() -> None:
    from schemas.topics import MESSAGE_OUTBOUND, SYSTEM_NOTICES

    for draft in (called(state()), answered(state(), "hola"), apologised(state())):
        for topic, documents in ((MESSAGE_OUTBOUND, draft.outbound), (SYSTEM_NOTICES, draft.notices)):
            types = {event.type_name(): event for event in topic.events}
            for one in documents:
                assert types[one.type].model_validate(one.data).model_dump(mode="json") == one.data
