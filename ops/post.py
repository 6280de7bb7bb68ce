"""Letters as documents: a listing, groups, one as a whole. Pure."""

import base64
from collections.abc import Sequence
from typing import Any

from ops.escaping import escaped, readable
from ops.letters import Case
from schemas.contact import UnusableAddress, parse_address

__all__ = ["grouped", "listed", "names", "whole"]

Json = dict[str, Any]


def grouped(found: Sequence[Case]) -> list[Json]:
    """By reason and topic, the largest first."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in found:
        groups.setdefault((case.letter.reason, case.letter.origin.topic), []).append(case)
    rows = [
        {
            "reason": escaped(reason),
            "topic": escaped(topic),
            "count": len(members),
            "oldest": _time(members[0]),
            "newest": _time(members[-1]),
        }
        for (reason, topic), members in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row["count"], row["reason"], row["topic"]))


def listed(case: Case) -> Json:
    letter = case.letter
    return {
        "letter": letter.id,
        "buried_at": _time(case),
        "topic": escaped(letter.origin.topic),
        "reason": escaped(letter.reason),
        "attempts": letter.attempts,
        "redrives": letter.redrives,
        "fate": case.fate,
        "detail": escaped(letter.detail),
        "bytes": case.size,
        "cut_from": letter.cut,
    }


def whole(case: Case, *, reveal: bool) -> Json:
    """Bytes that are no text stand as escapes; bare, in base64, only where numbers may be seen."""
    letter, mark = case.letter, case.mark
    value = letter.record.value
    return {
        **listed(case),
        "origin": str(letter.origin),
        "group": escaped(letter.group),
        "came_from": letter.came_from,
        "settled_by": mark.by if mark else None,
        "settled_at": mark.at.isoformat(timespec="seconds") if mark else None,
        "settled_because": mark.why if mark else None,
        "key": readable(letter.record.key) if letter.record.key is not None else None,
        "headers": [{"name": escaped(name), "value": readable(text)} for name, text in letter.record.headers],
        "payload": readable(value) if value is not None else None,
        "payload_base64": base64.b64encode(value).decode() if reveal and value is not None else None,
    }


def names(case: Case) -> list[str]:
    """A contact that hides its number, where the key names one: no pattern finds it."""
    key = readable(case.letter.record.key)
    try:
        return [parse_address(key)]
    except UnusableAddress:
        return []


def _time(case: Case) -> str:
    return case.letter.buried_at.isoformat(timespec="seconds")
