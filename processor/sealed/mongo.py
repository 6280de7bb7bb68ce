"""The part of MongoDB that our repositories use, in memory: a replay leaves no trace, and tests have cheap worlds.

Unique indexes are those of `kit.mongo.INDEXES`, and answer what the servers answer from them. That it behaves like the
real thing is shown by the repository's own contract tests, which run on it too.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from pymongo.errors import BulkWriteError, DuplicateKeyError

from kit.mongo import INDEXES

__all__ = ["MemoryMongo"]

Row = dict[str, Any]
PLAIN = (str, int, float, type(None))
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
        self.unique: dict[str, dict[str, dict[Any, Any]]] = {}
        """Collection → field of a unique index → value → `_id`."""
        self._io = io

    def seen_by(self, io: Io) -> "MemoryMongo":
        """The same data, through another process's awaits."""
        other = MemoryMongo(io)
        other.rows, other.history, other.unique = self.rows, self.history, self.unique
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
        fields = [one.field for one in INDEXES.get(name, ()) if one.unique]
        self._unique = database.unique.setdefault(name, {field: {} for field in fields})
        self._history = database.history
        self._name = name
        self._io = io

    async def find_one(self, query: Query, _fields: Any = None) -> Row | None:
        await self._io()
        found = next(iter(self._matching(query)), None)
        await self._io()
        return dict(found) if found else None

    def find(self, query: Query, _fields: Any = None) -> "Cursor":
        return Cursor(lambda: self._matching(query), self._io)

    async def count_documents(self, query: Query) -> int:
        return len(self._matching(query))

    async def insert_one(self, row: Row) -> None:
        await self._io()
        self._put(row, new=True)
        await self._io()

    async def insert_many(self, rows: Iterable[Row], *, ordered: bool = True) -> None:
        assert not ordered  # noqa: S101  # ours never are
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
            self._forget(row)
        await self._io()
        return _result(deleted_count=len(found))

    def _put(self, row: Row, *, new: bool) -> None:
        name = row["_id"]
        if new and name in self._rows:
            raise DuplicateKeyError("_id")
        for field, known in self._unique.items():
            if any(known.get(value, name) != name for value in _values(row, field)):
                raise DuplicateKeyError(field)
        if not new:
            self._unindex(self._rows[name])
        kept = self._rows[name] = _as_stored(row)
        for field, known in self._unique.items():
            known.update(dict.fromkeys(_values(row, field), name))
        self._history.append((self._name, kept))

    def _forget(self, row: Row) -> None:
        self._unindex(row)
        self._rows.pop(row["_id"], None)

    def _unindex(self, row: Row) -> None:
        for field, known in self._unique.items():
            for value in _values(row, field):
                known.pop(value, None)

    def _matching(self, query: Query) -> list[Row]:
        names = self._indexed(query)
        if names is not None:  # the index has looked already
            return [self._rows[one] for one in names if one in self._rows]
        return [row for row in self._rows.values() if all(_holds(row, name, one) for name, one in query.items())]

    def _indexed(self, query: Query) -> Iterable[Any] | None:
        """The `_id`s that match, where one field that is unique says so; None: look at every row."""
        if len(query) != 1:
            return None
        ((field, wanted),) = query.items()
        if isinstance(wanted, dict) and set(wanted) != {"$in"}:
            return None
        values = wanted["$in"] if isinstance(wanted, dict) else [wanted]
        if field == "_id":
            return dict.fromkeys(values)
        known = self._unique.get(field)
        return None if known is None else dict.fromkeys(known[one] for one in values if one in known)


class Cursor:
    def __init__(self, find: Callable[[], list[Row]], io: Io) -> None:
        self._find = find
        self._io = io
        self._order: list[tuple[str, int]] = []
        self._limit: int | None = None

    def sort(self, field: str, direction: int) -> "Cursor":
        self._order.append((field, direction))
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
    for operator, value in wanted.items():
        match operator:
            case "$in":
                holds = any(one in value for one in _values(row, name))
            case "$lt":
                holds = name in row and row[name] < value
            case "$lte":
                holds = name in row and row[name] <= value
            case _:
                raise NotImplementedError(operator)
        if not holds:
            return False
    return True


def _as_stored(value: Any) -> Any:
    """A copy whose times have MongoDB's precision: a comparison of times must come out as it does there."""
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    if isinstance(value, dict):
        return {name: one if isinstance(one, PLAIN) else _as_stored(one) for name, one in value.items()}
    if isinstance(value, list):
        return [one if isinstance(one, PLAIN) else _as_stored(one) for one in value]
    return value


def _values(row: Row, field: str) -> list[Any]:
    """None of them where the row has no such field: every index is sparse."""
    if field not in row:
        return []
    return row[field] if isinstance(row[field], list) else [row[field]]


def _result(**counts: int) -> Any:
    return type("Result", (), counts)
