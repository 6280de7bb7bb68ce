"""When a host is left alone, and when it is tried again."""

import pytest

from processor.agent.breaker import Breaker
from processor.agent.errors import AgentError, Kind, Phase
from tests.conftest import FakeClock


def failure(kind: Kind = "transient", phase: Phase = "sent") -> AgentError:
    return AgentError(kind, phase, "x")


def is_open(breaker: Breaker) -> bool:
    try:
        breaker.check()
    except AgentError:
        return True
    return False


@pytest.mark.parametrize(
    ("failures", "every_s", "opened"),
    [
        pytest.param([failure()] * 4, 1, False, id="four"),
        pytest.param([failure()] * 5, 1, True, id="five"),
        pytest.param([failure()] * 5, 7.5, True, id="five within 30 s"),
        pytest.param([failure()] * 9, 8, False, id="five in more than 30 s"),
        pytest.param([failure("timeout", "connect")] * 5, 1, True, id="no connection"),
        pytest.param([failure("timeout", "init")] * 5, 1, True, id="no start"),
        pytest.param([failure("timeout", "sent")] * 9, 1, False, id="a slow agent is no broken host"),
        pytest.param([failure("config")] * 9, 1, False, id="our own mistake"),
        pytest.param([failure("capacity")] * 9, 1, False, id="a full house"),
        pytest.param([failure("expired")] * 9, 1, False, id="old sessions"),
        pytest.param([failure("protocol")] * 9, 1, False, id="odd frames"),
        pytest.param([failure("quota")], 1, True, id="one quota"),
    ],
)
def test_opens(failures: list[AgentError], every_s: float, opened: bool, clock: FakeClock) -> None:
    breaker = Breaker(clock)
    for number, one in enumerate(failures):
        clock.advance(every_s if number else 0)
        breaker.failed(one)
    assert is_open(breaker) is opened


def test_an_answer_between_them_resets_the_count(clock: FakeClock) -> None:
    breaker = Breaker(clock)
    for _ in range(3):
        for _ in range(4):
            breaker.failed(failure())
        breaker.succeeded()
    assert not is_open(breaker)


@pytest.mark.parametrize(("kind", "rest_s"), [("transient", 10), ("quota", 300)])
def test_after_its_rest_questions_go_through_until_the_first_failure(
    kind: Kind, rest_s: float, clock: FakeClock
) -> None:
    breaker = Breaker(clock)
    for _ in range(5):
        breaker.failed(failure(kind))
    clock.advance(rest_s - 0.1)
    assert is_open(breaker)
    clock.advance(0.2)
    assert not is_open(breaker)
    breaker.failed(failure())
    assert is_open(breaker)
    clock.advance(10.1)
    breaker.succeeded()
    breaker.failed(failure())
    assert not is_open(breaker)


def test_what_was_under_way_when_the_quota_ended_changes_nothing(clock: FakeClock) -> None:
    breaker = Breaker(clock)
    breaker.failed(failure("quota"))
    clock.advance(5)
    for _ in range(5):
        breaker.failed(failure())
        breaker.succeeded()
    clock.advance(290)
    assert is_open(breaker)
    clock.advance(6)
    assert not is_open(breaker)


def test_it_says_why_and_that_nothing_was_asked(clock: FakeClock) -> None:
    breaker = Breaker(clock)
    breaker.failed(failure("quota"))
    with pytest.raises(AgentError, match="quota in connect: not asked") as refused:
        breaker.check()
    assert not refused.value.retryable
