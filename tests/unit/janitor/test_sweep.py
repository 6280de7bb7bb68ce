"""The janitor asks for idle conversations to be closed, always with the same id for the same thing seen."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from janitor.sweep import Sweep
from kit.errors import BrokerDown, StoreDown
from kit.ids import close_id
from kit.service import Tools
from schemas.attributes import Envelope
from schemas.documents import ConversationDocument
from schemas.events import CloseRequested, Event
from tests.conftest import FakeClock
from tests.unit.processor.states import conversation


class Looks:
    """Stands for `Reads`: `found`, unless `fault` raises."""

    def __init__(self, *found: ConversationDocument) -> None:
        self.found = list(found)
        self.asked: list[datetime] = []
        self.fault: Callable[[int], None] = lambda _: None

    async def idle_since(self, moment: datetime) -> list[ConversationDocument]:
        self.asked.append(moment)
        self.fault(len(self.asked))
        return self.found


class Box:
    def __init__(self) -> None:
        self.published: list[tuple[str, Envelope[Event]]] = []

    async def publish(self, topic: str, envelope: Envelope[Event], **_: Any) -> None:
        self.published.append((topic, envelope))


def sweep(looks: Looks, box: Box, tools: Tools) -> Sweep:
    every, idle = timedelta(hours=1), timedelta(hours=24)
    return Sweep(looks, box, tools, idle=idle, every=every)  # type: ignore[arg-type]


async def test_an_idle_conversation_is_asked_to_close_with_what_was_seen(tools: Tools, clock: FakeClock) -> None:
    one, box = conversation(), Box()
    looks = Looks(one)
    assert await sweep(looks, box, tools).once() == 1
    assert looks.asked == [clock.now() - timedelta(hours=24)]
    ((topic, envelope),) = box.published
    assert (topic, envelope.contact) == ("contact.log", one.contact)
    assert envelope.data == CloseRequested(conversation_id=one.id, last_message_at=one.last_message_at, by="janitor")
    assert envelope.id == close_id(one.id, one.last_message_at.isoformat())


async def test_two_janitors_that_see_the_same_ask_with_one_id(tools: Tools, clock: FakeClock) -> None:
    box, looks = Box(), Looks(conversation(), conversation(id="conv_2"))
    await sweep(looks, box, tools).once()
    clock.advance(600)
    await sweep(looks, box, tools).once()
    first, second = ([envelope.id for _, envelope in box.published][n : n + 2] for n in (0, 2))
    assert first == second
    assert len(set(first)) == 2


async def test_after_another_message_the_question_is_another_one(tools: Tools) -> None:
    box = Box()
    for hours in (0, 1):
        moved = conversation(last_message_at=conversation().last_message_at + timedelta(hours=hours))
        await sweep(Looks(moved), box, tools).once()
    assert len({envelope.id for _, envelope in box.published}) == 2


async def test_nothing_idle_nothing_asked(tools: Tools) -> None:
    box = Box()
    assert await sweep(Looks(), box, tools).once() == 0
    assert box.published == []


async def running(looks: Looks, tools: Tools, times: int) -> None:
    """Let the sweep run until it has looked so often, or its task has ended."""
    reached, fault = asyncio.Event(), looks.fault

    def count(number: int) -> None:
        if number >= times:
            reached.set()
        fault(number)

    looks.fault = count
    working = sweep(looks, Box(), tools)
    await working.start()
    assert working._task
    arrived = asyncio.create_task(reached.wait())
    await asyncio.wait([arrived, working._task], return_when=asyncio.FIRST_COMPLETED)
    arrived.cancel()
    await working.stop()


async def test_it_sweeps_every_hour_from_the_start(tools: Tools, clock: FakeClock) -> None:
    looks = Looks()
    await running(looks, tools, 3)
    first, second, third = looks.asked[:3]
    assert second - first == third - second == timedelta(hours=1)


@pytest.mark.parametrize("error", [StoreDown("away"), BrokerDown("away")])
async def test_a_sweep_that_could_not_be_is_put_off(error: Exception, tools: Tools) -> None:
    looks = Looks()

    def fault(number: int) -> None:
        if number == 1:
            raise error

    looks.fault = fault
    await running(looks, tools, 2)
    assert len(looks.asked) >= 2


@pytest.mark.expects_errors
async def test_one_document_that_cannot_be_read_does_not_end_all_sweeps(tools: Tools) -> None:
    looks = Looks()

    def fault(number: int) -> None:
        if number == 1:
            raise ValueError("a document nobody can read")

    looks.fault = fault
    await running(looks, tools, 2)
    assert len(looks.asked) >= 2
