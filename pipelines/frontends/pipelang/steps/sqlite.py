"""A step that runs a query in SQLite, in a database in memory for each value."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import functools
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pipelines.frontends.pipelang.steps.query import QueryStep
from pipelines.frontends.pipelang.steps.rows import Table, named, quote
from pipelines.frontends.pipelang.steps.step import KINDS

__all__ = ["Sqlite"]

_LARGEST = 2**63  # beyond which SQLite has no integers


@dataclass(kw_only=True, eq=False)
class Sqlite(QueryStep):
    """Run a query in SQLite on the rows of the step before; see `QueryStep`."""

    async def _run(self, table: Table | None) -> list[dict[str, Any]]:
        return await self._desk.call(functools.partial(_query, self.table, self._query, table))


KINDS["sqlite3"] = Sqlite


def _query(name: str, query: str, table: Table | None) -> list[dict[str, Any]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        if table is not None:
            _fill(database, name, table)
        columns: list[str] = []
        rows: list[Any] = []
        for statement in _statements(query):
            cursor = database.execute(statement)
            columns = [each[0] for each in cursor.description or ()]
            rows = cursor.fetchall()
        return named(columns, rows)


def _fill(database: sqlite3.Connection, name: str, table: Table) -> None:
    columns = [
        f"{quote(column)} {_type(table.column(index))}"
        for index, column in enumerate(table.columns)
    ]
    database.execute(f"CREATE TABLE {quote(name)} ({', '.join(columns)})")
    places = ", ".join("?" * len(columns))
    rows = (tuple(map(_value, row)) for row in table.rows)
    database.execute("BEGIN")
    database.executemany(f"INSERT INTO {quote(name)} VALUES ({places})", rows)
    database.execute("COMMIT")


def _statements(query: str) -> Iterator[str]:
    """Yield the statements of a query; SQLite itself tells where one ends."""
    statement = ""
    for piece in query.split(";"):
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):
            if statement.strip(" \t\n\r;"):
                yield statement
            statement = ""
    if statement.rstrip(";").strip():
        yield statement.rstrip(";")


def _type(values: list[Any]) -> str:
    """Return the type of a column; one of mixed values has none, and keeps them as they are."""
    kinds = {type(_value(each)) for each in values}
    if kinds == {int}:
        return "INTEGER"
    if kinds and kinds <= {int, float}:
        return "REAL"
    return "TEXT" if kinds == {str} else ""


def _value(value: Any) -> Any:
    """Return a value as SQLite holds it: what it has no type for as text."""
    if isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, float | str | bytes):
        return value
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else str(value)
    if isinstance(value, datetime.date | datetime.time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, decimal.Decimal | UUID):
        return str(value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    return json.dumps(value, ensure_ascii=False)
