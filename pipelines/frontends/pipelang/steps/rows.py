"""The rows that SQL steps take: any of the forms that people have, as columns and tuples."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Table", "named", "quote", "table_of"]


class Table(NamedTuple):
    """Rows by their columns, in the order in which these appear; `None` for what is missing."""

    columns: list[str]
    rows: list[tuple[Any, ...]]

    def column(self, index: int) -> list[Any]:
        """Return the values of a column, without those that are missing."""
        return [row[index] for row in self.rows if row[index] is not None]


def table_of(value: Any) -> Table:
    """Return the rows of a value.

    A row is a mapping, a named tuple, a dataclass, or a plain tuple or list, whose columns are
    called ``column_1`` and so on. A single mapping is one row.

    Raises:
        TypeError: the value is something else.
        ValueError: two columns differ only in upper and lower case, which SQL does not tell apart.
    """
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, Iterable) or isinstance(value, str | bytes | bytearray):
        raise TypeError(f"a table is made of a list of rows, not of {type(value).__name__}")
    rows = [_row(each) for each in value]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    _refuse_alike(columns)
    return Table(columns, [tuple([row.get(name) for name in columns]) for row in rows])


def _row(row: Any) -> Mapping[str, Any]:
    if isinstance(row, Mapping):
        return row if all(isinstance(key, str) for key in row) else {str(k): row[k] for k in row}
    if hasattr(row, "_asdict"):
        return dict(row._asdict())
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {each.name: getattr(row, each.name) for each in dataclasses.fields(row)}
    if isinstance(row, Sequence) and not isinstance(row, str | bytes | bytearray):
        return {f"column_{number}": value for number, value in enumerate(row, 1)}
    raise TypeError(f"a row is a dict, a tuple or a dataclass, not {type(row).__name__}")


def _refuse_alike(columns: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for name in columns:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise ValueError(f"SQL takes the columns {other!r} and {name!r} for one")


def quote(name: str) -> str:
    """Return a name as SQL takes it, whatever it is.

    Raises:
        ValueError: it is empty, or has a NUL.
    """
    if not name or "\0" in name:
        raise ValueError(f"{name!r} can't be the name of a table or a column")
    return '"' + name.replace('"', '""') + '"'


def named(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the rows of a query as dicts.

    Raises:
        ValueError: two columns have one name, so that one of them would be lost.
    """
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ValueError(f"the query gives more than one column {twice[0]!r}: rename one with AS")
    return [dict(zip(columns, row, strict=True)) for row in rows]
