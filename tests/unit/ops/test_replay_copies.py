"""Records copied elsewhere and put back: what is said before, what is refused, how they are marked."""

from typing import Any

import pytest

from kit import ids
from kit.clock import Clock
from kit.errors import BrokerDown, Poison
from kit.kafka.reading import Stored
from kit.reads import Reads
from kit.service import Tools
from ops.replaying.again import expected, require_harmless
from ops.replaying.chosen import WrongChoice
from ops.replaying.copying import Copied, Copying, elsewhere
from ops.replaying.modes import require_one
from ops.replaying.settings import ReplaySettings
from schemas.attributes import Envelope, WireRecord, encode
from schemas.contact import Contact
from schemas.events import TakenOver
from tests.conftest import FakeClock
from tests.unit.ops.past import Past
from tests.unit.ops.shelf import Shelf
from tests.unit.processor.states import ADDRESS, CONTACT, NOW, completed, message

SETTINGS = ReplaySettings(kafka_topic_prefix="live.", kafka_bootstrap_servers="a:9092", _env_file=None)


@pytest.fixture
def past(tools: Tools) -> Past:
    return Past(tools)


@pytest.mark.parametrize(
    ("into", "prefix", "servers"),
    [
        ("test.", "test.", "a:9092"),
        ("b:9092", "", "b:9092"),
        ("b:9092,c:9093", "", "b:9092,c:9093"),
        ("test.@b:9092", "test.", "b:9092"),
    ],
)
def test_where_copies_go(into: str, prefix: str, servers: str) -> None:
    found = elsewhere(SETTINGS, into)
    assert (found.kafka_topic_prefix, found.kafka_bootstrap_servers) == (prefix, servers)


@pytest.mark.parametrize("into", ["", " ", "test space", "b:port", "@", "x@", "@b", "a@b@c:9092", "prefix/"])
def test_nowhere_is_refused(into: str) -> None:
    with pytest.raises(WrongChoice, match="--into"):
        elsewhere(SETTINGS, into)


@pytest.mark.parametrize("topic", ["message.outbound", "message.status", "system.notices"])
def test_what_would_hurt_is_refused_with_its_reason(topic: str) -> None:
    with pytest.raises(WrongChoice, match=f"{topic} is not put back: .{{40}}"):
        require_harmless(topic)


@pytest.mark.parametrize("topic", ["contact.log", "call.completed"])
def test_what_is_decided_once_may_come_twice(topic: str) -> None:
    require_harmless(topic)


@pytest.mark.parametrize(
    "asked",
    [
        {"into": "x", "again": True},
        {"agent": "a", "again": True},
        {"into": "x", "check": True},
        {"again": True, "step": True},
        {"agent": "a", "step": True},
        {"report": "r.md"},
    ],
)
def test_two_ways_at_once_are_refused(asked: dict[str, Any]) -> None:
    given: dict[str, Any] = {"into": None, "again": False, "agent": None, "report": None, "step": False, "check": False}
    with pytest.raises(WrongChoice):
        require_one(**{**given, **asked})


async def test_what_putting_back_would_do_is_counted(past: Past) -> None:
    await past.wrote(("SM1", message("hola")))
    await past.logged("to1", TakenOver(by="ana"))
    await past.shelf.publish_record("contact.log", WireRecord(CONTACT.encode(), b"{", []))
    reads: Any = Reads(past.store)  # type: ignore[arg-type]
    counts = await expected(reads, "contact.log", past.shelf.of("contact.log"))
    assert counts == {"decided": 1, "undecided": 1, "unusable": 1}


async def test_a_call_is_known_by_the_id_that_the_relay_gives_it(past: Past) -> None:
    call = completed(conversation_id="c1")
    await past.wrote((ids.call_id(CONTACT, call), call))
    foreign = encode(Envelope("whatever", "backend", NOW, Contact("any key"), call))
    await past.shelf.publish_record("call.completed", foreign)
    await past.shelf.publish_record("call.completed", WireRecord(b"k", b'{"phoneNumber": "12"}', []))
    reads: Any = Reads(past.store)  # type: ignore[arg-type]
    counts = await expected(reads, "call.completed", past.shelf.of("call.completed"))
    assert counts == {"decided": 1, "unusable": 1}


class Refusing(Shelf):
    """Refuses what it is told to."""

    def __init__(self, clock: Clock, *errors: Exception | None) -> None:
        super().__init__(clock)
        self._errors = list(errors)

    async def publish_record(self, topic: str, record: WireRecord, **more: Any) -> None:
        error = self._errors.pop(0) if self._errors else None
        if error:
            raise error
        await super().publish_record(topic, record, **more)


async def copied(shelf: Shelf, records: list[Stored], tools: Tools, **more: Any) -> Copied:
    outlet: Any = shelf
    done = Copied()
    async for _ in Copying(outlet, tools.clock, by="luis", mode="again").copy(records, done, **more):
        continue
    return done


async def test_a_copy_has_key_bytes_and_headers_and_says_from_where(past: Past, tools: Tools) -> None:
    await past.wrote(("SM1", message("hola")))
    (first,) = past.shelf.of("contact.log")
    there = Shelf(tools.clock)
    assert (await copied(there, [first], tools)).done == 1
    (copy,) = there.of("contact.log")
    assert (copy.record.key, copy.record.value) == (first.record.key, first.record.value)
    marks = {name: value.decode() for name, value in copy.record.headers if name.startswith("hilo_replayed_")}
    assert marks == {
        "hilo_replayed_from": str(first.position),
        "hilo_replayed_by": "luis",
        "hilo_replayed_mode": "again",
        "hilo_replayed_at": tools.clock.now().isoformat(),
    }
    assert [one for one in copy.record.headers if one[0] not in marks] == list(first.record.headers)
    await copied(there, [copy], tools)
    again = there.of("contact.log")[-1]
    assert len(again.record.headers) == len(copy.record.headers), "the last mark counts"


async def test_how_far_it_came_is_known_whatever_ends_it(past: Past, tools: Tools) -> None:
    for number in range(4):
        await past.logged(f"SM{number}", message("hola", message_sid=f"SM{number}"))
    records = past.shelf.of("contact.log")
    done, outlet = Copied(), Refusing(tools.clock, None, Poison("too_large"), BrokerDown("away"))
    work = Copying(outlet, tools.clock, by="x", mode="into").copy(records, done)  # type: ignore[arg-type]
    await anext(work)
    await anext(work)
    with pytest.raises(BrokerDown):
        await anext(work)
    assert (done.done, done.left, done.skipped) == (1, 2, {str(records[1].position): "too_large"})


async def test_a_rate_is_kept(past: Past, tools: Tools, clock: FakeClock) -> None:
    for number in range(3):
        await past.logged(f"SM{number}", message("hola", message_sid=f"SM{number}", address=ADDRESS))
    await copied(Shelf(tools.clock), past.shelf.of("contact.log"), tools, rate=4)
    assert clock.slept == [0.25, 0.25]
