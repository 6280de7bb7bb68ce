"""What the members of a group wrote down, and what it says about order, loss and overlap."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

__all__ = ["Execution", "History", "Place", "first_completions_out_of_order", "overlaps", "repeated"]

Place = tuple[int, int]
"""Partition and offset."""
NOTICING_S = 3.0
"""A member that was paused may work on for so long: it learns at its next heartbeat that it was expelled."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One attempt at one record, in seconds of the machine's clock."""

    place: Place
    key: str
    began: float
    ended: float
    outcome: str
    """end: the record is done. fail, cut: it is not. nothing: the process died over it."""
    zombie: bool


class History:
    """One member's file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.died = math.inf
        self.paused = (math.inf, math.inf)

    def executions(self) -> Iterator[Execution]:
        open_ones: dict[Place, tuple[float, str]] = {}
        for line in self._path.read_text().splitlines() if self._path.exists() else ():
            when, partition, offset, key, what = line.split()
            place, moment = (int(partition), int(offset)), int(when) / 1e9
            if what == "start":
                assert place not in open_ones, f"{place} twice at once in {self._path.name}"
                open_ones[place] = (moment, key)
            else:
                yield self._execution(place, key, open_ones.pop(place)[0], moment, what)
        for place, (began, key) in open_ones.items():
            yield self._execution(place, key, began, self.died, "nothing")

    def _execution(self, place: Place, key: str, began: float, ended: float, outcome: str) -> Execution:
        stopped, continued = self.paused
        return Execution(place, key, began, ended, outcome, began < continued + NOTICING_S and ended > stopped)

    def partitions(self) -> dict[int, float]:
        """When it last began something, by partition."""
        return {one.place[0]: one.began for one in sorted(self.executions(), key=lambda one: one.began)}


def overlaps(executions: Sequence[Execution]) -> tuple[list[Execution], list[Execution]]:
    """What began while another of its key was at work: among the living, and with a paused one."""
    living: list[Execution] = []
    zombies: list[Execution] = []
    for ones in _by_key(executions).values():
        latest, *others = sorted(ones, key=lambda one: one.began)
        for one in others:
            if one.began < latest.ended:
                (zombies if one.zombie or latest.zombie else living).append(one)
            latest = max(latest, one, key=lambda one: one.ended)
    return living, zombies


def first_completions_out_of_order(executions: Sequence[Execution]) -> list[Execution]:
    """Of each key, what was first completed before something that stands before it."""
    wrong = []
    for ones in _by_key(executions).values():
        done: dict[Place, Execution] = {}
        for one in sorted(ones, key=lambda one: one.ended):
            if one.outcome == "end":
                done.setdefault(one.place, one)
        wrong += [second for first, second in pairwise(done.values()) if second.place < first.place]
    return wrong


def repeated(executions: Sequence[Execution]) -> int:
    """Records that were completed more than once, or begun again after somebody died over them."""
    times: dict[Place, int] = defaultdict(int)
    for one in executions:
        times[one.place] += one.outcome != "fail"
    return sum(count > 1 for count in times.values())


def _by_key(executions: Sequence[Execution]) -> dict[tuple[int, str], list[Execution]]:
    groups: dict[tuple[int, str], list[Execution]] = defaultdict(list)
    for one in executions:
        groups[one.place[0], one.key].append(one)
    return groups
