"""Recovery is measured from what really happened."""

from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.crash.chaos import Chaos
from tests.crash.plan import Blow, What


class Target:
    def __init__(self, *, there: bool) -> None:
        self.there = there
        self.members = {"sender": self}
        self.told: list[str] = []

    def kill(self, _name: str) -> bool:
        return self.there

    def signal(self, _number: int) -> bool:
        return self.there

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        async def done(*_given: Any) -> None:
            self.told.append(name)

        return done


async def struck(what: What, target: Target) -> Sequence[str]:
    plan = SimpleNamespace(blows=[Blow(0.0, what, "sender")], seconds=0.0)
    chaos = Chaos(cast("Any", plan), cast("Any", target), cast("Any", target), lambda _: None, 1)
    await chaos.live()
    return [name for _, name in chaos.blows]


@pytest.mark.parametrize("what", ["kill", "pause"])
async def test_only_a_blow_that_hits_counts(what: What) -> None:
    assert await struck(what, Target(there=True)) == [f"{what} sender"]
    assert await struck(what, Target(there=False)) == []


@pytest.mark.parametrize("what", ["twilio", "agent"])
async def test_trouble_of_others_is_nothing_that_we_recover_from(what: What) -> None:
    target = Target(there=True)
    assert await struck(what, target) == []
    assert target.told == [f"trouble_{what}", f"calm_{what}"], "the other's goes on"
