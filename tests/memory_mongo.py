"""The part of MongoDB that our repositories use, in memory: for worlds in which everything dies between two awaits.

Unique indexes are those of `kit.mongo.INDEXES`. That it behaves like the real thing is shown by the repository's own
contract tests, which run on it too.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

from pymongo.errors import BulkWriteError, DuplicateKeyError

from kit.mongo import INDEXES

__all__ = ["MemoryMongo"]

Row = dict[str, Any]
Query = Mapping[str, Any]
Io = Callable[[], Awaitable[None]]


async def _quiet() -> None:
    """Nothing happens at an await."""


class MemoryMongo:
    """A database; `io` is awaited before and after every operation, and may raise."""

    def __init__(self, io: Io = _quiet) -> None:
        self.rows: dict[str, dict[Any, Row]] = {}
        self.history: list[tuple[str, Row]] = []
        """Every document as it was written, in order."""
        self._io = io

    def seen_by(self, io: Io) -> "MemoryMongo":
        """The same data, through another process's awaits."""
        other = MemoryMongo(io)
        other.rows, other.history = self.rows, self.history
        return other

    def __getattr__(self, name: str) -> "Collection":
        if name.startswith("_"):
            raise AttributeError(name)
        return Collection(self, name, self._io)

    def __getitem__(self, name: str) -> "Collection":
        return Collection(self, name, self._io)


class Collection:
    def __init__(self, database: MemoryMongo, name: str, io: Io) -> None:
        self._rows = database.rows.setdefault(name, {})
        self._history = database.history
        self._name = name
        self._io = io

    async def find_one(self, query: Query, _fields: Any = None) -> Row | None:
        await self._io()
        found = next(iter(self._matching(query)), None)
        await self._io()
        return dict(found) if found else None

    def find(self, query: Query, _fields: Any = None, *, batch_size: int = 0) -> "Cursor":
        return Cursor(lambda: self._matching(query), self._io)

    async def count_documents(self, query: Query) -> int:
        return len(self._matching(query))

    async def insert_one(self, row: Row) -> None:
        await self._io()
        self._put(row, new=True)
        await self._io()

    async def insert_many(self, rows: Iterable[Row], *, ordered: bool = True) -> None:
        assert not ordered
        faults = []
        await self._io()
        for row in rows:
            try:
                self._put(row, new=True)
            except DuplicateKeyError:
                faults.append({"code": 11000})
            await self._io()
        if faults:
            raise BulkWriteError({"writeErrors": faults})

    async def replace_one(self, query: Query, row: Row, *, upsert: bool = False) -> Any:
        await self._io()
        found = self._matching(query)
        if found or upsert:
            self._put({**row, "_id": found[0]["_id"] if found else row["_id"]}, new=not found)
        await self._io()
        return _result(modified_count=len(found[:1]))

    async def update_one(self, query: Query, update: Mapping[str, Any], *, upsert: bool = False) -> Any:
        await self._io()
        found = self._matching(query)
        if found or upsert:
            row = {**(found[0] if found else query), **update.get("$set", {})}
            self._put(
                {name: value for name, value in row.items() if name not in update.get("$unset", {})}, new=not found
            )
        await self._io()
        return _result(modified_count=len(found[:1]))

    async def delete_one(self, query: Query) -> Any:
        return await self._delete(self._matching(query)[:1])

    async def delete_many(self, query: Query) -> Any:
        return await self._delete(self._matching(query))

    async def _delete(self, found: list[Row]) -> Any:
        await self._io()
        for row in found:
            self._rows.pop(row["_id"], None)
        await self._io()
        return _result(deleted_count=len(found))

    def _put(self, row: Row, *, new: bool) -> None:
        if new and row["_id"] in self._rows:
            raise DuplicateKeyError("_id")
        for index in INDEXES.get(self._name, ()):
            if index.unique and self._taken(row, index.field):
                raise DuplicateKeyError(index.field)
        kept = dict(row)  # shallow: nobody changes what is inside a document
        self._rows[row["_id"]] = kept
        self._history.append((self._name, kept))

    def _taken(self, row: Row, field: str) -> bool:
        if field not in row:
            return False
        mine = _values(row[field])
        others = (one for name, one in self._rows.items() if name != row["_id"] and field in one)
        return any(mine & _values(one[field]) for one in others)

    def _matching(self, query: Query) -> list[Row]:
        if set(query) == {"_id"} and not isinstance(query["_id"], dict):
            return [self._rows[query["_id"]]] if query["_id"] in self._rows else []
        return [row for row in self._rows.values() if all(_holds(row, name, wanted) for name, wanted in query.items())]


class Cursor:
    def __init__(self, find: Callable[[], list[Row]], io: Io) -> None:
        self._find = find
        self._io = io
        self._order: list[tuple[str, int]] = []
        self._limit: int | None = None

    def sort(self, field: str | list[tuple[str, int]], direction: int = 1) -> "Cursor":
        self._order += [(field, direction)] if isinstance(field, str) else field
        return self

    def limit(self, count: int) -> "Cursor":
        self._limit = count
        return self

    async def to_list(self, _length: int | None) -> list[Row]:
        await self._io()
        found = [dict(row) for row in self._find()]
        for field, direction in reversed(self._order):
            found.sort(key=lambda row: row[field], reverse=direction < 0)  # used at once
        await self._io()
        return found[: self._limit]

    async def __aiter__(self) -> AsyncIterator[Row]:
        for row in await self.to_list(None):
            yield row


def _holds(row: Row, name: str, wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        return name in row and (row[name] == wanted or (isinstance(row[name], list) and wanted in row[name]))
    found = _values(row[name]) if name in row else set()
    for operator, value in wanted.items():
        match operator:
            case "$in":
                holds = bool(found & set(value))
            case "$lt":
                holds = name in row and row[name] < value
            case "$exists":
                holds = (name in row) is value
            case "$lte":
                holds = name in row and row[name] <= value
            case _:
                raise NotImplementedError(operator)
        if not holds:
            return False
    return True


def _values(value: Any) -> set[Any]:
    return set(value) if isinstance(value, list) else {value}


def _result(**counts: int) -> Any:
    return type("Result", (), counts)
