"""MongoDB behind one door: connection, indexes, and errors that say what to do.

motor is what the project was asked to use; it is in maintenance until May 2027. Only calls that PyMongo's own async API
shares are used here and in the repositories (ADR 0009), so that switching is one import.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    WriteConcernError,
)

from kit.errors import Misconfigured, StoreDown
from kit.logs import get_log
from kit.settings import MongoSettings

__all__ = ["INDEXES", "Database", "Index", "Mongo", "store_errors"]

Document = dict[str, Any]
Database = AsyncIOMotorDatabase[Document]
# What a mongos says while a shard has no primary, and members while they change roles; the driver maps only the latter.
PASSING = {6, 7, 89, 91, 133, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436}
REFUSED = {13, 18, 8000}  # Unauthorized, AuthenticationFailed, the same from Atlas
RETRY_S = 1.0  # after the 5 s in which a server is looked for


@dataclass(frozen=True, slots=True)
class Index:
    field: str
    unique: bool = True
    sparse: bool = False


# Hot paths look up by `_id` or by one unique field: all that the embedded server answers from an index.
INDEXES: Mapping[str, Sequence[Index]] = {
    "turns": (
        Index("events"),
        Index("slot"),
        Index("rev"),
        Index("undone", sparse=True),
    ),
    "contacts": (Index("rev"), Index("linked_to", unique=False, sparse=True)),
    "conversations": (
        Index("open_key", sparse=True),
        Index("rev"),
        Index("contact", unique=False),
        Index("last_message_at", unique=False),
    ),
    "messages": (Index("conversation_id", unique=False),),
    "sends": (
        Index("rev"),
        Index("sid", sparse=True),
        Index("contact", unique=False),
        Index("due", unique=False, sparse=True),
    ),
    "calls": (Index("rev"), Index("contact", unique=False)),
}


class Mongo:
    """The client of one process."""

    def __init__(self, settings: MongoSettings) -> None:
        self._client = _client(settings)
        self.database: Database = self._client[settings.mongodb_database]

    async def start(self) -> None:
        """Wait for the server, however long: ending here would hand an outage to an orchestrator's growing pauses."""
        while True:
            try:
                return await self.prepare()
            except StoreDown as error:
                get_log("mongo").warning("MongoDB not reached", error=str(error), retry_in_s=RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def prepare(self) -> None:
        """Make the indexes; harmless when they are there. Raises StoreDown, Misconfigured when we are not let in."""
        with store_errors():
            try:
                await self._make_indexes()
            except OperationFailure as error:
                if error.code in REFUSED:
                    raise Misconfigured([f"MONGODB_URI: {_refused(error)}"]) from None
                raise

    async def _make_indexes(self) -> None:
        for collection, indexes in INDEXES.items():
            for index in indexes:
                await self.database[collection].create_index(
                    index.field, unique=index.unique, sparse=index.sparse, name=f"{index.field}_1"
                )

    async def stop(self) -> None:
        self._client.close()


def _client(settings: MongoSettings) -> AsyncIOMotorClient[Document]:
    try:
        return AsyncIOMotorClient(
            settings.mongodb_uri.get_secret_value(),
            tz_aware=True,
            w="majority",
            journal=True,
            serverSelectionTimeoutMS=5000,
            socketTimeoutMS=10_000,
            connectTimeoutMS=3000,
            retryWrites=False,  # the embedded server has no sessions; our writes can be repeated
            appname="hilo",
        )
    except (ConfigurationError, ValueError) as error:  # what is wrong with it may quote it, password and all
        raise Misconfigured([f"MONGODB_URI cannot be used: {type(error).__name__}"]) from None


def _refused(error: OperationFailure) -> str:
    return f"MongoDB refuses its user or password (code {error.code})"


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn "the server is away" into StoreDown; anything else is a bug or a conflict and passes.

    A user or password that was good at the start and is refused now is an outage, too: no record is at fault.
    """
    try:
        yield
    except (ConnectionFailure, AutoReconnect, NetworkTimeout, ExecutionTimeout, WriteConcernError) as error:
        raise StoreDown(f"MongoDB: {type(error).__name__}") from None
    except BulkWriteError as error:
        if error.details.get("writeConcernErrors"):  # written, and perhaps rolled back by an election
            raise StoreDown("MongoDB: WriteConcernError") from None
        raise
    except OperationFailure as error:
        if error.code in PASSING:
            raise StoreDown(f"MongoDB: {(error.details or {}).get('codeName', error.code)}") from None
        if error.code in REFUSED:
            raise StoreDown(f"{_refused(error)}: MONGODB_URI") from None
        raise
