"""A record comes in, and the pages that show its contact get what changed of it; what was asked is told to its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from kit.errors import StoreDown
from kit.ids import turn_id
from ops import asked
from ops.console import feed as feeding
from ops.console import pending as watching
from ops.console.feed import Feed, Listener
from ops.console.sessions import Session
from schemas.attributes import Envelope
from schemas.events import CloseRequested, EraseRequested, EraseSends, Event, OperatorSaid, TakenOver
from tests.running import eventually
from tests.unit.ops.console.rig import Console
from tests.unit.ops.stories import World
from tests.unit.processor.states import CONTACT, NOW, message

MARTA = Session("s1", "Marta", 9e12)


@pytest.fixture
async def feed(console: Console, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Feed]:
    monkeypatch.setattr(feeding, "LOOKS_S", (0.0, 0.01, 0.02))
    monkeypatch.setattr(watching, "LOOK_S", 0.01)
    await console.desk.board.load()
    yield console.desk.feed
    await console.desk.pending.stop()
    await console.desk.feed.stop()


class Page:
    """An open page, and all that it was sent."""

    def __init__(self, feed: Feed, chat: str = "", language: str = "en", session: Session = MARTA) -> None:
        self.sent = ""
        self._events = feed.listen(session, language, chat)
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async with aclosing(self._events) as events:  # type: ignore[type-var]
            async for one in events:
                self.sent += one

    async def gets(self, text: str) -> None:
        async def there() -> bool:
            return text in self.sent

        await eventually(there, text, within=5)

    async def ended(self) -> None:
        await asyncio.wait_for(self._task, 5)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def told(feed: Feed, name: str, event: Event) -> None:
    feed.heard(Envelope(name, "hilo/test", NOW, CONTACT, event))


async def test_a_message_is_on_the_page_before_it_is_decided(feed: Feed, world: World) -> None:
    page = Page(feed)
    await page.gets("event: clock")
    told(feed, "SM1", message("hola <b>tú</b>", profile_name="Ana"))
    await page.gets("hola &lt;b&gt;tú&lt;/b&gt;")
    assert 'data-into="#list-active"' in page.sent
    assert "+5255" not in page.sent
    await page.close()


async def test_an_open_chat_gets_its_bubbles_and_their_marks(feed: Feed, world: World, console: Console) -> None:
    await world.handle(("SM1", message("hola")))
    (conversation,) = await world.reads.conversations(CONTACT)
    page, other = Page(feed, conversation.id), Page(feed, "conv_other")
    await page.gets("event: clock")
    told(feed, "SM2", message("¿mi cita?", message_sid="SM2"))
    await page.gets('id="bubble-SM2"')
    turn = world.requests[0].turn
    await world.posted(f"{turn}-1", status="read")
    await world.handle(("SM2", message("¿mi cita?", message_sid="SM2")))
    told(feed, "SM3", message("gracias", message_sid="SM3"))
    await page.gets('data-mark="read"')
    await page.gets("re: ¿mi cita?")
    assert ('id="bubble-' in other.sent, f"entry-{conversation.id}" in other.sent) == (False, True)
    await page.close()
    await other.close()


async def test_what_comes_while_it_waits_to_look_again_is_shown_at_once(
    feed: Feed, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "LOOKS_S", (0.0, 60.0))
    page = Page(feed)
    await page.gets("event: clock")
    for number, text in enumerate(("uno", "dos", "tres")):
        told(feed, f"SM{number}", message(text, received_at=NOW + timedelta(seconds=number)))
        await page.gets(f">{text}<")
    await page.close()


async def test_the_same_part_is_not_sent_twice(feed: Feed, world: World) -> None:
    page = Page(feed)
    await page.gets("event: clock")
    for _ in range(3):
        told(feed, "SM1", message("hola"))
    await page.gets("hola")
    told(feed, "SM9", message("adiós", received_at=NOW))
    await page.gets("adiós")
    assert page.sent.count(">hola<") == 1
    await page.close()


async def test_without_the_store_the_log_alone_is_shown(
    feed: Feed, world: World, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.handle(("SM1", message("hola")))
    await console.desk.board.load()
    (conversation,) = await world.reads.conversations(CONTACT)

    async def away(*_: Any) -> Any:
        raise StoreDown("away")

    for name in ("contact", "conversations_with", "messages_with", "conversation"):
        monkeypatch.setattr(console.desk.reads, name, away)
    console.desk.tail.listening.set()
    page = Page(feed, conversation.id)
    await page.gets("event: clock")
    told(feed, "SM2", message("¿mi cita?", message_sid="SM2"))
    await page.gets('id="bubble-SM2"')
    await page.gets("Reconnecting to MongoDB")
    entry = console.desk.board.get(conversation.id)
    assert entry
    assert (entry.last, console.desk.board.counts()["active"]) == ("¿mi cita?", 1)
    await page.close()


async def test_a_store_that_comes_back_is_said(feed: Feed, console: Console) -> None:
    console.desk.tail.listening.set()
    board, page = console.desk.board, Page(feed)
    await page.gets("event: clock")
    board.doubt()
    await page.gets("Reconnecting to MongoDB")
    await board.start()
    await page.gets('class="banner">')
    await board.stop()
    await page.close()


async def test_a_doubt_cuts_the_long_rest_short(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    board, loads = console.desk.board, asyncio.Queue[None]()

    async def load() -> None:
        loads.put_nowait(None)

    monkeypatch.setattr(board, "load", load)
    await board.start()
    await loads.get()
    await asyncio.sleep(0)
    board.doubt()
    async with asyncio.timeout(2):
        await loads.get()
    await board.stop()


async def test_a_closed_conversation_that_nobody_read_stays_closed(feed: Feed, world: World, console: Console) -> None:
    await world.handle(("SM1", message("hola")))  # before the console was started
    second = message("¿y mi cita?", message_sid="SM2")
    await world.handle(("SM2", second))
    told(feed, "SM2", second)
    (conversation,) = await world.reads.conversations(CONTACT)
    closing = CloseRequested(conversation_id=conversation.id, last_message_at=conversation.last_message_at)
    await world.handle(("close_1", closing))
    told(feed, "close_1", closing)

    async def closed() -> bool:
        return console.desk.board.counts()["closed"] == 1

    await eventually(closed, "it is closed", within=5)
    person = await console.desk.looking.person(CONTACT)
    assert person.places == [conversation.id]
    assert console.desk.board.counts()["active"] == 0


@pytest.mark.parametrize(
    ("again", "count"), [(("voy", "m1"), 1), (("voy", "m2"), 2), (("ya voy", "m1"), 2), (("voy", ""), 2)]
)
async def test_the_same_words_with_the_same_mark_are_said_once(
    feed: Feed, world: World, console: Console, again: tuple[str, str], count: int
) -> None:
    """A connection that breaks before the answer leaves them in the box, and they are sent again."""
    await world.handle(("SM1", message("hola")))
    (conversation,) = await world.reads.conversations(CONTACT)
    async with console.logged_in() as browser:
        for text, mark in (("voy", "m1"), again):
            await browser.post(f"/chats/{conversation.id}/say", data={"text": text, "mark": mark})
    assert len({envelope.id for _, envelope in console.log.published}) == count


async def test_an_erased_contact_leaves_the_list(feed: Feed, world: World, console: Console) -> None:
    await world.handle(("SM1", message("secreto")))
    await console.desk.board.load()
    (conversation,) = await world.reads.conversations(CONTACT)
    page = Page(feed)
    await page.gets("event: clock")
    world.database.rows["conversations"].clear()
    world.database.rows["contacts"].clear()
    told(feed, "erase_1", EraseRequested(by="Marta"))
    await page.gets(f'id="entry-{conversation.id}" data-gone')
    assert console.desk.board.search("secreto") == []
    await page.close()


async def test_an_erased_contact_stays_away_though_the_stores_are_behind_the_log(
    feed: Feed, world: World, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first looks still find the person there; nothing may bring them back to the list or an open chat."""
    monkeypatch.setattr(feeding, "LOOKS_S", (0.0, 0.01, 0.5))
    await world.handle(("SM1", message("secreto")))
    await console.desk.board.load()
    (conversation,) = await world.reads.conversations(CONTACT)
    page, chat = Page(feed), Page(feed, conversation.id)
    await page.gets("event: clock")
    await chat.gets("event: clock")
    told(feed, "erase_1", EraseRequested(by="Marta"))
    await page.gets(f'id="entry-{conversation.id}" data-gone')
    await chat.gets('id="scroll" data-gone')
    told(feed, "erase_2", EraseSends(contact=CONTACT, seq=2))
    world.database.rows["conversations"].clear()
    world.database.rows["contacts"].clear()

    async def looked() -> bool:
        return not feed._following

    await eventually(looked, "it has looked as often as it does")
    assert console.desk.board.search("secreto") == []
    assert "secreto" not in page.sent
    assert "secreto" not in chat.sent
    await page.close()
    await chat.close()


async def test_a_page_that_does_not_keep_up_is_cut(feed: Feed) -> None:
    slow = Listener(MARTA, "en", "")
    for number in range(feeding.QUEUE + 1):
        feed._push(slow, {"x": str(number)})
    assert [slow.queue.get_nowait()] == [None]


async def test_a_page_whose_session_is_over_hears_nothing_more(
    feed: Feed, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "BEAT_S", 0.01)
    session = console.desk.sessions.read(console.desk.sessions.begin("Eva"))
    assert session
    left, stays = Page(feed, session=session), Page(feed)
    await feed.start()
    await stays.gets("event: clock")
    console.desk.sessions.end(session)
    await left.ended()
    assert len(feed._listeners) == 1
    await stays.close()


async def test_stopping_ends_every_page(feed: Feed) -> None:
    page = Page(feed)
    await page.gets("event: clock")
    await feed.stop()
    await page.ended()


async def test_an_outage_of_kafka_is_said_and_ends(feed: Feed, console: Console) -> None:
    page = Page(feed, language="es")
    await page.gets("Reconectando con Kafka")
    console.desk.tail.listening.set()
    feed.state_changed()
    await page.gets('class="banner">')
    await page.close()


async def test_taken_over_is_said_only_when_it_is_confirmed(feed: Feed, world: World, console: Console) -> None:
    await world.handle(("SM1", message("hola")))
    (conversation,) = await world.reads.conversations(CONTACT)
    page = Page(feed, conversation.id)
    async with console.logged_in("Marta Ruiz") as browser:
        answer = await browser.post(f"/chats/{conversation.id}/takeover")
        assert ('data-state="pending"' in answer.text, answer.headers["x-hilo-asked"]) == (True, "yes")
        ((topic, envelope),) = console.log.published
        assert (topic, envelope.contact, envelope.source) == ("contact.log", CONTACT, "hilo/ops")
        assert isinstance(envelope.data, TakenOver)
        assert envelope.data.by == "Marta Ruiz"
        await world.handle((envelope.id, envelope.data))
        told(feed, envelope.id, envelope.data)
        await page.gets('data-status="escalated"')
        assert "Taken over." not in page.sent
        await world.fenced(2)  # raised, and not told yet
        told(feed, "SM8", message("¿y?", message_sid="SM8", received_at=NOW))
        await page.gets('id="bubble-SM8"')
        assert "Taken over." not in page.sent
        row = next(one for one in world.database.rows["sends"].values() if "fence" in one)
        row["told"] = [turn_id(CONTACT, envelope.id)]
        await page.gets('data-what="takeover" data-state="done"')
    await page.close()


async def test_what_cannot_be_said_is_told_with_its_reason(feed: Feed, world: World, console: Console) -> None:
    await world.handle(("SM1", message("hola")))
    (conversation,) = await world.reads.conversations(CONTACT)
    page = Page(feed, conversation.id)
    async with console.logged_in() as browser:
        for text, fault in (("  ", "nothing to say"), ("x" * 4001, "longer than")):
            answer = await browser.post(f"/chats/{conversation.id}/say", data={"text": text})
            assert (fault in answer.text, answer.headers["x-hilo-asked"]) == (True, "no")
        await browser.post(f"/chats/{conversation.id}/say", data={"text": "voy"})
        said = console.log.published[-1][1]
        assert isinstance(said.data, OperatorSaid)
        await world.handle((said.id, said.data))
        await world.posted(f"{world.requests[-1].turn}-1", state="withheld", error_message="window_closed")
        await page.gets('data-what="say" data-state="refused"')
        assert "the 24 hours after the client&#39;s last message are over" in page.sent
    await page.close()


async def test_with_kafka_away_nothing_is_pending(feed: Feed, world: World, console: Console) -> None:
    await world.handle(("SM1", message("hola")))
    (conversation,) = await world.reads.conversations(CONTACT)
    console.log.away = True
    async with console.logged_in() as browser:
        for what in ("takeover", "handback", "close", "say"):
            answer = await browser.post(f"/chats/{conversation.id}/{what}", data={"text": "hola"})
            assert ("Kafka does not answer" in answer.text, 'data-state="pending"' in answer.text) == (True, False)
        assert "no such conversation" in (await browser.post("/chats/conv_none/takeover")).text
    assert console.desk.pending.of(conversation.id) == []


async def test_what_kafka_did_not_acknowledge_is_not_to_be_said_twice(
    feed: Feed, world: World, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "EFFECT_S", 0.03)
    await world.handle(("SM1", message("hola")))
    (conversation,) = await world.reads.conversations(CONTACT)
    console.log.unsure = True
    page = Page(feed, conversation.id)
    async with console.logged_in() as browser:
        answer = await browser.post(f"/chats/{conversation.id}/say", data={"text": "voy"})
        assert ('data-state="pending"' in answer.text, answer.headers["x-hilo-asked"]) == (True, "yes")
        await page.gets("it may still come. Look at the chat before you repeat it.")
    await page.close()


async def test_after_thirty_seconds_it_says_what_is_missing(
    feed: Feed, world: World, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "EFFECT_S", 0.03)
    await console.desk.pending.ask("takeover", asked.take_over(CONTACT, "Marta"), "conv_1", "Marta")

    async def late() -> bool:
        return [one.state for one in console.desk.pending.of("conv_1")] == ["late"]

    await eventually(late, "it is late", within=5)
    (ask,) = console.desk.pending.of("conv_1")
    assert "processor and sender" in ask.reason


async def test_an_asking_that_is_done_goes_away(
    feed: Feed, world: World, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SHOWN_S", 0.02)
    await world.handle(("SM1", message("hola")))
    wanted = asked.hand_back(CONTACT, "Marta")
    await world.handle((wanted.event_id, wanted.event))
    await console.desk.pending.ask("handback", wanted, "conv_1", "Marta")

    async def gone() -> bool:
        return console.desk.pending.of("conv_1") == []

    await eventually(gone, "it goes", within=5)
    assert console.desk.pending._asks == {}
