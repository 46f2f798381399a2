"""A step that runs a query in PostgreSQL."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pipelines.frontends.pipelang.steps.query import QueryStep
from pipelines.frontends.pipelang.steps.rows import Table, named, quote
from pipelines.frontends.pipelang.steps.step import KINDS

if TYPE_CHECKING:
    from psycopg import AsyncConnection, AsyncCursor

__all__ = ["Postgres"]

_LARGEST = 2**63  # beyond which a bigint doesn't reach

#: The type of a column whose values are all of one kind; any other is text.
_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "bigint",
    float: "double precision",
    decimal.Decimal: "numeric",
    str: "text",
    bytes: "bytea",
    UUID: "uuid",
    datetime.date: "date",
    datetime.time: "time",
    datetime.timedelta: "interval",
}


@dataclass(kw_only=True, eq=False)
class Postgres(QueryStep):
    """Run a query in PostgreSQL on the rows of the step before; see `QueryStep`.

    The server is the one that ``PLUMBER_POSTGRES`` says, a URL or what libpq takes; else that of
    the usual ``PG*`` variables. Each value is a transaction of its own, and there are as many
    connections as the node has calls under way at once.

    Raises:
        ImportError: psycopg is not installed.
    """

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        try:
            import psycopg  # noqa: F401
        except ModuleNotFoundError as error:
            raise ImportError(
                "postgres needs psycopg: pip install 'pipelines[postgres]'"
            ) from error
        await super()._open(stack)
        self._free: list[AsyncConnection[Any]] = []
        stack.push_async_callback(self._close)

    async def _close(self) -> None:
        for connection in self._free:
            await connection.close()

    async def _run(self, table: Table | None) -> list[dict[str, Any]]:
        connection = self._free.pop() if self._free else await _connect()
        try:
            async with connection.transaction(), connection.cursor() as cursor:
                if table is not None:
                    await _fill(cursor, self.table, table)
                rows = await _rows(cursor, self._query)
        except BaseException:
            await connection.close()  # what state it is in after this nobody knows
            raise
        self._free.append(connection)
        return rows


KINDS["postgres"] = Postgres


async def _connect() -> AsyncConnection[Any]:
    from psycopg import AsyncConnection

    return await AsyncConnection.connect(os.environ.get("PLUMBER_POSTGRES", ""), autocommit=True)


async def _fill(cursor: AsyncCursor[Any], name: str, table: Table) -> None:
    types = [_type(table.column(index)) for index in range(len(table.columns))]
    columns = [f"{quote(n)} {kind}" for n, kind in zip(table.columns, types, strict=True)]
    await cursor.execute(
        f"CREATE TEMPORARY TABLE {quote(name)} ({', '.join(columns)}) ON COMMIT DROP".encode()
    )
    async with cursor.copy(f"COPY {quote(name)} FROM STDIN".encode()) as copy:
        for row in table.rows:
            pairs = zip(row, types, strict=True)
            await copy.write_row([_value(value, kind) for value, kind in pairs])


async def _rows(cursor: AsyncCursor[Any], query: str) -> list[dict[str, Any]]:
    """Return the rows of the last statement of a query."""
    await cursor.execute(query.encode())
    while cursor.nextset():
        pass
    if cursor.description is None:
        return []
    return named([each.name for each in cursor.description], await cursor.fetchall())


def _type(values: list[Any]) -> str:
    kinds = {type(value) for value in values}
    if kinds == {datetime.datetime}:
        aware = all(value.tzinfo is not None for value in values)
        return "timestamptz" if aware else "timestamp"
    if kinds == {int} and not all(-_LARGEST <= value < _LARGEST for value in values):
        return "numeric"
    if kinds and kinds <= {int, float}:
        return "bigint" if kinds == {int} else "double precision"
    if kinds and kinds <= {dict, list}:
        return "jsonb"
    return _TYPES.get(next(iter(kinds)), "text") if len(kinds) == 1 else "text"


def _value(value: Any, kind: str) -> Any:
    """Return a value as a column of a type takes it."""
    if value is None or kind not in ("text", "jsonb"):
        return value
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value if isinstance(value, str) else str(value)
