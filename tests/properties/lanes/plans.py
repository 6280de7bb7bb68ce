"""What a world is made of, as hypothesis draws it."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

__all__ = ["ATTEMPTS", "Event", "Plan", "Record", "plans"]

ATTEMPTS = 3
SOURCES = ("s0", "s1", "s2")


@dataclass(eq=False)
class Record:
    """One record of a log; what happens when it is handled is written on it."""

    source: str
    offset: int
    key: str | None
    kind: str
    """good, undecodable, poison, hopeless (fails for ever), or flaky (fails less often than it has attempts)"""
    style: str
    """plain, backwards, linger, take, prefix, eat (its cancellation), cut (its lingering short)"""
    seconds: float
    at: float
    """When it is produced."""
    failures: int = 0
    age: int = 0
    """Of the log: topics are made anew."""
    early: int = 0
    """So often its time has not come."""

    @property
    def guilty(self) -> bool:
        return self.kind in {"undecodable", "poison", "hopeless"}

    def __repr__(self) -> str:
        return f"{self.source}@{self.offset}:{self.key}:{self.kind}:{self.style}:{self.seconds}"


@dataclass(frozen=True)
class Event:
    after: float
    what: str
    number: int


@dataclass
class Plan:
    logs: dict[str, list[Record]]
    reserve: dict[str, list[Record]]
    """The logs of topics made anew."""
    limits: dict[str, int]
    cut: int
    events: list[Event]
    seed: int
    """Of what is not worth drawing: latencies, lost answers."""


_STYLES = ("plain", "backwards", "linger", "take", "prefix", "eat", "cut")
_FAULTS = ("flaky", "early", "poison", "undecodable", "hopeless")
_KEYS = (("a",), ("a", "b"), ("a", "b", "c", None), (None, "a"))


def _records(draw: st.DrawFn) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Each world has a few habits of its own: all of them everywhere would rarely meet."""
    styles = draw(st.lists(st.sampled_from(_STYLES), min_size=1, max_size=3))
    kinds = ["good", "good", *draw(st.lists(st.sampled_from(_FAULTS), max_size=3))]
    record = st.tuples(
        st.sampled_from((1, 1, 1, 2, 5)),
        st.sampled_from(draw(st.sampled_from(_KEYS))),
        st.sampled_from(kinds),
        st.sampled_from(styles),
        st.sampled_from((0.0, 0.1, 0.5, 2.0, 4.0)),
        st.sampled_from((0.0, 0.0, 0.0, 0.5, 2.0, 9.0)),
        st.integers(1, ATTEMPTS - 1),
    )
    return st.lists(record, min_size=draw(st.sampled_from((0, 5, 10))), max_size=14)


_EVENTS = st.builds(
    Event,
    st.sampled_from((0.0, 0.1, 0.25, 0.5, 1.0, 3.0)),
    st.sampled_from(("rebalance", "rebalance", "crash", "half", "rewind", "recreate", "down", "letters", "again")),
    st.integers(0, 255),
)
_LIMITS = st.fixed_dictionaries(
    {
        "concurrency": st.integers(1, 5),
        "buffered": st.integers(2, 20),
        "window": st.integers(2, 12),
        "lane": st.integers(1, 5),
    }
)


def _log(source: str, drawn: list[tuple[Any, ...]], age: int = 0) -> list[Record]:
    offset, at, records = -1, 0.0, []
    for gap, key, kind, style, seconds, wait, times in drawn:
        offset += gap if offset >= 0 or not age else 1  # a log made anew begins at 0
        at += wait
        record = Record(source, offset, key, kind, style, seconds, at)
        record.failures = {"flaky": times, "hopeless": 1_000_000}.get(kind, 0)
        record.age = age
        record.early = times if kind == "early" else 0
        records.append(record)
    return records


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    sources = SOURCES[: draw(st.integers(1, 3))]
    records = _records(draw)
    return Plan(
        {source: _log(source, draw(records)) for source in sources},
        {source: _log(source, draw(records), age=1) for source in sources},
        draw(_LIMITS),
        draw(st.integers(1, 4)),
        draw(st.lists(_EVENTS, min_size=draw(st.sampled_from((0, 5))), max_size=9)),
        draw(st.integers(0, 2**16)),
    )
