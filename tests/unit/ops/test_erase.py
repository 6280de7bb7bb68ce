"""How long an erasure is waited for, and what ends the wait."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from kit.errors import StoreDown
from ops import erase


def answers(monkeypatch: pytest.MonkeyPatch, found: Iterator[object], effect_s: float = 60) -> None:
    async def pending(*_: object) -> str:
        answer = next(found)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setattr(erase, "pending", pending)
    monkeypatch.setattr(erase, "LOOK_S", 0)
    monkeypatch.setattr(erase, "EFFECT_S", effect_s)


async def test_it_ends_when_nothing_is_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, iter(["the sender", "the sender", "", "too far"]))
    assert await erase._waited(cast("Any", None), "name", "event") == ""


async def test_a_store_that_is_away_meanwhile_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, iter([StoreDown("MongoDB: away"), "the sender", ""]))
    assert await erase._waited(cast("Any", None), "name", "event") == ""


@pytest.mark.parametrize("last", ["the sender", StoreDown("MongoDB: away")])
async def test_after_its_time_it_says_what_is_pending(monkeypatch: pytest.MonkeyPatch, last: object) -> None:
    answers(monkeypatch, iter([last]), effect_s=0)
    assert await erase._waited(cast("Any", None), "name", "event") == str(last)
