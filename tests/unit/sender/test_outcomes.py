"""Twilio's codes → what to do (Twilio's error dictionary)."""

import pytest

from sender.outcomes import TABLE, Action, action_for


@pytest.mark.parametrize(
    ("codes", "action"),
    [
        pytest.param([20003, 20005, 20006, 20404, 63001, 63002, 63007, 63008, 63020, 63051], "halt", id="our account"),
        pytest.param([20429, 21611, 63017], "backoff", id="too fast"),
        pytest.param([21211, 63003, 63014, 63024], "suppress", id="nobody there"),
        pytest.param(
            [21610, 21617, 21654, 63013, 63016, 63049, 99999, 0, None], "undeliverable", id="this message, and unknown"
        ),
    ],
)
def test_actions(codes: list[int | None], action: Action) -> None:
    assert {code: action_for(code) for code in codes} == dict.fromkeys(codes, action)


@pytest.mark.parametrize("code", [30002, 21701, 21703, 21705, 63022])
def test_codes_of_a_broken_account_hold_the_backlog(code: int) -> None:
    assert action_for(code) == "halt"


def test_every_row_is_a_code_of_twilio() -> None:
    assert all(10_000 <= code < 100_000 for code in TABLE)
