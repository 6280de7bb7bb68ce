"""From records and stored turns to stories: what was decided together, in order, and how it stood before."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kit.kafka.dead_letters import Position
from kit.kafka.reading import Reader, Stored
from kit.reads import Reads
from ops.replaying.before import before, turns_between
from schemas.attributes import Undecodable, header
from schemas.documents import TurnDocument
from schemas.replay import Kept, Person, Step

__all__ = ["Story", "Tale", "stories"]

BATCH = 500  # ids that are asked for at once
BEHIND = 20  # records that may have silenced a draft


@dataclass(frozen=True, slots=True)
class Story:
    person: Person
    steps: list[Step]


@dataclass(slots=True)
class Tale:
    """All that is told again, sorted by contact."""

    stories: list[Story] = field(default_factory=list)
    copies: int = 0
    """Records of an event that another record has brought already."""
    aged: int = 0
    """Turns from before the first record that is left."""

    @property
    def steps(self) -> int:
        return sum(len(one.steps) for one in self.stories)


async def stories(kafka: Reader, reads: Reads, found: Sequence[Stored], *, whole: bool = False) -> Tale:
    """`whole`: to the end of what is stored of each contact. Raises BrokerDown, StoreDown."""
    turns = await _turns(reads, list(dict.fromkeys(_event(one) for one in found)))
    records = [*found, *await _others(kafka, turns, found)]
    tale = Tale()
    for contact, (mine, decided) in sorted(_by_contact(records, turns).items()):
        told = await _with_holes(reads, contact, decided.values(), whole=whole)
        steps, copies = _steps(contact, mine, told)
        tale.stories.append(Story(await before(reads, contact, told), steps))
        tale.copies += copies
        tale.aged += told[0].seq - 1 if told and whole else 0
    return tale


async def _turns(reads: Reads, events: Sequence[str]) -> list[TurnDocument]:
    found: dict[str, TurnDocument] = {}
    for since in range(0, len(events), BATCH):
        found |= {one.id: one for one in await reads.turns(list(events[since : since + BATCH]))}
    return list(found.values())


async def _others(kafka: Reader, turns: Iterable[TurnDocument], found: Sequence[Stored]) -> list[Stored]:
    """A run that a time cuts in two is read whole."""
    there = {str(one.position) for one in found}
    missing = {place for turn in turns for place in turn.positions if place not in there}
    if not missing:
        return []
    wanted = [Position(*_place(one)) for one in sorted(missing)]
    return [one async for one in kafka.read(await kafka.around(wanted)) if str(one.position) in missing]


def _place(text: str) -> tuple[str, int, int]:
    topic, partition, offset = text.rsplit("-", 2)
    return topic, int(partition), int(offset)


def _by_contact(
    records: Iterable[Stored], turns: Iterable[TurnDocument]
) -> dict[str, tuple[list[Stored], dict[str, TurnDocument]]]:
    """An erased turn does not tell whose it was: its record does."""
    of_event = {event: turn for turn in turns for event in turn.events}
    grouped: dict[str, tuple[list[Stored], dict[str, TurnDocument]]] = defaultdict(lambda: ([], {}))
    for one in sorted(records, key=lambda one: (one.position.partition, one.position.offset)):
        turn = of_event.get(_event(one))
        key = (one.record.key or b"").decode("utf-8", "replace")
        mine, decided = grouped[key if turn is None or turn.outcome == "erased" else turn.contact]
        mine.append(one)
        if turn:
            decided[turn.id] = turn
    return grouped


async def _with_holes(
    reads: Reads, contact: str, decided: Iterable[TurnDocument], *, whole: bool
) -> list[TurnDocument]:
    """The turns between the first and the last, also those whose records are gone."""
    known = sorted(decided, key=lambda one: one.seq)
    if not known:
        return []
    last = known[-1].seq
    if whole and (now := await reads.contact(contact)):
        last = max(last, now.seq + 1)  # one may be decided and not stored yet
    if last - known[0].seq + 1 == len(known):
        return known
    all_of_them = {one.id: one for one in [*known, *await turns_between(reads, contact, known[0].seq, last)]}
    return sorted(all_of_them.values(), key=lambda one: one.seq)


def _steps(contact: str, records: Sequence[Stored], turns: Sequence[TurnDocument]) -> tuple[list[Step], int]:
    """Steps in the order in which they were decided, and how many records were copies."""
    by_event: dict[str, list[Stored]] = defaultdict(list)
    for one in records:
        by_event[_event(one)].append(one)
    decided = {event for turn in turns for event in turn.events}
    loose = [one for one in records if _event(one) not in decided]
    steps: list[Step] = []
    copies = sum(len(by_event[event]) - 1 for event in decided if by_event[event])
    copies += len(loose) - len({_event(one) for one in loose})
    waiting = list({_event(one): one for one in reversed(loose)}.values())  # the first that has to come is the last
    for turn in turns:
        run = [_of_turn(by_event[event], turn) for event in turn.events if by_event[event]]
        while waiting and run and _stands_before(waiting[-1], run[0]):
            steps.append(_loose(contact, waiting.pop(), steps))
        behind = list(_behind(records, run)) if turn.outcome == "discarded" and run else []
        steps.append(_step(contact, turn.decided_at, run, behind, turn))
    while waiting:
        steps.append(_loose(contact, waiting.pop(), steps))
    return steps, copies


def _of_turn(copies: Sequence[Stored], turn: TurnDocument) -> Stored:
    """The record that was decided, if it is still there; else a copy."""
    return next((one for one in copies if str(one.position) in turn.positions), copies[0])


def _stands_before(one: Stored, other: Stored) -> bool:
    here, there = one.position, other.position
    return (here.offset < there.offset) if here.partition == there.partition else one.at < other.at


def _behind(records: Sequence[Stored], run: Sequence[Stored]) -> Iterator[Stored]:
    later = [one for one in records if _stands_before(run[-1], one)]
    yield from later[:BEHIND]


def _loose(contact: str, one: Stored, steps: Sequence[Step]) -> Step:
    """Nobody decided it. Its time is when it came, and never before what came before it."""
    return _step(contact, max([one.at, *(step.at for step in steps[-1:])]), [one], [], None)


def _step(
    contact: str, at: datetime, run: Sequence[Stored], behind: Sequence[Stored], turn: TurnDocument | None
) -> Step:
    return Step(contact=contact, at=at, records=_kept(run), behind=_kept(behind), turn=turn)


def _kept(records: Sequence[Stored]) -> list[Kept]:
    return [
        Kept(
            position=str(one.position),
            at=one.at,
            key=one.record.key,
            value=one.record.value,
            headers=[(name, value or b"") for name, value in one.record.headers],
        )
        for one in records
    ]


def _event(stored: Stored) -> str:
    """As the processor names it."""
    try:
        return header(stored.record.headers, "ce_id") or str(stored.position)
    except Undecodable:
        return str(stored.position)
