"""What putting records back on a live topic would do: said before it is done."""

from collections import Counter
from collections.abc import Sequence

from kit import ids
from kit.kafka.reading import Stored
from kit.reads import Reads
from ops.replaying.chosen import WrongChoice
from schemas.attributes import Undecodable, decode
from schemas.contact import UnusableAddress, canonical, parse_address
from schemas.events import CallCompleted
from schemas.topics import CALL_COMPLETED, CONTACT_LOG, MESSAGE_OUTBOUND, MESSAGE_STATUS, SYSTEM_NOTICES, TOPICS

__all__ = ["Expected", "expected", "require_harmless"]

BATCH = 500
HURTS = {
    MESSAGE_OUTBOUND.name: "old words could be shown a second time, or out of their order; the sender posts again by "
    "itself what has to be, and `hilo explain` tells what became of a part",
    MESSAGE_STATUS.name: "an old failure told again may post its part again; what Twilio has to say is asked for by "
    "the sender itself",
    SYSTEM_NOTICES.name: "the main backend would be told old facts as new ones; it can read the topic again from any "
    "offset by itself",
}
Expected = Counter[str]
"""`decided`: they stay as they are · `undecided`: they are worked off now · `unusable`: they become dead letters."""


def require_harmless(topic: str) -> None:
    """Raises WrongChoice for a topic whose records must not come twice."""
    if why := HURTS.get(topic):
        raise WrongChoice(f"{topic} is not put back: {why}")


async def expected(reads: Reads, topic: str, records: Sequence[Stored]) -> Expected:
    """Raises StoreDown."""
    events = [_event(topic, one) for one in records]
    known = list(dict.fromkeys(one for one in events if one))
    decided: set[str] = set()
    for since in range(0, len(known), BATCH):
        decided |= await reads.decided(known[since : since + BATCH])
    return Counter("unusable" if one is None else "decided" if one in decided else "undecided" for one in events)


def _event(topic: str, stored: Stored) -> str | None:
    """The id under which the processor decides it; None where it cannot use it."""
    events = {one.name: one.events for one in TOPICS}[topic]
    try:
        envelope = decode(stored.record, events, fallback_id=str(stored.position))
        if topic == CONTACT_LOG.name:
            return envelope.id
        call = envelope.data
        if topic == CALL_COMPLETED.name and isinstance(call, CallCompleted):
            return ids.call_id(canonical(parse_address(call.phone_number)), call)
    except (Undecodable, UnusableAddress):
        pass
    return None
