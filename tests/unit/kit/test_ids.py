"""Ids that two processes compute alike."""

import re

from hypothesis import given
from hypothesis import strategies as st

from kit.ids import fingerprint, part_id, turn_id
from schemas.contact import Contact

TEXTS = st.lists(st.text(max_size=20), max_size=5)


@given(TEXTS, TEXTS)
def test_two_lists_never_collide_by_joining(one: list[str], other: list[str]) -> None:
    assert (fingerprint(*one) == fingerprint(*other)) is (one == other)


@given(st.text(), st.text())
def test_ids_may_stand_in_a_url(contact: str, event: str) -> None:
    turn = turn_id(Contact(contact), event)
    assert re.fullmatch(r"turn_[0-9a-f]{24}", turn)
    assert part_id(turn, 2) == f"{turn}-2"


def test_ids_are_the_same_in_every_version() -> None:
    """A changed id would answer every message again that is replayed after an upgrade."""
    assert turn_id(Contact("+525512345678"), "SM1") == "turn_25d5de53dbef5a572e4528bf"
