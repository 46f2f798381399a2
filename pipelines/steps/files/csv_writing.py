"""A step that writes tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pipelines.registry import steps
from pipelines.steps.files.opening import STANDARD, Writer, open_to_read

__all__ = ["write_csv"]

Item = TypeVar("Item")


@steps.register("write_csv")
class write_csv(Writer):  # noqa: N801  # a step is named as graphs spell it
    """Write each item, a mapping, as a row of a CSV file with a header.

    Args:
        path: the file; ``-`` is standard output, and ``.gz`` at its end zips it.
        fields: the columns in their order; by default the keys of the first row, or of the header
            that a file to append to has.
        delimiter: the character between two fields; a tab for TSV.
        mode: ``write`` starts the file anew, ``append`` goes on at its end.
        encoding: how text becomes bytes.
        flush: put every row into the file at once.

    Returns:
        The item.

    Raises:
        OSError: the file can't be opened or written.
        TypeError: the item is no mapping.
        ValueError: a row has other keys than the header, or the file to append to other columns
            than `fields`.
    """

    def __init__(
        self,
        path: str | Path,
        fields: Sequence[str] | None = None,
        delimiter: str = ",",
        mode: Literal["write", "append"] = "write",
        encoding: str = "utf-8",
        flush: bool = True,
    ) -> None:
        super().__init__(path, mode, flush, encoding)
        self._fields = None if fields is None else list(fields)
        self._delimiter = delimiter
        self._started = False

    def __enter__(self) -> Self:
        if self._append and (header := self._header_in_file()):
            if self._fields not in (None, header):
                raise ValueError(f"{self._path} has the columns {header}, not {self._fields}")
            self._fields, self._started = header, True
        super().__enter__()
        self._rows = csv.writer(self._file, delimiter=self._delimiter, lineterminator="\n")
        if self._fields is not None:
            self._start(self._fields)
        return self

    def __call__(self, item: Item) -> Item:
        """Write the item's row."""
        if not isinstance(item, Mapping):
            raise TypeError(f"write_csv takes mappings, not an item of type {type(item).__name__}")
        fields = self._start(list(item))
        if item.keys() != set(fields):
            raise ValueError(_other_keys(self._path, fields, item))
        self._put([item[name] for name in fields])
        return item

    def _start(self, fields: list[str]) -> list[str]:
        """Write the header if there is none yet, and return its columns."""
        if self._fields is None:
            self._fields = fields
        if not self._started:
            self._started = True
            self._put(self._fields)
        return self._fields

    def _put(self, values: Sequence[Any]) -> None:
        self._rows.writerow(values)
        if self._flush:
            self._file.flush()

    def _header_in_file(self) -> list[str] | None:
        if str(self._path) == STANDARD or not Path(self._path).exists():
            return None
        with open_to_read(self._path, self._encoding, "strict", "") as file:
            return next(csv.reader(file, delimiter=self._delimiter), None)


def _other_keys(path: str | Path, fields: list[str], row: Mapping[Any, Any]) -> str:
    missing = [name for name in fields if name not in row]
    extra = [name for name in row if name not in fields]
    found = [f"lacks {missing}"] * bool(missing) + [f"has also {extra}"] * bool(extra)
    return f"{path}: a row {' and '.join(found)}, where the header is {fields}"
