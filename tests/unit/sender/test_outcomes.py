"""Twilio's codes → what to do (Twilio's error dictionary)."""

from collections import Counter
from typing import get_args

import pytest

from sender.outcomes import CODES, TABLE, Action, action_for

EXPECTED: dict[Action, str] = {
    "halt": "20003 20005 20006 20404 21701 21703 21705 30002 63001 63002 63007 63008 63020 63022 63051",
    "backoff": "20429 21611 63017",
    "later": "20503 30001 30008 30410 63009 63010 63012 63018 63023 63029",
    "suppress": "21211 63003 63014 63024",
    "opt_out": "21610",
    "template": "63016",
    "fix": "21212 21606 21603 21604 21602 21609 21619 21624 21623 21620 21408 21601 21612 21614 21608 572006 63015 "
    "21617 21654 21655 21656 21910 30007 63005 63006 63011 63013 63021 63026 63027 63028 63030 63031 63038 63040 63041 "
    "63042 63062",
    "undeliverable": "11751 14107 30003 30004 30005 30006 63019 63025 63032 63033 63034 63037 63049",
}
ROWS = [(int(code), action) for action, codes in EXPECTED.items() for code in codes.split()]


@pytest.mark.parametrize(("code", "action"), ROWS, ids=str)
def test_every_row(code: int, action: Action) -> None:
    assert action_for(code) == action


def test_no_row_is_left_out_and_none_stands_twice() -> None:
    assert {code for code, _ in ROWS} == set(TABLE)
    assert [
        code for code, times in Counter(code for codes in CODES.values() for code in codes).items() if times > 1
    ] == []
    assert set(CODES) == set(get_args(Action))


@pytest.mark.parametrize("code", [99999, 63999, 31000, 0, None])
def test_an_unknown_code_is_this_messages_fault(code: int | None) -> None:
    assert action_for(code) == "undeliverable"


def test_every_row_is_a_code_of_twilio() -> None:
    assert all(10_000 <= code < 1_000_000 for code in TABLE)
