"""The account of a run, from what was sent in and what the handsets showed; never from our own database. Pure."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.crash.clients import Sent
from tests.crash.operators import Shift

__all__ = ["Account", "Evidence", "Shown", "judge"]

TOKEN = re.compile(r"\bc\d+n\d+\b")
APOLOGY = "Disculpa, tuve un problema"
OPERATOR = "Soy Luis"
IN_FLIGHT = timedelta(seconds=90)  # before a take-over: what was being answered then, a person may answer


@dataclass(frozen=True, slots=True)
class Shown:
    """A bubble of ours on a handset; `posted`: when Twilio got it."""

    contact: int
    place: int
    posted: datetime
    body: str


@dataclass
class Evidence:
    sent: Sequence[Sent]
    shown: Sequence[Shown]
    shifts: Sequence[Shift] = ()
    excuses: Mapping[int, Counter[str]] = field(default_factory=dict)
    """By contact, how many notices of a kind say that a reply was not shown, or perhaps shown twice."""
    blows: Sequence[tuple[datetime, str]] = ()
    """When something was killed or paused, and what."""


@dataclass
class Account:
    sent: int = 0
    answered: int = 0
    lost: int = 0
    doubled: int = 0
    inverted: int = 0
    after_fence: int = 0
    uncertain: int = 0
    expired: int = 0
    apologised: int = 0
    taken_over: int = 0
    undeliverable: int = 0
    throttled: int = 0
    refused: int = 0
    """Twilio gave up on the webhook: nobody promised anything."""
    recovery_p50_s: float = 0.0
    recovery_p99_s: float = 0.0
    details: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not (self.lost or self.doubled or self.inverted or self.after_fence)

    def json(self) -> dict[str, Any]:
        return asdict(self)


def judge(evidence: Evidence) -> Account:
    account = Account()
    contacts = sorted({one.contact for one in evidence.sent})
    for contact in contacts:
        _Story(evidence, contact, account).judge()
    waits = sorted(_waits(evidence))
    account.recovery_p50_s, account.recovery_p99_s = _quantile(waits, 0.5), _quantile(waits, 0.99)
    return account


class _Story:
    """One contact's part of the account."""

    def __init__(self, evidence: Evidence, contact: int, account: Account) -> None:
        self._account = account
        self._contact = contact
        self._sent = sorted((one for one in evidence.sent if one.contact == contact), key=lambda one: one.began)
        self._shown = [one for one in evidence.shown if one.contact == contact]
        self._shifts = [one for one in evidence.shifts if one.contact == contact]
        self._excuses = Counter(evidence.excuses.get(contact, Counter()))
        self._places: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for bubble in self._shown:
            for found in TOKEN.finditer(bubble.body):
                self._places[found[0]].append((bubble.place, found.start()))

    def judge(self) -> None:
        firm = sorted((one for one in self._sent if one.acknowledged), key=lambda one: one.acknowledged or one.began)
        self._account.sent += len(firm)
        self._account.refused += len(self._sent) - len(firm)
        self._account.answered += sum(one.token in self._places for one in firm)
        self._doubles()
        self._silences(firm)
        self._inversions(firm)
        self._after_fences()

    def _say(self, what: str) -> None:
        self._account.details.append(what)

    def _doubles(self) -> None:
        twice = {name: places for name, places in self._places.items() if len({place for place, _ in places}) > 1}
        by_bubbles = {tuple(place for place, _ in places) for places in twice.values()}
        for bubbles in sorted(by_bubbles):  # one answer shown twice is one double, however many messages it covers
            names = sorted(name for name, places in twice.items() if tuple(place for place, _ in places) == bubbles)
            if self._excused("posted_again"):
                self._account.uncertain += 1
                self._say(f"uncertain: {names} posted again, in bubbles {bubbles}")
            else:
                self._account.doubled += len(names)
                self._say(f"DOUBLED: {names} in bubbles {bubbles}")

    def _silences(self, firm: Sequence[Sent]) -> None:
        for group, after, before in self._missing(firm):
            then = next((one.acknowledged for one in firm[firm.index(group[-1]) + 1 :]), None)
            why = self._why_silent(group, after, before, then)
            names = [one.token for one in group]
            setattr(self._account, why, getattr(self._account, why) + len(group))
            self._say(f"{'LOST' if why == 'lost' else why}: {names}")

    def _missing(self, firm: Sequence[Sent]) -> Iterator[tuple[list[Sent], float, float]]:
        """Neighbours without an answer, and the bubbles between which it should have been."""
        group: list[Sent] = []
        after = -math.inf
        for one in firm:
            places = self._places.get(one.token)
            if not places:
                group.append(one)
                continue
            if group:
                yield group, after, places[0][0]
            group, after = [], places[0][0]
        if group:
            yield group, after, math.inf

    def _why_silent(self, group: Sequence[Sent], after: float, before: float, then: datetime | None) -> str:
        """`then`: when the next one was acknowledged, which was answered."""
        if any(after < one.place < before and one.body.startswith(APOLOGY) for one in self._shown):
            return "apologised"
        if any(all(_was_a_persons(one, shift, then) for one in group) for shift in self._shifts):
            return "taken_over"
        kinds = ("uncertain", "expired", "undeliverable", "throttled")
        return next((kind for kind in kinds if self._excused(kind)), "lost")

    def _excused(self, kind: str) -> bool:
        if not self._excuses[kind]:
            return False
        self._excuses[kind] -= 1
        return True

    def _inversions(self, firm: Sequence[Sent]) -> None:
        """Only what was acknowledged before another one was begun has an order."""
        for later in firm:
            place = min(self._places.get(later.token, [(-1, -1)]))
            if place[0] < 0:
                continue
            earlier = [one for one in firm if one.acknowledged and one.acknowledged < later.began]
            wrong = [one.token for one in earlier if min(self._places.get(one.token, [(-1, -1)])) > place]
            if wrong:
                self._account.inverted += 1
                self._say(f"INVERTED: {later.token} was answered before {wrong}")

    def _after_fences(self) -> None:
        for shift in self._shifts:
            for bubble in self._shown:
                ended = shift.handed_back and bubble.posted >= shift.handed_back
                if shift.confirmed and bubble.posted > shift.confirmed and not (ended or _by_person(bubble)):
                    self._account.after_fence += 1
                    late = (bubble.posted - shift.confirmed).total_seconds()
                    self._say(f"AFTER FENCE: contact {self._contact}, {late:.3f} s: {bubble.body!r}")


def _by_person(bubble: Shown) -> bool:
    return bubble.body.startswith(OPERATOR)


def _was_a_persons(one: Sent, shift: Shift, then: datetime | None) -> bool:
    """Written before a person spoke, and not so early that the bot answered something newer before the take-over."""
    in_time = shift.spoke and shift.asked - IN_FLIGHT < one.began < shift.spoke
    return bool(in_time and (then is None or then > shift.asked))


def _waits(evidence: Evidence) -> Iterator[float]:
    """For each blow and each client who waited then: seconds until the answer to what was asked before it."""
    answers: dict[str, datetime] = {}
    for bubble in sorted(evidence.shown, key=lambda one: one.posted, reverse=True):
        answers |= dict.fromkeys(TOKEN.findall(bubble.body), bubble.posted)
    for at, _ in evidence.blows:
        waiting: dict[int, datetime] = {}
        for one in evidence.sent:
            answer = answers.get(one.token)
            if one.acknowledged and answer and one.acknowledged < at < answer:
                waiting[one.contact] = min(answer, waiting.get(one.contact, answer))
        yield from ((answer - at).total_seconds() for answer in waiting.values())


def _quantile(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2) if ordered else 0.0
