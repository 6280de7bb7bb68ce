"""One contact's part of the account: what they wrote, what the handset showed, what excuses the difference. Pure."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from tests.crash.account import Account
from tests.crash.clients import Sent
from tests.crash.evidence import Evidence, Excuse, Shown, turn_of
from tests.crash.operators import Shift

__all__ = ["TOKEN", "Story"]

TOKEN = re.compile(r"\bc\d+n\d+\b")
APOLOGY = "Disculpa, tuve un problema"
OPERATOR = "Soy Luis"
NOT_SHOWN = ("uncertain", "expired", "undeliverable")
IN_FLIGHT = timedelta(seconds=90)  # before a take-over: what was being answered then, a person may answer


class Story:
    def __init__(self, evidence: Evidence, contact: int, account: Account) -> None:
        self._account = account
        self._contact = contact
        self._sent = sorted((one for one in evidence.sent if one.contact == contact), key=lambda one: one.began)
        self._shown = [one for one in evidence.shown if one.contact == contact]
        self._shifts = [one for one in evidence.shifts if one.contact == contact]
        self._excuses = list(evidence.excuses.get(contact, ()))
        self._places: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._copies: dict[str, list[Shown]] = defaultdict(list)
        for bubble in self._shown:
            for found in TOKEN.finditer(bubble.body):
                self._places[found[0]].append((bubble.place, found.start()))
            for name in _names(bubble):
                self._copies[name].append(bubble)

    def judge(self) -> None:
        firm = sorted((one for one in self._sent if one.acknowledged), key=lambda one: one.acknowledged or one.began)
        self._account.sent += len(firm)
        self._account.refused += len(self._sent) - len(firm)
        self._account.turned_away += sum(one.turned_away for one in self._sent)
        self._account.answered += sum(one.token in self._places for one in firm)
        self._strangers()
        self._doubles()
        self._words()
        self._silences(firm)
        self._inversions(firm)
        self._after_fences()

    def _say(self, what: str) -> None:
        self._account.details.append(what)

    def _strangers(self) -> None:
        ours = {one.token for one in self._sent}
        for bubble in self._shown:
            names = set(TOKEN.findall(bubble.body))
            if names - ours or not (names or _by_person(bubble) or _is_apology(bubble)):
                self._account.strange += 1
                self._say(f"STRANGE: on the handset of contact {self._contact}: {bubble.body!r}")

    def _doubles(self) -> None:
        twice = {name: copies for name, copies in self._copies.items() if len(copies) > 1}
        by_bubbles: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for name, copies in twice.items():  # one answer shown twice is one double, however many messages it covers
            by_bubbles[tuple(one.place for one in copies)].append(name)
        for bubbles, names in sorted(by_bubbles.items()):
            if self._posted_again(twice[names[0]]):
                self._account.uncertain += 1
                self._say(f"uncertain: {sorted(names)} posted again, in bubbles {bubbles}")
            else:
                self._account.doubled += len(names)
                self._say(f"DOUBLED: {sorted(names)} in bubbles {bubbles}")

    def _posted_again(self, copies: Sequence[Shown]) -> bool:
        """The sender posts one part once more at most, and says which: two parts with one answer are no repeat."""
        first, second = copies[0], copies[1]
        told = any(one.kind == "posted_again" and one.send == first.send for one in self._excuses)
        return told and len(copies) == 2 and first.send == second.send and first.place != second.place

    def _words(self) -> None:
        """What a person said is owed to the client like an answer."""
        for shift in self._shifts:
            if not shift.spoke or any(map(_by_person, self._shown)):
                continue
            told = next(
                (one for one in self._excuses if one.kind in NOT_SHOWN and turn_of(one.send) == shift.turn), None
            )
            why = told.kind if told else "lost"
            setattr(self._account, why, getattr(self._account, why) + 1)
            self._say(f"{'LOST' if why == 'lost' else why}: what a person said to contact {self._contact}")

    def _silences(self, firm: Sequence[Sent]) -> None:
        for group, after, before in self._missing(firm):
            then = next((one.acknowledged for one in firm[firm.index(group[-1]) + 1 :]), None)
            apologies = [one for one in self._shown if after < one.place < before and _is_apology(one)]
            rest = group
            while rest:
                why, covered = self._why_silent(rest, apologies, then)
                setattr(self._account, why, getattr(self._account, why) + len(covered))
                self._say(f"{'LOST' if why == 'lost' else why}: {[one.token for one in covered]}")
                rest = [one for one in rest if one not in covered]

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

    def _why_silent(
        self, group: list[Sent], apologies: Sequence[Shown], then: datetime | None
    ) -> tuple[str, list[Sent]]:
        """The reason, and whom it covers. `then`: when the next one was acknowledged, which was answered."""
        for apology in apologies:
            if covered := self._spoken_of(group, apology.send, apology.posted):
                return "apologised", covered
        if any(all(_was_a_persons(one, shift, then) for one in group) for shift in self._shifts):
            return "taken_over", group
        for kind in (*NOT_SHOWN, "throttled", "fenced"):
            for excuse in [one for one in self._excuses if one.kind == kind]:
                if covered := self._excused(group, excuse):
                    self._excuses.remove(excuse)
                    return "taken_over" if kind == "fenced" else kind, covered
        return "lost", group

    def _excused(self, group: Sequence[Sent], excuse: Excuse) -> list[Sent]:
        """A part that is on the handset was no silence; one below a fence is answered anew unless a person spoke."""
        if excuse.send and any(one.send == excuse.send for one in self._shown):
            return []
        covered = self._spoken_of(group, excuse.send, excuse.at)
        if excuse.kind == "fenced":
            spoke = [one.spoke for one in self._shifts if one.spoke]
            return [one for one in covered if any(one.began < moment for moment in spoke)]
        return covered

    def _spoken_of(self, group: Sequence[Sent], send: str, at: datetime) -> list[Sent]:
        """Those that a notice or an apology may speak of: begun before it, and not another message's turn."""
        in_part = {turn_of(one.send) for one in self._shown if one.send != send}
        others = {one.turn for one in self._sent if one.acknowledged and one not in group} - in_part
        others |= {one.turn for one in self._shifts}
        turn = turn_of(send)
        return [] if turn and turn in others else [one for one in group if one.began < at]

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


def _is_apology(bubble: Shown) -> bool:
    return bubble.body.startswith(APOLOGY)


def _names(bubble: Shown) -> list[str]:
    """What may be shown once only. A contact is taken over once at most, so a person's words are one."""
    if found := TOKEN.findall(bubble.body):
        return found
    return [OPERATOR] if _by_person(bubble) else [bubble.send] if bubble.send else []


def _was_a_persons(one: Sent, shift: Shift, then: datetime | None) -> bool:
    """Written before a person spoke, and not so early that the bot answered something newer before the take-over."""
    in_time = shift.spoke and shift.asked - IN_FLIGHT < one.began < shift.spoke
    return bool(in_time and (then is None or then > shift.asked))
