"""Dead letters on real Kafka: buried, put back, buried again with a count, dropped."""

import pytest

from kit.kafka.dead_letters import DeadLetters, Position
from kit.kafka.outlet import Outlet
from kit.kafka.reading import reader
from kit.reads import Reads
from kit.service import Tools
from kit.settings import KafkaSettings
from ops.letters import Done, Undertaker, Wanted, cases, one_case
from schemas.attributes import WireRecord
from tests.memory_mongo import MemoryMongo
from tests.running import records

RECORD = WireRecord(None, b"\xff\x00", [("x", b"\xfe")])


@pytest.mark.expects_errors
async def test_a_letter_goes_round_and_keeps_its_bytes_and_its_count(
    kafka: KafkaSettings, outlet: Outlet, tools: Tools
) -> None:
    letters = DeadLetters(outlet, tools.clock, tools.metrics)
    await letters.bury(RECORD, Position("call.completed", 1, 2), group="g", reason="undecodable", detail="d")
    async with reader(kafka) as topic:
        work = Undertaker(topic, outlet, Reads(MemoryMongo()), tools.clock, by="luis")  # type: ignore[arg-type]
        (case,) = await cases(topic, Wanted())
        await work.redrive([case], 100, Done())
        (back,) = await records(kafka, "call.completed")
        assert (back.key, back.value, dict(back.headers)["x"]) == (None, RECORD.value, b"\xfe")
        again = WireRecord(back.key, back.value, back.headers)
        await letters.bury(again, Position("call.completed", 1, 3), group="g", reason="undecodable", detail="d")
        (second,) = await cases(topic, Wanted())
        assert (second.letter.redrives, second.letter.came_from) == (1, f"dead.letters-{case.letter.id}")
        await work.drop([second], "a test", Done())
        assert await cases(topic, Wanted()) == []
        assert (await one_case(topic, case.letter.id)).fate == "redriven"
        dropped = await one_case(topic, second.letter.id)
        assert (dropped.fate, dropped.mark and dropped.mark.why) == ("dropped", "a test")
    kept = await records(kafka, "dead.letters", 4)
    by_letter = {one.key: one.partition for one in kept if one.key}
    for found in (case, second):
        assert by_letter[str(found.letter.position).encode()] == found.letter.position.partition
