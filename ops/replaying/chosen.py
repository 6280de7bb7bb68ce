"""Which records are replayed: of a contact, of a time, or of offsets."""

import re
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from kit.errors import HiloError
from kit.kafka.reading import Progress, Reader, Span, Stored
from ops.moments import since as moment
from schemas.contact import Contact, canonical, parse_address
from schemas.topics import CALL_COMPLETED, CONTACT_LOG, DEAD_LETTERS, TOPICS

__all__ = ["Wanted", "WrongChoice", "chosen", "wanted"]

OFFSETS = re.compile(r"(\d{1,9}):(\d{1,18})-(\d{1,18})")
NAMES = {topic.name for topic in TOPICS}


class WrongChoice(HiloError):
    """No such records can be meant."""


@dataclass(frozen=True, slots=True)
class Wanted:
    topic: str
    contact: Contact | None = None
    begin: datetime | None = None
    until: datetime | None = None
    offsets: tuple[int, int, int] | None = None
    """Partition, first offset, last offset."""

    @property
    def whole_story(self) -> bool:
        return self.contact is not None and self.begin is None and self.until is None


def wanted(
    contact: str | None, topic: str | None, begin: str | None, until: str | None, offsets: str | None, now: datetime
) -> Wanted:
    """Raises WrongChoice, WrongTime, UnusableAddress."""
    name = topic or CONTACT_LOG.name
    if name not in NAMES or name == DEAD_LETTERS.name:
        others = ", ".join(sorted(NAMES - {DEAD_LETTERS.name}))
        raise WrongChoice(f"{name!r}: say one of {others}; for dead.letters there is `hilo deadletters redrive`")
    if not (contact or begin or offsets) or (offsets and (contact or begin or until)):
        raise WrongChoice("say which records: --contact C, or --from TIME [--to TIME], or --offsets P:FROM-TO")
    if contact and name == CALL_COMPLETED.name:
        raise WrongChoice(f"{name} is not kept by contact: say --from TIME")
    found = Wanted(
        name,
        canonical(parse_address(contact)) if contact else None,
        moment(begin, now) if begin else None,
        moment(until, now) if until else None,
        _offsets(offsets) if offsets else None,
    )
    if found.begin and found.begin >= (found.until or now):
        raise WrongChoice("--from has to be before --to, and in the past")
    return found


def _offsets(text: str) -> tuple[int, int, int]:
    match = OFFSETS.fullmatch(text.strip())
    partition, first, last = (int(one) for one in match.groups()) if match else (0, 1, 0)
    if first > last:
        raise WrongChoice(f"{text!r} are no offsets: write PARTITION:FIRST-LAST, as 3:120-180")
    return partition, first, last


async def chosen(
    kafka: Reader, what: Wanted, names: Sequence[str], progress: Progress = lambda _read, _of: None
) -> AsyncIterator[Stored]:
    """In order per partition; `names` are the contact's keys. Raises BrokerDown."""
    keys = {name.encode() for name in names} if what.contact else None
    async for stored in kafka.read(await _spans(kafka, what, keys), progress):
        late = what.until is not None and stored.at > what.until
        early = what.begin is not None and stored.at < what.begin
        if not (late or early) and (keys is None or stored.record.key in keys):
            yield stored


async def _spans(kafka: Reader, what: Wanted, keys: Collection[bytes] | None) -> list[Span]:
    if keys is not None:
        found = [span for key in sorted(keys) for span in await kafka.of_key(what.topic, key, what.begin)]
        return list({span.partition: span for span in found}.values())
    spans = await kafka.whole(what.topic, what.begin)
    if what.offsets is None:
        return spans
    partition, first, last = what.offsets
    return [
        replace(span, begin=max(first, span.begin), end=min(last + 1, span.end))
        for span in spans
        if span.partition.partition == partition
    ]
