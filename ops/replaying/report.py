"""What another agent would have said: each turn beside what was said then, and the whole in figures. Pure."""

from collections.abc import Callable, Iterator, Sequence
from statistics import mean, quantiles
from typing import Any

from schemas.replay import Result

__all__ = ["markdown", "report"]


def report(agent_id: str, results: Sequence[Result]) -> dict[str, Any]:
    """Of the turns in which an agent is asked now."""
    asked = [one for one in results if one.heard]
    heard = [one for one in asked if one.heard and one.heard.outcome != "unavailable"]
    both = [one for one in heard if one.said]
    return {
        "agent": agent_id,
        "turns": len(results),
        "asked": len(asked),
        "unavailable": len(asked) - len(heard),
        "replies_compared": len(both),
        "replies_changed": sum(one.heard is not None and one.heard.words != one.said for one in both),
        "escalations": {"then": _count(asked, _then, "escalated"), "now": _count(heard, _now, "escalated")},
        "silences": {"then": _count(asked, _then, "no_reply"), "now": _count(heard, _now, "no_reply")},
        "characters": {
            "then": _figures([len("".join(one.said)) for one in asked if one.said]),
            "now": _figures([len("".join(one.heard.words)) for one in heard if one.heard and one.heard.words]),
        },
        "seconds": {
            "then": _figures([one.seconds for one in asked if one.seconds]),
            "now": _figures([one.heard.seconds for one in heard if one.heard]),
        },
        "by_turn": [_turn(one) for one in asked],
    }


def markdown(told: dict[str, Any]) -> str:
    return "\n".join([*_head(told), *(line for one in told["by_turn"] for line in _pair(one))]) + "\n"


def _turn(one: Result) -> dict[str, Any]:
    heard = one.heard
    assert heard  # noqa: S101  # asked
    return {
        "contact": one.contact,
        "seq": one.seq,
        "at": one.at.isoformat(),
        "turn": one.was.turns[0] if one.was else (one.now.turns[0] if one.now else ""),
        "client": one.asked,
        "then": {"outcome": _then(one), "words": one.said, "seconds": one.seconds},
        "now": {
            "outcome": heard.outcome,
            "words": heard.words,
            "seconds": round(heard.seconds, 3),
            "fault": heard.fault,
        },
        "changed": heard.words != one.said,
    }


def _then(one: Result) -> str:
    return one.was.outcome if one.was else ""


def _now(one: Result) -> str:
    return one.heard.outcome if one.heard else ""


def _count(results: Sequence[Result], outcome: Callable[[Result], str], wanted: str) -> int:
    return sum(outcome(one) == wanted for one in results)


def _figures(values: Sequence[float]) -> dict[str, float]:
    """Mean and percentiles; empty where there is nothing."""
    if not values:
        return {}
    cuts = quantiles(values, n=100, method="inclusive") if len(values) > 1 else [values[0]] * 99
    figures = {"mean": mean(values), "p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}
    return {name: round(value, 3) for name, value in figures.items()}


def _head(told: dict[str, Any]) -> Iterator[str]:
    yield f"# What {told['agent']} would have said"
    yield ""
    yield f"Asked in {told['asked']} of {told['turns']} turns, unavailable in {told['unavailable']}."
    yield f"{told['replies_changed']} of {told['replies_compared']} replies have other words."
    yield ""
    yield "| | then | now |"
    yield "|---|---|---|"
    for name in ("escalations", "silences"):
        yield f"| {name} | {told[name]['then']} | {told[name]['now']} |"
    for name in ("characters", "seconds"):
        then, now = told[name]["then"], told[name]["now"]
        for figure in then or now:
            yield f"| {name}, {figure} | {then.get(figure, '–')} | {now.get(figure, '–')} |"


def _pair(one: dict[str, Any]) -> Iterator[str]:
    yield f"\n## {one['contact']}, turn {one['seq'] or '–'}, {one['at'][:19]}\n"
    yield from _quoted("client", one["client"])
    yield from _quoted(f"then ({one['then']['outcome'] or 'undecided'})", "\n".join(one["then"]["words"]))
    fault = f": {one['now']['fault']}" if one["now"]["fault"] else ""
    same = "" if one["changed"] else ", the same"
    yield from _quoted(f"now ({one['now']['outcome']}{fault}{same})", "\n".join(one["now"]["words"]))


def _quoted(who: str, words: str) -> Iterator[str]:
    """Text of people is no Markdown of ours."""
    yield f"**{who}**\n"
    yield from (f"    {line}" for line in words.splitlines() or ["(nothing)"])
    yield ""
