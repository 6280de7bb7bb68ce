"""How long a part of the sandbox was away, and what a page is told of it."""

from typing import Any

import pytest

from sandbox.lives import Lives
from tests.conftest import FakeClock


@pytest.fixture
def told() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def lives(clock: FakeClock, told: list[dict[str, Any]]) -> Lives:
    lives = Lives(clock.monotonic)
    lives.changed = told.append
    return lives


async def test_down_and_back(lives: Lives, clock: FakeClock, told: list[dict[str, Any]]) -> None:
    lives.rose("sender")
    clock.advance(10)
    lives.fell("sender")
    clock.advance(1.2)
    lives.fell("sender")  # seen twice: the first moment counts
    clock.advance(2)
    assert (lives.up("sender"), lives.stories()[0]["for_s"]) == (False, 3.2)
    lives.rose("sender")
    assert [(one["state"], one["away_s"]) for one in told] == [("up", None), ("down", None), ("up", 3.2)]


async def test_whole_is_kafka_and_mongodb(lives: Lives) -> None:
    for part in ("kafka", "mongo", "sender"):
        lives.rose(part)
    lives.fell("sender")
    assert lives.whole.is_set()
    lives.fell("kafka")
    lives.fell("mongo")
    lives.rose("kafka")
    assert not lives.whole.is_set()
    lives.rose("mongo")
    assert lives.whole.is_set()


async def test_an_unknown_part_is_not_up_and_cannot_fall(lives: Lives) -> None:
    lives.fell("nobody")
    assert (lives.up("nobody"), lives.stories()) == (False, [])
