"""Everything that is stored of one turn: found by any id that belongs to it, by look-ups that an index answers."""

import asyncio
import re
from dataclasses import dataclass, field

from kit import ids
from kit.reads import Reads
from schemas.documents import FenceDocument, SendDocument, TurnDocument

__all__ = ["PARTS", "Story", "find"]

PARTS = 6  # of one answer at most: an erased turn does not tell its parts any more
OF_TURN = re.compile(r"(turn_[0-9a-f]{24})-.+")
OF_MESSAGE = re.compile(r"([A-Z]{2}[0-9a-f]{32})-.+")
OF_SEND = re.compile(r"(.+-\d+)-.+")


@dataclass(frozen=True, slots=True)
class Story:
    asked: str
    asked_is: str
    """What the id names: turn, event, send, or something that was published of one of them."""
    turn: TurnDocument
    sends: dict[str, SendDocument] = field(default_factory=dict)
    fence: FenceDocument | None = None
    fenced_by: TurnDocument | None = None
    """The turn that the contact's fence stands at now."""

    @property
    def parts(self) -> list[str]:
        decided = [part["send_id"] for event in self.turn.outbound for part in event.data.get("parts", ())]
        return decided or sorted(self.sends)

    @property
    def known(self) -> set[str]:
        """Every SID that a part of it had."""
        found = {one.sid for one in self.sends.values()}
        return {one for one in found | {a.sid for s in self.sends.values() for a in s.attempts} if one}


async def find(reads: Reads, name: str) -> Story | None:
    """The turn that `name` belongs to, with its sends. None where nothing has that id. Raises StoreDown."""
    for candidate, is_exact in _names(name):
        kind, turn = await _turn(reads, candidate)
        if turn is not None:
            return await _whole(reads, Story(name, kind if is_exact else f"of a {kind}", turn))
    return None


def _names(name: str) -> list[tuple[str, bool]]:
    """The id itself first; then what it was made of: a part's, a notice's or a status's name begins with it."""
    made_of = [found[1] for form in (OF_TURN, OF_MESSAGE, OF_SEND) if (found := form.fullmatch(name))]
    return [(name, True), *((one, False) for one in dict.fromkeys(made_of))]


async def _turn(reads: Reads, name: str) -> tuple[str, TurnDocument | None]:
    turn, turns, sends, send = await asyncio.gather(
        reads.turn(name), reads.turns([name]), reads.sends([name]), reads.send_with(name)
    )
    if turn or turns:
        return ("turn", turn) if turn else ("event", turns[0])
    found = sends.get(name) or send
    return "send", await reads.turn(found.turn) if found else None


async def _whole(reads: Reads, story: Story) -> Story:
    turn = story.turn
    decided = [part["send_id"] for event in turn.outbound for part in event.data.get("parts", ())]
    wanted = decided or [ids.part_id(turn.id, number) for number in range(1, PARTS + 1)]
    sends, fence = await asyncio.gather(reads.sends(wanted), reads.confirmed(turn.contact))
    fenced = fence is not None and any(one.error_message == "fenced" for one in sends.values())
    fenced_by = await reads.turn_at(turn.contact, fence.fence) if fenced and fence else None
    return Story(story.asked, story.asked_is, turn, sends, fence, fenced_by)
