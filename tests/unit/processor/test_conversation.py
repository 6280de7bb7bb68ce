"""What a record makes of a conversation."""

import re
from datetime import timedelta
from typing import get_args

import pytest

from kit.ids import close_id, conversation_id, part_id, turn_id
from processor import conversation as rules
from schemas.documents import Status
from schemas.events import Part
from tests.unit.processor.states import ADDRESS, CHANNEL, CONTACT, NOW, call, contact, conversation, message

ALLOWED = {
    ("active", "close"): "closed",
    ("escalated", "close"): "closed",
    ("active", "take_over"): "escalated",
    ("escalated", "hand_back"): "active",
}


@pytest.mark.parametrize("status", get_args(Status))
@pytest.mark.parametrize("action", ["close", "take_over", "hand_back", "greet"])
def test_transitions(status: Status, action: str) -> None:
    assert rules.next_status(status, action) == ALLOWED.get((status, action))


def test_the_table_in_the_text_is_the_table_in_the_code() -> None:
    rows = re.findall(r"^\| (\w+) +\| ([\w\- ]+?) +\| (\w+) +\|$", rules.__doc__ or "", re.MULTILINE)
    names = {"close request": "close", "take-over": "take_over", "hand-back": "hand_back"}
    told = {(before, names[event]): after for before, event, after in rows if event in names}
    assert told == rules.TRANSITIONS == ALLOWED


def test_opened() -> None:
    got = rules.opened(CONTACT, CHANNEL, "event-1", source="inbound", phone=ADDRESS, at=NOW)
    assert got.id == conversation_id(CONTACT, CHANNEL, "event-1")
    assert (got.status, got.open_key, got.message_count) == ("active", f"{CONTACT}|{CHANNEL}", 0)
    assert got.started_at == got.last_message_at == NOW


def test_closed_frees_the_place_for_the_next_one() -> None:
    got = rules.close(conversation(), NOW)
    assert (got.status, got.closed_at, got.open_key) == ("closed", NOW, None)
    assert "open_key" not in got.to_mongo()


def test_the_clients_words_are_counted_and_remembered() -> None:
    before = conversation(message_count=3)
    after, stored = rules.wrote(before, [("e1", message("uno")), ("e2", message("dos", received_at=NOW))])
    assert (after.message_count, after.client_wrote, after.last_message_at) == (5, True, NOW)
    assert [(line.role, line.text, line.id) for line in after.lines] == [
        ("client", "uno", "e1"),
        ("client", "dos", "e2"),
    ]
    assert [(one.id, one.direction, one.content, one.whatsapp_message_id) for one in stored] == [
        ("e1", "inbound", "uno", "SM1"),
        ("e2", "inbound", "dos", "SM1"),
    ]


def test_our_bubbles_are_counted_and_remembered() -> None:
    after, stored = rules.said(conversation(message_count=3), [Part(send_id="t-1", text="hola")], NOW)
    assert (after.message_count, after.client_wrote, after.last_message_at) == (4, False, NOW)
    assert [(line.role, line.id) for line in after.lines] == [("bot", "t-1")]
    assert (stored[0].id, stored[0].direction, stored[0].conversation_id) == ("t-1", "outbound", "conv_1")


def test_only_the_last_twenty_lines_are_remembered() -> None:
    after = conversation()
    for n in range(30):
        after, _ = rules.wrote(after, [(f"e{n}", message(str(n)))])
    assert [line.text for line in after.lines] == [str(n) for n in range(10, 30)]
    assert after.message_count == 30


def test_a_late_message_does_not_turn_the_conversations_clock_back() -> None:
    after, _ = rules.wrote(conversation(last_message_at=NOW), [("e1", message(received_at=NOW - timedelta(hours=9)))])
    assert after.last_message_at == NOW


def test_a_call_joins_and_what_it_does_not_know_is_kept() -> None:
    before = conversation(client_name="Ana", agent_id="a0", call_summary="antes", elevenlabs_conversation_id="c0")
    silent = call(id="call_2", client_name=None, agent_id=None, summary=None, conversation_id=None)
    after = rules.joined(before, silent)
    assert (after.client_name, after.agent_id, after.call_summary) == ("Ana", "a0", "antes")
    assert (after.elevenlabs_conversation_id, after.call) == ("c0", "call_2")
    after = rules.joined(before, call())
    assert (after.agent_id, after.call_summary, after.elevenlabs_conversation_id) == (
        "agent_1",
        "tu cita",
        "conv_call_1",
    )


def test_a_message_opens_the_window_of_its_channel_for_a_day() -> None:
    after = rules.seen(contact(windows={"+1999": NOW}), message(received_at=NOW))
    assert after.windows == {"+1999": NOW, CHANNEL: NOW + timedelta(hours=24)}
    assert (after.address, after.channel, after.name) == (ADDRESS, CHANNEL, "Anita")


def test_a_late_message_does_not_shorten_the_window() -> None:
    until = NOW + timedelta(hours=20)
    after = rules.seen(contact(windows={CHANNEL: until}), message(received_at=NOW - timedelta(hours=9)))
    assert after.windows[CHANNEL] == until


def test_addresses_are_remembered_once_and_the_last_one_is_answered() -> None:
    after = contact()
    for address in (ADDRESS, CONTACT, ADDRESS):
        after = rules.seen(after, message(address=address, profile_name=None))
    assert after.addresses == [ADDRESS, CONTACT]
    assert (after.address, after.name) == (ADDRESS, None)


def test_ids_may_stand_in_a_url_and_are_the_same_everywhere() -> None:
    turn = turn_id(CONTACT, "event-1")
    for one in (turn, part_id(turn, 3), conversation_id(CONTACT, CHANNEL, "x"), close_id("conv_1", "t")):
        assert re.fullmatch(r"[A-Za-z0-9_-]+", one)
    assert turn == "turn_" + turn_id(CONTACT, "event-1").removeprefix("turn_")
    assert turn != turn_id(CONTACT, "event-2")
