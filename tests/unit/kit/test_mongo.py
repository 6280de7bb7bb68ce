"""A service that starts while the store is away waits for it."""

import asyncio

import pytest

from kit import mongo
from kit.errors import StoreDown
from kit.mongo import Mongo
from kit.settings import MongoSettings


class Away(Mongo):
    """Its server is reached at the third attempt."""

    attempts = 0

    async def prepare(self) -> None:
        self.attempts += 1
        if self.attempts < 3:
            raise StoreDown("away")


async def test_a_start_waits_until_the_store_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo, "RETRY_S", 0.01)
    away = Away(MongoSettings(_env_file=None))
    async with asyncio.timeout(2):
        await away.start()
    assert away.attempts == 3
    await away.stop()
