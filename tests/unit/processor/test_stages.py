"""Whether a thought got one answer, and where the time of its turn went."""

from datetime import timedelta
from typing import Any

import pytest

from kit.metrics import Metrics
from processor.conversation import State
from processor.stages import Stages, end_of
from schemas.documents import HistoryLine
from schemas.events import MessageReceived
from tests.conftest import FakeClock
from tests.unit.processor.states import ADDRESS, CHANNEL, conversation, state
from tests.unit.processor.states import NOW as AT


class Turn:
    def __init__(self, *superseded: dict[str, Any], outcome: str = "replied") -> None:
        self.superseded = list(superseded)
        self.outcome = outcome


def message(seconds: float, **more: Any) -> MessageReceived:
    at = AT + timedelta(seconds=seconds)
    about = {"message_sid": "SM1", "channel": CHANNEL, "address": ADDRESS, "received_at": at, "text": "hola"}
    return MessageReceived(**{**about, **more})


def after_a_reply() -> State:
    line = HistoryLine(role="bot", text="dígame", at=AT, id="turn_1-1")
    return state(open_one=conversation(lines=[line]))


@pytest.mark.parametrize(
    ("messages", "turn", "end"),
    [
        ([message(5)], Turn(), "once"),
        ([message(5), message(6)], Turn(), "once"),
        ([message(5), message(6)], Turn({"at": AT}), "superseded"),
        ([message(-0.5)], Turn(), "late"),
        ([message(-0.5), message(5)], Turn({"at": AT}), "late"),
    ],
)
def test_how_a_thought_ended(messages: list[MessageReceived], turn: Any, end: str) -> None:
    assert end_of(messages, after_a_reply(), turn) == end


def test_the_first_words_of_a_conversation_are_never_late() -> None:
    turn: Any = Turn()
    assert end_of([message(-5)], state(), turn) == "once"


@pytest.mark.parametrize(
    ("messages", "turn", "waited"),
    [
        pytest.param([message(0)], Turn(), 3.0, id="from the last message"),
        pytest.param([message(0)], Turn(outcome="stored"), None, id="nothing was said"),
        pytest.param([], Turn(), None, id="a hand-back answers no message of this run"),
        pytest.param([message(0, repaired=True)], Turn(), None, id="an outage of hours is told elsewhere"),
    ],
)
def test_how_long_a_client_waited(
    messages: list[MessageReceived], turn: Any, waited: float | None, clock: FakeClock
) -> None:
    metrics = Metrics()
    clock.advance((AT - clock.now()).total_seconds() + 3)
    Stages(metrics, clock).answered(messages, state(), turn)
    count = metrics.registry.get_sample_value("hilo_answer_seconds_count")
    assert count == (waited is not None)
    assert metrics.registry.get_sample_value("hilo_answer_seconds_sum") == (waited or 0.0)


def test_a_stage_is_timed_also_when_it_fails(clock: FakeClock) -> None:
    metrics = Metrics()

    def fail() -> None:
        with Stages(metrics, clock)("agent"):
            clock.advance(2)
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()
    assert metrics.registry.get_sample_value("hilo_turn_stage_seconds_sum", {"stage": "agent"}) == 2.0
