"""How long what was asked for is waited for, what ends the wait, and what is said then."""

from collections.abc import Awaitable, Callable

import pytest
import typer

from kit.errors import StoreDown
from ops import asking
from ops.asking import effect, waited

AWAY = StoreDown("MongoDB: away")


def answers(*found: str | Exception) -> Callable[[], Awaitable[str]]:
    left = list(found)

    async def pending() -> str:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return pending


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LOOK_S", 0)


async def test_it_ends_when_nothing_is_pending() -> None:
    assert await waited(answers("the sender", "the sender", "", "too far")) == ""


async def test_a_store_that_is_away_meanwhile_is_no_end() -> None:
    assert await waited(answers(AWAY, "the sender", "")) == ""


@pytest.mark.parametrize("last", ["the sender", AWAY])
async def test_after_its_time_it_says_what_is_pending(monkeypatch: pytest.MonkeyPatch, last: str | Exception) -> None:
    monkeypatch.setattr(asking, "EFFECT_S", 0)
    assert await waited(answers(last)) == str(last)


async def test_an_effect_is_told_once_it_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    seen = answers(AWAY, "", "yes")
    await effect(lambda: _truth(seen), "taken over", "not confirmed")
    assert capsys.readouterr().out == "taken over\n"


@pytest.mark.parametrize(("last", "why"), [("", "not confirmed"), (AWAY, "MongoDB: away")])
async def test_an_effect_that_does_not_come_is_code_3_and_still_under_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], last: str | Exception, why: str
) -> None:
    monkeypatch.setattr(asking, "EFFECT_S", 0)
    with pytest.raises(typer.Exit) as ended:
        await effect(lambda: _truth(answers(last)), "taken over", "not confirmed")
    assert ended.value.exit_code == 3
    assert f"{why} (after 0 s; the request is in the log and goes on)" in capsys.readouterr().err


async def _truth(pending: Callable[[], Awaitable[str]]) -> bool:
    return bool(await pending())
