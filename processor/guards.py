"""Against loops and floods: a bot on the other side is not answered for ever, nobody costs more than a budget. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from processor.conversation import State
from processor.drafts import Draft, Policy, Run, not_after, noticed, show
from processor.texts import texts_for
from schemas.documents import ContactDocument, HistoryLine
from schemas.notices import ContactThrottled

__all__ = ["available", "checked", "loops"]

ROUNDS = 3  # the same texts so often, each answered: the fourth is not
MACHINE_S = 60.0  # a bot answers within a minute; a person who asks the same every day is none
LONG = 25  # characters: nobody types so much four times over, but everybody may say yes four times
HOUR = timedelta(hours=1)


def checked(run: Run, state: State, draft: Draft, before: Sequence[HistoryLine], policy: Policy) -> Draft:
    """The draft, or one that is `throttled` and tells the main backend why, once. `before`: the lines so far."""
    said = draft.opened.lines[-len(run.events) :]
    if loops(before, said) or (state.contact.throttled and _same(before, said)):
        return _throttled(run, draft, "loop")
    left = available(state.contact, run.now, policy.turns_per_hour)
    used = {"turns_left": left - 1 if left >= 1 else left, "turns_left_at": run.now, "throttled": left < 1}
    draft = replace(draft, contact=draft.contact.model_copy(update=used))
    if left >= 1:
        return draft
    told = _throttled(run, draft, "budget")
    if state.contact.throttled:
        return told
    texts = texts_for(draft.contact.language, draft.contact.wrote_in, policy.default_language)
    return show(run, state, told, "confirmation", [texts.slower], not_after=not_after(run, policy))


def loops(before: Sequence[HistoryLine], said: Sequence[HistoryLine]) -> bool:
    """Whether the client's side repeats itself like a machine: the same one or two texts, each right after our answer.

    Long texts are enough. Short ones (a person may say yes four times) only where what we say goes round too.
    """
    rounds = _rounds(before)[-ROUNDS:]
    if len(rounds) < ROUNDS or not _answered_at_once(before, said[0].at):
        return False
    theirs = [_plain(theirs) for theirs, _, _ in rounds] + [_plain(" ".join(line.text for line in said))]
    ours = [_plain(ours) for _, ours, _ in rounds]
    if len(set(theirs)) > 2 or not all(quick for _, _, quick in rounds[1:]):  # question and answer
        return False
    return len(set(ours)) <= 2 or all(len(text) >= LONG for text in theirs)


def available(contact: ContactDocument, now: datetime, per_hour: int) -> float:
    """Turns of the hourly budget: a bucket that is full at first and fills up within an hour."""
    if contact.turns_left is None or contact.turns_left_at is None:
        return float(per_hour)
    refilled = max(timedelta(0), now - contact.turns_left_at) / HOUR * per_hour
    return min(float(per_hour), contact.turns_left + refilled)


def _rounds(lines: Sequence[HistoryLine]) -> list[tuple[str, str, bool]]:
    """(what the client said, what we answered, whether the client was quick) of every exchange."""
    rounds: list[tuple[str, str, bool]] = []
    theirs: list[HistoryLine] = []
    ours: list[HistoryLine] = []
    quick = False
    for line in lines:
        if line.role != "client":
            ours.append(line)
            continue
        if theirs and ours:
            rounds.append((_joined(theirs), _joined(ours), quick))
            quick = (line.at - ours[-1].at).total_seconds() <= MACHINE_S
            theirs, ours = [], []
        theirs.append(line)
    return [*rounds, (_joined(theirs), _joined(ours), quick)] if theirs and ours else rounds


def _answered_at_once(before: Sequence[HistoryLine], at: datetime) -> bool:
    return bool(before) and before[-1].role != "client" and (at - before[-1].at).total_seconds() <= MACHINE_S


def _joined(lines: Sequence[HistoryLine]) -> str:
    return " ".join(line.text for line in lines)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _same(before: Sequence[HistoryLine], said: Sequence[HistoryLine]) -> bool:
    return bool(before) and {_plain(line.text) for line in said} == {_plain(before[-1].text)}


def _throttled(run: Run, draft: Draft, reason: str) -> Draft:
    told = replace(draft, outcome="throttled", contact=draft.contact.model_copy(update={"throttled": True}))
    notice = ContactThrottled(contact=run.contact, at=run.now, conversation_id=draft.opened.id, reason=reason)
    return told if draft.contact.throttled and reason == "loop" else noticed(run, told, notice)
