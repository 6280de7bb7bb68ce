"""Has a person been forgotten? What is still pending, in words; and the receipt."""

from datetime import datetime, timedelta
from typing import Any

from kit import ids
from kit.reads import Reads
from ops.person import Person
from schemas.topics import TOPICS

__all__ = ["pending", "receipt"]

ELSEWHERE = (
    "Twilio keeps its own log of messages and media, ElevenLabs its own transcripts: delete them there",
    "what the main backend read from system.notices is the main backend's",
)
SEGMENTS = (
    "Kafka deletes whole segments: a record may stay for up to one segment (segment.ms, 7 days unless set) longer"
)


async def pending(reads: Reads, name: str, event: str) -> str:
    """What this erasure still waits for; empty when both stores hold nothing but stripped rows. Raises StoreDown."""
    turn = next(iter(await reads.turns([event])), None)
    if turn is None:
        return "the processor has not decided it: is it running?"
    if turn.contact != ids.erased_id(name):  # it is stripped last: then all before it is
        return "the processor has not stripped its rows"
    fence = await reads.confirmed(name)
    if fence is None or fence.fence < turn.seq:
        return "the sender has not come to it: is it running?"
    left = [one for one in await reads.sends_of(name) if one.seq < turn.seq]
    return f"the sender has {len(left)} rows left" if left else ""


def receipt(name: str, before: Person | None, event: str, at: datetime) -> dict[str, Any]:
    """What was erased, what is kept and under which name, what ages out of which topic by when."""
    counts = before.counts if before else {}
    gone = {one: counts.get(one, 0) for one in ("conversations", "messages", "calls")}
    stripped = {one: counts.get(one, 0) for one in ("turns", "sends")}
    return {
        "contact": name,
        "event": event,
        "erased_at": at.isoformat(timespec="seconds"),
        "deleted": {"contacts": 1 if before else 0, **gone},
        "stripped": stripped,
        "kept_as": ids.erased_id(name),
        "kept": "id, events, place and state of each row: a replay finds them decided and answers nothing",
        "topics": [
            {
                "topic": topic.name,
                "retention_days": topic.retention_days,
                "gone_by": (at + timedelta(days=topic.retention_days)).isoformat(timespec="seconds"),
            }
            for topic in TOPICS
        ],
        "note": SEGMENTS,
        "elsewhere": list(ELSEWHERE),
    }
