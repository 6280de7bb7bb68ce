"""The account of a run, from what was sent in and what the handsets showed; never from our own database. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from tests.crash.account import Account
from tests.crash.evidence import Evidence
from tests.crash.story import TOKEN, Story

__all__ = ["judge"]


def judge(evidence: Evidence) -> Account:
    account = Account()
    contacts = sorted({one.contact for one in evidence.sent})
    for contact in contacts:
        Story(evidence, contact, account).judge()
    waits = sorted(_waits(evidence))
    account.recovery_p50_s, account.recovery_p99_s = _quantile(waits, 0.5), _quantile(waits, 0.99)
    if not account.telling:
        account.details.append(f"TOO LITTLE: {account.answered} answers prove nothing")
    return account


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
