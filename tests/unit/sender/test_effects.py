"""The table of the ledger's states."""

import re
from pathlib import Path

import pytest

from schemas.documents import SendDocument
from sender.effects import STATES, EffectLedger, place
from tests.conftest import FakeClock
from tests.unit.sender.test_statuses import send

PAGE = Path(__file__).parents[3] / "docs/sending.md"
ROOT = Path(__file__).parents[3] / "sender"


class Rows:
    """A collection that has whatever is asked for."""

    def __init__(self) -> None:
        self.sends = self

    async def replace_one(self, *_: object) -> object:
        return type("Result", (), {"modified_count": 1})()

    async def insert_one(self, *_: object) -> None: ...


def ledger() -> EffectLedger:
    return EffectLedger(Rows(), FakeClock(), 15)  # type: ignore[arg-type]


@pytest.mark.parametrize("after", sorted(set(STATES) - {"new"}))
@pytest.mark.parametrize("before", STATES)
async def test_only_the_tables_transitions_are_written(before: str, after: str) -> None:
    row = send(rev="" if before == "new" else "turn_1-1#1", state="intent" if before == "new" else before)
    wanted: SendDocument = row.model_copy(update={"state": after})
    if after in STATES[before].next or after == before:
        assert await ledger().save(row, wanted)
    else:
        with pytest.raises(AssertionError):
            await ledger().save(row, wanted)


def test_every_state_is_reached_and_named_in_the_table() -> None:
    assert {name for state in STATES.values() for name in state.next} == set(STATES) - {"new"}
    code = "".join(file.read_text() for file in ROOT.glob("*.py"))
    assert set(re.findall(r'"state": "(\w+)"|state="(\w+)"', code)) <= {
        (a, b) for a in {*STATES, ""} for b in {*STATES, ""}
    }


def test_the_page_shows_this_table() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE))
    for name, state in STATES.items():
        assert told[name] == f"{state.means} | {', '.join(f'`{one}`' for one in state.next) or 'final'}", name


def test_parts_are_in_the_order_of_their_turns_and_numbers() -> None:
    ids = [(1, "turn_9-1"), (1, "turn_9-2"), (1, "turn_9-10"), (2, "turn_1-1")]
    rows = [send(id=name, seq=seq) for seq, name in ids]
    rows.reverse()
    assert [one.id for one in sorted(rows, key=place)] == [name for _, name in ids]
    assert place(send(id="foreign", seq=3)) == (3, 0)
