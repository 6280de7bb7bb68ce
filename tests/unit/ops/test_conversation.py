"""`hilo conversation` and `hilo close`: under which name, and which of several."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import typer

from kit.reads import Reads
from ops import conversation as commands
from ops.asked import Asked
from ops.settings import OpsSettings
from schemas.events import CloseRequested
from tests.memory_mongo import MemoryMongo
from tests.unit.processor.states import CONTACT, NOW
from tests.unit.processor.states import conversation as stored

USER = "ES.1349120888172341"


class Store:
    def __init__(self) -> None:
        self.database = MemoryMongo()
        self.closed: list[str] = []

    async def has(self, name: str, hours_ago: int, **fields: Any) -> None:
        at = NOW - timedelta(hours=hours_ago)
        one = stored(id=name, contact=CONTACT, started_at=at, rev=f"{name}#1", **fields)
        await self.database.conversations.insert_one(one.to_mongo())


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()

    @asynccontextmanager
    async def open_reads(_: OpsSettings) -> AsyncIterator[Reads]:
        yield Reads(store.database)  # type: ignore[arg-type]

    async def carry_out(_settings: Any, asked: Asked, _done: str, **_: Any) -> None:
        assert isinstance(asked.event, CloseRequested)
        store.closed.append(asked.event.conversation_id)

    monkeypatch.setattr(commands, "open_reads", open_reads)
    monkeypatch.setattr(commands, "carry_out", carry_out)
    return store


async def close(contact: str = CONTACT) -> None:
    await commands.close.__wrapped__(contact, by="Marta", no_wait=False)  # type: ignore[attr-defined]


async def test_a_conversation_on_another_number_is_closed_though_a_newer_one_is_closed_already(store: Store) -> None:
    await store.has("conv_new", 1, status="closed", channel="+14155238886")
    await store.has("conv_old", 2, status="active", channel="+14155230000", open_key="old")
    await close()
    assert store.closed == ["conv_old"]


async def test_of_two_open_ones_the_newest_is_closed_and_the_other_is_told(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    await store.has("conv_old", 2, status="active", channel="+14155230000", open_key="old")
    await store.has("conv_new", 1, status="active", channel="+14155238886", open_key="new")
    await close()
    assert (store.closed, "still open: conv_old" in capsys.readouterr().err) == (["conv_new"], True)


async def test_nothing_is_closed_twice(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    await store.has("conv_new", 1, status="closed")
    with pytest.raises(typer.Exit):
        await close()
    assert (store.closed, "closed already" in capsys.readouterr().err) == ([], True)


async def test_who_hid_their_number_is_found_under_it(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    await store.database.contacts.insert_one({"_id": f"link_{USER}", "linked_to": CONTACT, "rev": f"link_{USER}"})
    await store.has("conv_new", 1, status="active", open_key="new")
    await commands.conversation.__wrapped__(USER, as_json=False, reveal=False)  # type: ignore[attr-defined]
    assert "conv_new" in capsys.readouterr().out
    await close(USER)
    assert store.closed == ["conv_new"]


async def test_what_an_id_began_before_the_link_can_be_closed(store: Store) -> None:
    await store.database.contacts.insert_one({"_id": f"link_{USER}", "linked_to": CONTACT, "rev": f"link_{USER}"})
    await store.database.contacts.insert_one({"_id": USER, "seq": 1, "rev": f"{USER}#1"})
    await store.has("conv_new", 1, status="closed")
    one = stored(id="conv_id", contact=USER, started_at=NOW, rev="conv_id#1", status="active", open_key="id")
    await store.database.conversations.insert_one(one.to_mongo())
    await close(USER)
    assert store.closed == ["conv_id"]
