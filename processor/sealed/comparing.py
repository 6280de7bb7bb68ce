"""What was decided, and what would be decided now: the same facts of both, and where they differ. Pure."""

from collections.abc import Sequence
from typing import Any

from schemas.documents import EventDocument, TurnDocument
from schemas.events import SendRequested
from schemas.replay import Differs, Facts

__all__ = ["differences", "facts"]

COUNTED = {"at", "seq", "turn", "contact"}
"""Times, places in the story, and what other facts say."""
HOW = ("purpose", "channel", "to", "template")
FLAGS = ("escalated", "opted_out", "throttled")


def facts(turns: Sequence[TurnDocument]) -> Facts:
    """Of all turns that a run became; normally one."""
    outbound = [event for turn in turns for event in turn.outbound]
    requests = [event for event in outbound if event.type == SendRequested.type_name()]
    last = turns[-1] if turns else None
    return Facts(
        turns=[turn.id for turn in turns],
        events=[event for turn in turns for event in turn.events],
        outcome=", ".join(turn.outcome for turn in turns),
        parts=[part["text"] for event in requests for part in event.data["parts"]],
        shown=[{name: event.data.get(name) for name in HOW} for event in requests],
        markers=[_told(event) for event in outbound if event not in requests],
        notices=[_told(event) for turn in turns for event in turn.notices],
        conversation=_conversation(turns),
        contact={name: bool(last.contact_after.get(name)) for name in FLAGS} if last else {},
    )


def differences(was: Facts, now: Facts) -> list[Differs]:
    """In the order of the fields; empty where both are the same."""
    before, after = was.model_dump(mode="json"), now.model_dump(mode="json")
    return [Differs(field=name, was=before[name], now=after[name]) for name in before if before[name] != after[name]]


def _told(event: EventDocument) -> dict[str, Any]:
    kept = {name: value for name, value in event.data.items() if name not in COUNTED and value is not None}
    return {"type": event.type, **dict(sorted(kept.items()))}


def _conversation(turns: Sequence[TurnDocument]) -> dict[str, Any]:
    """As the last turn that has one leaves it."""
    found = [turn.conversation_after for turn in turns if turn.conversation_after]
    return {"id": found[-1]["_id"], "status": found[-1]["status"]} if found else {}
