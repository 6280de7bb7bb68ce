"""Where the time of a turn goes, and whether a thought got one answer: for metrics and traces, never for a decision."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

from kit.clock import Clock
from kit.metrics import Metrics
from kit.tracing import Attributes, SpanKind, inner
from processor.conversation import State
from schemas.documents import TurnDocument
from schemas.events import MessageReceived

__all__ = ["End", "Stage", "Stages", "end_of", "unwatched"]

Name = Literal["quiet", "agent", "decide", "publish"]
Stage = Callable[[Name], AbstractContextManager[object]]
End = Literal["once", "superseded", "late"]
ABOUT: dict[Name, Attributes] = {
    "decide": {"db.system.name": "mongodb", "db.operation.name": "insert", "db.collection.name": "turns"}
}
ANSWERS = {"replied", "escalated", "apologised", "asked_to_write"}


class Stages:
    """`with stages("agent"):` is a span, and its seconds are observed also when it fails."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock

    @contextmanager
    def __call__(self, name: Name) -> Iterator[None]:
        began = self._clock.monotonic()
        try:
            with inner(
                name, kind=SpanKind.CLIENT if name == "decide" else SpanKind.INTERNAL, attributes=ABOUT.get(name)
            ):
                yield
        finally:
            self._metrics.observe("hilo_turn_stage_seconds", self._clock.monotonic() - began, stage=name)

    def answered(self, messages: list[MessageReceived], state: State, turn: TurnDocument) -> None:
        """A turn is done that covers these messages."""
        if not messages or turn.outcome not in ANSWERS:
            return
        self._metrics.count("hilo_thoughts_total", end=end_of(messages, state, turn))
        if not messages[-1].repaired:  # that one was late by an outage of hours, which another metric tells
            waited = (self._clock.now() - messages[-1].received_at).total_seconds()
            self._metrics.observe("hilo_answer_seconds", max(0.0, waited))


def end_of(messages: list[MessageReceived], state: State, turn: TurnDocument) -> End:
    """Late: it was at our door before we had decided what we said last, and still was answered apart from it."""
    lines = state.conversation.lines if state.conversation else []
    said = [line.at for line in lines if line.role == "bot"]
    if said and messages[0].received_at < said[-1]:
        return "late"
    return "superseded" if turn.superseded else "once"


def unwatched(_name: Name) -> AbstractContextManager[object]:
    return nullcontext()
