"""Limits that follow from how many contacts are worked on at once."""

import pytest

from kit.lanes import Limits


@pytest.mark.parametrize(("concurrency", "buffered"), [(1, 2048), (512, 2048), (1024, 4096), (6000, 24_000)], ids=str)
def test_whoever_works_on_more_has_more_in_hand(concurrency: int, buffered: int) -> None:
    limits = Limits.for_concurrency(concurrency, 90)
    assert (limits.concurrency, limits.buffered, limits.handler_s) == (concurrency, buffered, 90)
