"""What stands still or was buried is seen, though every handset looks well."""

from collections.abc import Sequence

import pytest

from kit.kafka.lag import GroupLag
from tests.crash.left import left

DONE = GroupLag("contact.log", "processor", 90, 90, 0)
STUCK = GroupLag("message.status", "sender-status", 90, 80, 10)
CAUGHT_UP = GroupLag("message.status", "sender-status", 90, 90, 0)
NO_LETTERS, LETTERS = GroupLag("dead.letters", None, 0, 0, 0), GroupLag("dead.letters", None, 2, 0, 0)
CASES: list[tuple[Sequence[GroupLag], list[str]]] = [
    ([DONE, CAUGHT_UP, NO_LETTERS], []),
    ([DONE, STUCK, NO_LETTERS], ["10 records of message.status wait for sender-status"]),
    ([DONE, CAUGHT_UP, LETTERS], ["2 records in dead.letters"]),
]


@pytest.mark.parametrize(("rows", "told"), CASES)
async def test_what_is_left_is_told(rows: Sequence[GroupLag], told: list[str]) -> None:
    async def look() -> Sequence[GroupLag]:
        return rows

    assert await left(look, within_s=0) == told


async def test_who_is_behind_may_catch_up() -> None:
    looks = [[STUCK], [STUCK], [CAUGHT_UP]]

    async def look() -> Sequence[GroupLag]:
        return looks.pop(0)

    assert await left(look, within_s=60, every_s=0) == []
    assert looks == []
