"""A service that starts while the store is away waits for it."""

import asyncio

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WTimeoutError,
)

from kit import mongo
from kit.errors import Misconfigured, StoreDown
from kit.mongo import Mongo, store_errors
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


UNSURE = {"writeErrors": [], "writeConcernErrors": [{"code": 64, "errmsg": "waiting for replication timed out"}]}
TWICE = {"writeErrors": [{"code": 11000}], "writeConcernErrors": []}


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("the primary is gone"),
        NotPrimaryError("not primary", {"code": 10107}),
        ServerSelectionTimeoutError("no primary"),
        WriteConcernError("stepped down while waiting", 189),
        WTimeoutError("waiting for replication timed out", 64),
        BulkWriteError(UNSURE),
        OperationFailure("no primary in this shard", 133, {"codeName": "FailedToSatisfyReadPreference"}),
        OperationFailure("interrupted", 11602),
        OperationFailure("shard not reached", 6),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_an_election_looks_like_is_the_store_being_away(error: PyMongoError) -> None:
    with pytest.raises(StoreDown), store_errors():
        raise error


@pytest.mark.parametrize(
    "error", [DuplicateKeyError("there", 11000), BulkWriteError(TWICE), OperationFailure("no such command", 59)]
)
def test_a_conflict_or_a_bug_is_not(error: PyMongoError) -> None:
    with pytest.raises(type(error)), store_errors():
        raise error


@pytest.mark.parametrize("uri", ["http://db", "mongodb://ana:sekreto@db:99999999/", "mongodb://ana@:sekreto@db/"])
def test_an_address_that_is_none_is_named_and_not_repeated(uri: str) -> None:
    with pytest.raises(Misconfigured, match="MONGODB_URI cannot be used") as caught:
        Mongo(MongoSettings(mongodb_uri=uri, _env_file=None))
    assert "sekreto" not in str(caught.value)


class Refusing(Mongo):
    async def _make_indexes(self) -> None:
        raise OperationFailure("Authentication failed.", 18)


@pytest.mark.parametrize("code", [13, 18, 8000])
def test_a_password_that_is_refused_later_is_an_outage_for_every_record(code: int) -> None:
    with pytest.raises(StoreDown, match=r"refuses its user or password .*: MONGODB_URI"), store_errors():
        raise OperationFailure("Authentication failed.", code)


async def test_a_wrong_password_ends_the_start_and_names_the_setting() -> None:
    refusing = Refusing(MongoSettings(_env_file=None))
    with pytest.raises(Misconfigured, match="MONGODB_URI: MongoDB refuses its user or password"):
        await refusing.start()
    await refusing.stop()
