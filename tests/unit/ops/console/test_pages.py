"""What a page shows of a chat, and what it keeps to itself."""

import asyncio
import logging
import re
from datetime import timedelta

import pytest

from kit.errors import StoreDown
from kit.ids import digest
from ops.console import board as boards
from ops.console.board import Board
from ops.console.shapes import Entry
from schemas.documents import ConversationDocument, HistoryLine
from tests.conftest import FakeClock
from tests.unit.ops.console.rig import Console
from tests.unit.ops.stories import World
from tests.unit.processor.states import ADDRESS, CONTACT, NOW, completed, conversation, message

SCRIPT = "<script>alert(1)</script>"


async def opened(world: World, text: str = "hola") -> ConversationDocument:
    await world.handle(("SM1", message(text)))
    (found,) = await world.reads.conversations(CONTACT)
    return found


async def test_everything_of_a_client_is_shown_as_text(console: Console, world: World) -> None:
    await world.handle(("call_1", completed(client_name=f"Ana {SCRIPT}", call_summary=f"resumen {SCRIPT}")))
    chat = await opened(world, f'{SCRIPT} "><img src=x>')
    async with console.logged_in(by=f"Marta {SCRIPT}") as browser:
        pages = [(await browser.get(path)).text for path in ("/", f"/chats/{chat.id}", f"/chats/{chat.id}/details")]
        pages.append((await browser.get(f"/chats/{chat.id}/explain/SM1")).text)
    for page in pages:
        assert "&lt;script&gt;" in page
        assert "<script>" not in page
        assert "<img" not in page


async def test_a_chat_tells_marks_purpose_window_summary_and_what_the_agent_was_told(
    console: Console, world: World
) -> None:
    await world.handle(("call_1", completed()))
    chat = await opened(world, "¿mi cita?")
    greeting, reply = (request.turn for request in world.requests)
    await world.posted(f"{greeting}-1", status="delivered", purpose="greeting")
    await world.posted(f"{reply}-1", state="rejected", error_code=63024)
    async with console.logged_in() as browser:
        page = (await browser.get(f"/chats/{chat.id}")).text
    for text in ("greeting", 'data-mark="delivered"', "63024", "WhatsApp does not deliver to this client", "tu cita"):
        assert text in page, text
    assert re.search(r"Free text for another 23 h 59 min", page)
    assert "re: ¿mi cita?" in page
    told = page[page.index('id="told"') :]
    assert "¿mi cita?" in told


async def test_numbers_are_masked_until_somebody_asks_and_that_is_written_down(
    console: Console, world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    chat = await opened(world, "llámame al 600 111 222")
    async with console.logged_in() as browser, console.logged_in(by="Luis") as other:
        for path in ("/", f"/chats/{chat.id}", f"/chats/{chat.id}/explain/SM1"):
            page = (await browser.get(path)).text
            assert not re.search(r"\+52\d|600 111 222", page), path
        with caplog.at_level(logging.INFO):
            page = (await browser.post(f"/chats/{chat.id}/reveal")).text
        assert (ADDRESS in page, "600 111 222" in page) == (True, True)
        line = next(one.getMessage() for one in caplog.records if "number revealed" in one.getMessage())
        assert (digest(CONTACT) in line, "Marta" in line, CONTACT in line) == (True, True, False)
        assert ADDRESS not in (await other.get(f"/chats/{chat.id}")).text, "each operator asks"
        assert ADDRESS in (await browser.get(f"/chats/{chat.id}")).text
        assert ADDRESS not in (await browser.post(f"/chats/{chat.id}/hide")).text
        await browser.post(f"/chats/{chat.id}/reveal")
        clock.advance(601)
        assert ADDRESS not in (await browser.get(f"/chats/{chat.id}")).text, "it is hidden again after a while"


async def test_search_finds_names_numbers_and_last_lines_and_the_address_keeps_quiet(
    console: Console, world: World
) -> None:
    chat = await opened(world, "mi pedido azul")
    await console.desk.board.load()
    async with console.logged_in() as browser:
        for text, found in (
            ("anita", True), ("PEDIDO", True), ("+52 55 1234", True), ("5678", True), ("55", False), ("nobody", False),
            ("", True),
        ):  # fmt: skip
            page = await browser.post("/search", data={"text": text})
            assert (f"entry-{chat.id}" in page.text) is found, text
            assert page.request.url.path == "/search"
        assert "Nothing found" in (await browser.post("/search", data={"text": SCRIPT})).text


async def test_another_persons_bubble_is_not_explained_here(console: Console, world: World) -> None:
    await opened(world)
    async with console.logged_in() as browser:
        answer = await browser.get("/chats/conv_other/explain/SM1")
        assert "Nothing is stored of this message yet" in answer.text
        unknown = await browser.get("/chats/conv_other")
        assert (unknown.status_code, "not here any more" in unknown.text) == (404, True)


async def test_without_the_store_a_page_says_so(
    console: Console, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = await opened(world)

    async def away(_: str) -> None:
        raise StoreDown("away")

    async with console.logged_in() as browser:
        monkeypatch.setattr(console.desk.reads, "conversation", away)
        answer = await browser.get(f"/chats/{chat.id}")
        assert (answer.status_code, "The store cannot be reached" in answer.text) == (200, True)
        assert "The store cannot be reached" in (await browser.post(f"/chats/{chat.id}/reveal")).text


class Ten:
    """A store of ten thousand conversations."""

    def __init__(self, count: int = 10_000) -> None:
        self.found = [self._one(number) for number in range(count)]

    async def open_ones(self, limit: int) -> list[ConversationDocument]:
        return [one for one in self.found if one.status != "closed"][:limit]

    async def closed_ones(self, limit: int) -> list[ConversationDocument]:
        return [one for one in self.found if one.status == "closed"][:limit]

    async def named(self, contacts: list[str]) -> dict[str, str]:
        return {one: f"Nombre {one[-4:]}" for one in contacts}

    def _one(self, number: int) -> ConversationDocument:
        line = HistoryLine(role="client", text=f"texto {number}", at=NOW, id=f"SM{number}")
        status = ("active", "escalated", "closed")[number % 3]
        about = {"id": f"conv_{number}", "contact": f"+52551{number:07}", "status": status, "lines": [line]}
        return conversation(**about, last_message_at=NOW - timedelta(seconds=number), open_key=None)


async def test_an_inbox_of_ten_thousand_is_paged(clock: FakeClock) -> None:
    board = Board(Ten(), clock)  # type: ignore[arg-type]
    await board.load()
    assert board.counts() == {"waiting": 3333, "person": 0, "active": 3334, "closed": 3333}
    seen: list[Entry] = []
    while page := board.page("active", seen[-1].order if seen else "", 1000):
        seen += page
    assert [one.id for one in seen] == [f"conv_{number}" for number in range(0, 10_000, 3)]
    assert len({one.id for one in seen}) == 3334
    assert len(board.search("texto")) == boards.PAGE
    assert [one.id for one in board.search("texto 9999")] == ["conv_9999"]
    assert [one.id for one in board.search("52551 0000042")] == ["conv_42"]


@pytest.mark.expects_errors
async def test_a_store_that_is_slow_is_not_pressed(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reading is a scan for the embedded server, which goes on with it after we have given up."""
    board, pauses = Board(Ten(3), clock), list[float]()  # type: ignore[arg-type]
    outcomes = iter([StoreDown("slow")] * 7 + [None, ValueError("an unreadable document"), StoreDown("slow")])

    async def load() -> None:
        if fault := next(outcomes):
            raise fault

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 10:
            raise asyncio.CancelledError

    monkeypatch.setattr(board, "load", load)
    monkeypatch.setattr(board, "_rest", sleep)
    with pytest.raises(asyncio.CancelledError):
        await board._keep()
    assert pauses == [1, 2, 4, 8, 10, 10, 10, boards.AGAIN_S, 10, 1]


async def test_what_changes_while_it_is_read_is_kept(clock: FakeClock) -> None:
    store = Ten(3)
    board = Board(store, clock)  # type: ignore[arg-type]
    await board.load()
    fresh = board.page("active")[0]

    async def closed_ones(limit: int) -> list[ConversationDocument]:
        board.put(Entry(fresh.id, fresh.contact, "waiting", "Ana", "nuevo", "client", NOW))
        board.drop("conv_1")
        return [one for one in store.found if one.status == "closed"]

    store.closed_ones = closed_ones  # type: ignore[method-assign]
    await board.load()
    assert {one.id: one.last for section in ("waiting", "closed") for one in board.page(section)} == {
        fresh.id: "nuevo",
        "conv_2": "texto 2",
    }


async def test_further_entries_come_behind_the_last(console: Console) -> None:
    store = Ten(400)
    console.desk.board._reads = store  # type: ignore[assignment]
    async with console.logged_in() as browser:
        page = (await browser.get("/")).text
        assert page.count('class="entry"') == 100  # fifty of those who wait, fifty with the bot
        before = console.desk.board.page("active")[-1].order
        more = (await browser.get("/list", params={"section": "active", "before": before})).text
        assert (more.count('class="entry"'), "entry-conv_150" in more, "more-active" in more) == (50, True, True)
        closed = (await browser.get("/?view=closed")).text
        assert ("entry-conv_2" in closed, "entry-conv_0" in closed) == (True, False)


async def test_a_list_that_is_not_read_yet_says_so_and_comes_again(console: Console) -> None:
    async with console.logged_in() as browser:
        console.desk.board.loaded.clear()
        listed = (await browser.get("/list")).text
        assert ("Reading the conversations" in listed, "load delay:1s" in listed) == (True, True)
        console.desk.board.loaded.set()
        listed = (await browser.get("/list")).text
        assert ("No open conversations" in listed, "load delay" in listed) == (True, False)
