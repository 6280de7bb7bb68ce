"""Dead letters: seen, put back, let go; each wholly or not at all."""

import asyncio
import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from kit.errors import BrokerDown, Poison
from kit.kafka.dead_letters import DeadLetters, Position
from kit.kafka.letters import Letter
from kit.kafka.reading import Stored
from kit.reads import Reads
from kit.service import Tools
from ops.letters import Case, Done, Undertaker, UnknownLetter, Wanted, cases, one_case
from ops.moments import WrongTime, since
from ops.post import grouped, listed, whole
from schemas.attributes import WireRecord, header
from tests.conftest import FakeClock
from tests.memory_mongo import MemoryMongo
from tests.unit.ops.shelf import Shelf
from tests.unit.ops.stories import World
from tests.unit.processor.states import NOW, message

pytestmark = pytest.mark.expects_errors  # each burial is one
HEADERS = [("ce_id", b"SM_in_1"), ("ce_type", b"hilo.message-received.v1"), ("x", b"\xff\x00")]
RECORD = WireRecord(b"+5215512345678", b"\xff\x00{}", HEADERS)


class Place:
    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.shelf = Shelf(tools.clock)
        self.store = MemoryMongo()
        self._letters = DeadLetters(self.shelf, tools.clock, tools.metrics)  # type: ignore[arg-type]

    async def bury(
        self, topic: str = "contact.log", reason: str = "exhausted", record: WireRecord = RECORD, offset: int = 17
    ) -> str:
        known = {one.position for one in self.shelf.of("dead.letters")}
        await self._letters.bury(record, Position(topic, 3, offset), group="g", reason=reason, detail="d", attempts=6)
        (new,) = [one.position for one in self.shelf.of("dead.letters") if one.position not in known]
        return f"{new.partition}-{new.offset}"

    async def find(self, **wanted: Any) -> list[Case]:
        return await cases(self.shelf, Wanted(**wanted))  # type: ignore[arg-type]

    async def case(self, name: str) -> Case:
        return await one_case(self.shelf, name)  # type: ignore[arg-type]

    def undertaker(self, **more: Any) -> Undertaker:
        reads, shelf = Reads(self.store), self.shelf  # type: ignore[arg-type]
        return Undertaker(shelf, shelf, reads, self.tools.clock, by="luis", **more)  # type: ignore[arg-type]

    async def redrive(self, *chosen: Case, rate: float = 10, **more: Any) -> Done:
        done = Done()
        await self.undertaker(**more).redrive(chosen, rate, done)
        return done


@pytest.fixture
def place(tools: Tools) -> Place:
    return Place(tools)


async def test_a_letter_is_the_record_as_it_was_and_what_was_wrong(place: Place) -> None:
    name = await place.bury()
    letter = (await place.case(name)).letter
    assert (letter.record.key, letter.record.value, list(letter.record.headers)) == (RECORD.key, RECORD.value, HEADERS)
    assert (str(letter.origin), letter.reason, letter.detail, letter.attempts) == (
        "contact.log-3-17",
        "exhausted",
        "d",
        6,
    )
    assert (letter.redrives, letter.came_from) == (0, None)


async def test_what_is_put_back_says_where_it_came_from_and_is_counted(place: Place) -> None:
    for count in (1, 2, 3):
        record = place.shelf.of("contact.log")[-1].record if count > 1 else RECORD
        name = await place.bury(record=record)
        case = await place.case(name)
        assert case.letter.redrives == count - 1
        assert (await place.redrive(case)).settled == [name]
        back = place.shelf.of("contact.log")[-1].record
        assert (back.key, back.value, list(back.headers)[:3]) == (RECORD.key, RECORD.value, HEADERS)
        about = {one: text.decode() for one, text in back.headers if one.startswith("hilo_")}
        at = place.tools.clock.now().isoformat()
        expected = {"from": f"dead.letters-{name}", "count": str(count), "by": "luis", "at": at}
        assert about == {f"hilo_redriven_{key}": value for key, value in expected.items()}
        assert len(back.headers) == 7, "each once"
    assert (await place.case(name)).letter.came_from


@pytest.mark.parametrize("key", [RECORD.key, b"odd", None])
async def test_its_mark_stands_behind_it_in_its_partition(place: Place, key: bytes | None) -> None:
    name = await place.bury(record=WireRecord(key, b"v", HEADERS))
    await place.redrive(await place.case(name))
    letter, mark = place.shelf.of("dead.letters")
    assert (mark.position.partition, mark.position.offset) == (letter.position.partition, letter.position.offset + 1)
    assert (mark.record.key, Letter.read(mark)) == (f"dead.letters-{name}".encode(), None)


async def test_what_could_be_kept_only_in_part_is_not_put_back(place: Place) -> None:
    name = await place.bury(record=WireRecord(b"k", b"the beginning", [("hilo_dead_cut", b"4194304")]))
    done = await place.redrive(await place.case(name))
    assert (list(done.skipped), "of its 4194304 bytes" in done.skipped[name]) == ([name], True)
    assert place.shelf.of("contact.log") == []


async def test_what_is_settled_is_gone_from_the_list_and_kept_with_the_reason(place: Place) -> None:
    first, second = await place.bury(), await place.bury(reason="undecodable")
    done = Done()
    await place.undertaker().drop([await place.case(first)], "a test", done)
    assert [one.letter.id for one in await place.find()] == [second]
    dropped = next(one for one in await place.find(settled=True) if one.letter.id == first)
    assert dropped.mark
    assert (dropped.fate, dropped.mark.by, dropped.mark.why) == ("dropped", "luis", "a test")
    assert (await place.redrive(dropped)).skipped == {first: "it was dropped already"}
    assert place.shelf.of("contact.log") == []
    assert (await place.redrive(dropped, again=True)).settled == [first]
    assert (await place.case(first)).fate == "redriven", "the last mark counts"


async def test_letters_are_found_by_topic_reason_and_time_oldest_first(place: Place, clock: FakeClock) -> None:
    one = await place.bury("contact.log", "exhausted")
    clock.advance(60)
    two = await place.bury("call.completed", "exhausted")
    clock.advance(60)
    three = await place.bury("contact.log", "undecodable", WireRecord(b"odd", b"v", []))

    async def names(**wanted: Any) -> list[str]:
        return [case.letter.id for case in await place.find(**wanted)]

    assert await names() == [one, two, three]
    assert await names(topic="contact.log") == [one, three]
    assert await names(reason="exhausted") == [one, two]
    assert await names(topic="contact.log", reason="exhausted") == [one]
    assert await names(since=clock.now() - timedelta(seconds=60)) == [two, three]
    assert await names(reason="nobody's") == []
    assert all(case.letter.record.value is None and case.size for case in await place.find()), "no bytes are kept"
    groups = [(row["reason"], row["topic"], row["count"]) for row in grouped(await place.find())]
    assert groups == [
        ("exhausted", "call.completed", 1),
        ("exhausted", "contact.log", 1),
        ("undecodable", "contact.log", 1),
    ]


async def test_what_is_no_topics_or_decided_already_is_not_put_back(place: Place, tools: Tools) -> None:
    webhook = await place.bury("/webhook/twilio/incoming", "refused", WireRecord(None, b"From=x", []))
    await World(place.store, tools).handle(("SM_in_1", message("hola")))
    decided, fresh = await place.bury(), await place.bury(record=WireRecord(RECORD.key, b"v", [("ce_id", b"SM_2")]))
    done = await place.redrive(*[await place.case(one) for one in (webhook, decided, fresh)])
    assert done.settled == [fresh]
    assert "no topic" in done.skipped[webhook]
    assert "replied" in done.skipped[decided]
    assert [header(one.record.headers, "ce_id") for one in place.shelf.of("contact.log")] == ["SM_2"]


async def test_a_turn_that_is_not_finished_may_be_finished_by_its_record(place: Place, tools: Tools) -> None:
    await World(place.store, tools).handle(("SM_in_1", message("hola")))
    (turn,) = await place.store.turns.find({}).to_list(None)
    await place.store.turns.update_one({"_id": turn["_id"]}, {"$set": {"done": False}})
    name = await place.bury()
    assert (await place.redrive(await place.case(name))).settled == [name]


async def test_a_mark_settles_its_own_letter_only(place: Place) -> None:
    first, second = await place.bury(), await place.bury()
    await place.undertaker().drop([await place.case(second)], "a test", Done())
    assert [(await place.case(one)).fate for one in (first, second)] == ["open", "dropped"]


async def test_a_rate_is_kept(place: Place, clock: FakeClock) -> None:
    chosen = [await place.case(await place.bury(record=WireRecord(b"k", b"v", []))) for _ in range(4)]
    await place.redrive(*chosen, rate=4)
    assert clock.slept == [0.25] * 3


async def test_one_that_is_too_large_is_passed_over(place: Place) -> None:
    first, second = [await place.case(await place.bury(record=WireRecord(b"k", v, []))) for v in (b"1", b"2")]
    faults = [Poison("too_large", "x")]

    def before(topic: str) -> None:
        if topic == "contact.log" and faults:
            raise faults.pop()

    place.shelf.before = before
    done = await place.redrive(first, second)
    assert (list(done.skipped), done.settled) == ([first.letter.id], [second.letter.id])


async def test_a_broker_that_goes_away_leaves_the_rest_untouched(place: Place) -> None:
    chosen = [await place.case(await place.bury(record=WireRecord(b"k", b"v", []))) for _ in range(3)]

    def before(topic: str) -> None:
        if topic == "contact.log" and place.shelf.of("contact.log"):
            raise BrokerDown("away")

    place.shelf.before, done = before, Done()
    with pytest.raises(BrokerDown):
        await place.undertaker().redrive(chosen, 1000, done)
    assert (done.settled, done.left) == ([chosen[0].letter.id], [one.letter.id for one in chosen[1:]])
    assert [one.letter.id for one in await place.find()] == done.left


@pytest.mark.parametrize("at", ["contact.log", "dead.letters"])
async def test_an_interruption_waits_for_the_letter_at_hand(place: Place, at: str) -> None:
    chosen = [await place.case(await place.bury(record=WireRecord(b"k", b"v", []))) for _ in range(3)]
    reached, go_on = asyncio.Event(), asyncio.Event()

    def before(topic: str) -> Any:
        if topic != at:
            return None
        reached.set()
        return go_on.wait()

    place.shelf.before, done = before, Done()
    work = asyncio.create_task(place.undertaker().redrive(chosen, 1000, done))
    await reached.wait()
    work.cancel()
    await asyncio.sleep(0)
    assert not work.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (done.settled, done.left) == ([chosen[0].letter.id], [one.letter.id for one in chosen[1:]])
    assert len(place.shelf.of("contact.log")) == 1
    assert [one.letter.id for one in await place.find()] == done.left


@pytest.mark.parametrize(
    "name", ["", "1", "0-99", "9-0", "x-y", "-", "0-٣", "0--1", "1" * 30 + "-0", "dead.letters-9-9"]
)
async def test_a_letter_that_is_not_there_is_one_sentence(place: Place, name: str) -> None:
    await place.bury()
    with pytest.raises(UnknownLetter):
        await place.case(name)


async def test_a_mark_is_no_letter(place: Place) -> None:
    name = await place.bury()
    await place.redrive(await place.case(name))
    partition, offset = name.split("-")
    with pytest.raises(UnknownLetter):
        await place.case(f"{partition}-{int(offset) + 1}")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("hilo_dead_attempts", b"many"), ("hilo_redriven_count", b"-1")],
        [("hilo_dead_reason", b"\xff"), ("hilo_dead_offset", b"9" * 5000)],
        [("hilo_mark", b"\xff")],
    ],
)
async def test_what_somebody_else_put_there_can_be_looked_at(place: Place, headers: list[tuple[str, bytes]]) -> None:
    await place.shelf.publish_record("dead.letters", WireRecord(None, None, headers))
    (case,) = await place.find()
    assert json.loads(json.dumps(whole(case, reveal=True)))["payload"] is None
    assert (await place.redrive(case)).settled == []


async def test_bytes_are_shown_as_they_are_and_harmless(place: Place) -> None:
    value = b"\x1b[2J\xff\x00 a\xc3\xb1"
    case = await place.case(await place.bury(record=WireRecord(b"\xfe", value, [("x", b"\x07")])))
    shown = whole(case, reveal=True)
    assert (shown["payload"], shown["key"]) == ("\\x1b[2J\\xff\\x00 añ", "\\xfe")
    assert {"name": "x", "value": "\\x07"} in shown["headers"]
    assert base64.b64decode(shown["payload_base64"]) == value
    assert whole(case, reveal=False)["payload_base64"] is None, "its numbers could be read"
    assert listed(case)["bytes"] == len(value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), (" 3d ", 259200), ("2026-11-23T11:59", 60),
                          ("2026-11-23T12:59:00+01:00", 60)]
)  # fmt: skip
def test_a_time_is_a_duration_or_a_date(text: str, seconds: int) -> None:
    assert since(text, NOW) == NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "yesterday", "2 h", "-1h", "1e3s", "2026-13-01", "9999999d", "999999d"])
def test_what_is_no_time_is_one_sentence(text: str) -> None:
    with pytest.raises(WrongTime, match="is no time"):
        since(text, NOW)


def test_a_letter_reads_what_the_sender_of_an_old_version_wrote() -> None:
    stored = Stored(Position("dead.letters", 0, 4), NOW, WireRecord(b"k", b"v", [("hilo_dead_topic", b"contact.log")]))
    letter = Letter.read(stored)
    assert letter
    assert (letter.id, letter.origin.topic, letter.reason) == ("0-4", "contact.log", "unknown")
