"""How long what was asked for is waited for, what ends the wait, and what is said then."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import typer

from kit.errors import BrokerDown, StoreDown
from ops import asking
from ops.asked import take_over
from ops.asking import carry_out, effect, waited
from ops.settings import OpsSettings
from schemas.contact import Contact

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


class Log:
    """Takes the place of Kafka: `fault` is what becomes of the one record."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fault: BrokerDown | None, *seen: bool) -> None:
        self.looks, self.looked, left = 0, asyncio.Event(), list(seen)

        async def publish(*_: Any) -> None:
            if fault:
                raise fault

        @asynccontextmanager
        async def open_reads(_: OpsSettings) -> AsyncIterator[None]:
            yield None

        async def looked(_: Any) -> bool:
            self.looks += 1
            self.looked.set()
            return left.pop(0)

        monkeypatch.setattr(asking, "publish", publish)
        monkeypatch.setattr(asking, "open_reads", open_reads)
        self.asked = replace(take_over(Contact("+34600000001"), "Marta"), seen=looked)

    async def carry_out(self, *, no_wait: bool = False) -> None:
        await carry_out(OpsSettings(_env_file=None), self.asked, "taken over", no_wait=no_wait)


UNSURE = BrokerDown("not acknowledged", sent=True)


async def test_what_kafka_did_not_acknowledge_may_still_come(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await Log(monkeypatch, UNSURE, False, True).carry_out()
    assert capsys.readouterr().out == "taken over\n"


@pytest.mark.parametrize("no_wait", [True, False])
async def test_what_may_still_come_is_not_to_be_asked_again_blindly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_wait: bool
) -> None:
    monkeypatch.setattr(asking, "EFFECT_S", 0)
    with pytest.raises(typer.Exit) as ended:
        await Log(monkeypatch, UNSURE, False).carry_out(no_wait=no_wait)
    assert ended.value.exit_code == 3
    assert "may still come: look at the conversation before you repeat it" in capsys.readouterr().err


async def test_what_certainly_was_not_asked_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(monkeypatch, BrokerDown("Kafka is not connected"))
    with pytest.raises(BrokerDown):
        await log.carry_out()
    assert log.looks == 0


async def test_who_stops_waiting_is_told_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log(monkeypatch, None, *[False] * 10_000)
    waiting = asyncio.create_task(log.carry_out())
    await log.looked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert capsys.readouterr().err == "the request is in the log and goes on\n"


async def _truth(pending: Callable[[], Awaitable[str]]) -> bool:
    return bool(await pending())
