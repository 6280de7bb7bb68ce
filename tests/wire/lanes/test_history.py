"""The judge of the group test sees what it is there to see."""

import math
from pathlib import Path

import pytest

from tests.wire.lanes.history import History, first_completions_out_of_order, overlaps, repeated


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "member")


def write(history: History, *lines: tuple[float, int, str]) -> History:
    """Of one key, in one partition: when, offset, what."""
    text = "".join(f"{int(when * 1e9)} 0 {offset} k {what}\n" for when, offset, what in lines)
    history._path.write_text(text)
    return history


def test_order_kept_is_no_fault(history: History) -> None:
    lines = ((1, 5, "start"), (2, 5, "fail"), (3, 5, "start"), (4, 5, "end"), (4, 6, "start"), (5, 6, "end"))
    executions = list(write(history, *lines).executions())
    assert overlaps(executions) == ([], [])
    assert not first_completions_out_of_order(executions)
    assert repeated(executions) == 0


def test_a_later_record_completed_first_is_an_inversion_and_a_second_completion_is_a_repeat(history: History) -> None:
    lines = ((1, 6, "start"), (2, 6, "end"), (3, 5, "start"), (4, 5, "end"), (5, 6, "start"), (6, 6, "end"))
    executions = list(write(history, *lines).executions())
    assert [one.place for one in first_completions_out_of_order(executions)] == [(0, 5)]
    assert repeated(executions) == 1


@pytest.mark.parametrize("paused", [False, True])
def test_two_of_a_key_at_once_are_an_overlap_and_a_paused_members_are_counted_apart(
    history: History, tmp_path: Path, paused: bool
) -> None:
    write(history, (1, 5, "start"), (10, 5, "end"))
    history.paused = (2.0, 9.0) if paused else (math.inf, math.inf)
    other = write(History(tmp_path / "other"), (3, 4, "start"), (4, 4, "end"), (5, 5, "start"), (6, 5, "end"))
    living, zombies = overlaps([*history.executions(), *other.executions()])
    assert len(zombies if paused else living) == 2
    assert not (living if paused else zombies)


def test_what_a_killed_member_had_begun_ends_with_it(history: History) -> None:
    history.died = 2.0
    (one,) = write(history, (1, 5, "start")).executions()
    assert (one.ended, one.outcome) == (2.0, "nothing")
