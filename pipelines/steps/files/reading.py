"""Sources of lines and records.

Each is a generator function of a path. On an input node the path is an argument; on any other node
it is the item, so ``glob -> read_jsonl`` reads many files. Files stream: memory stays flat however
large they are. A path that ends in ``.gz`` is unzipped. ``-`` is standard input, read like a file:
where its lines arrive only while the graph runs, take ``stdin`` from `live`.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.registry import steps
from pipelines.steps.files.opening import open_to_read

__all__ = ["read_csv", "read_jsonl", "read_lines"]


@steps.register("read_lines")
def read_lines(
    path: str | Path, encoding: str = "utf-8", errors: str = "strict", skip_blank: bool = False
) -> Iterator[str]:
    """Read a text file line by line.

    Args:
        path: the file; ``-`` is standard input, and ``.gz`` at its end unzips it.
        encoding: how bytes become text; a byte-order mark is dropped.
        errors: what to do with bytes that are no text: ``strict``, ``replace``, ``ignore``.
        skip_blank: leave out lines that are empty or only white space.

    Yields:
        Each line without its end, whichever of the three it is.

    Raises:
        OSError: the file can't be opened or read.
        ValueError: its bytes are no text in `encoding`, or no gzip; names the line.
    """
    for _, line in _numbered(path, encoding, errors):
        if not (skip_blank and line.isspace()):
            yield line.removesuffix("\n")


@steps.register("read_jsonl")
def read_jsonl(path: str | Path) -> Iterator[Any]:
    """Read a JSON Lines file: one JSON value on each line; blank lines are left out.

    To go on after a bad line, read with ``read_lines`` and parse in a node of its own:
    ``func: "json:loads"`` with ``on_error: skip`` or ``dead_letter`` counts what it tolerates.

    Args:
        path: the file, in UTF-8; ``-`` is standard input, and ``.gz`` at its end unzips it.

    Yields:
        What each line holds: mostly a dict.

    Raises:
        OSError: the file can't be opened or read.
        ValueError: a line is no JSON; names the file, line and column.
    """
    for number, line in _numbered(path, "utf-8"):
        if not line.isspace():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise _bad(path, number, f"no JSON: {error.msg} at column {error.colno}") from error


@steps.register("read_csv")
def read_csv(
    path: str | Path,
    delimiter: str = ",",
    encoding: str = "utf-8",
    fields: Sequence[str] | None = None,
) -> Iterator[dict[str, str]]:
    """Read a CSV file: one dict a row, its keys from the header; blank lines are left out.

    Args:
        path: the file; ``-`` is standard input, and ``.gz`` at its end unzips it.
        delimiter: the character between two fields; a tab for TSV.
        encoding: how bytes become text; a byte-order mark is dropped.
        fields: the keys, for a file without a header line.

    Yields:
        A dict of strings; every row has every key.

    Raises:
        OSError: the file can't be opened or read.
        ValueError: a row has more or fewer fields than the header, or its quotes are wrong; names
            the file and line. A header that says one name twice.
    """
    lines = (line for _, line in _numbered(path, encoding, newline=""))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header = list(fields) if fields is not None else None
    try:
        for row in filter(None, reader):
            if header is None:
                header = _header(path, reader.line_num, row)
            elif len(row) != len(header):
                text = f"{len(row)} fields where the header has {len(header)}"
                raise _bad(path, reader.line_num, text)
            else:
                yield dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise _bad(path, reader.line_num, f"no CSV: {error}") from error


def _header(path: str | Path, number: int, row: list[str]) -> list[str]:
    if twice := sorted({name for name in row if row.count(name) > 1}):
        raise _bad(path, number, f"the header says {', '.join(map(repr, twice))} twice")
    return row


def _numbered(
    path: str | Path, encoding: str, errors: str = "strict", newline: str | None = None
) -> Iterator[tuple[int, str]]:
    """Yield each line and its number, counted from 1; say where bytes are wrong."""
    number = 0
    with open_to_read(path, encoding, errors, newline) as file:
        try:
            for number, line in enumerate(file, 1):
                yield number, line
        except UnicodeDecodeError as error:
            # Text is decoded in chunks, and a new one only once all lines of the last are out.
            number += 1 + error.object[: error.start].count(b"\n")
            text = f"byte 0x{error.object[error.start]:02x} is no {encoding}: say its `encoding`"
            raise _bad(path, number, text) from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _bad(path, number + 1, f"damaged gzip data: {error}") from error


def _bad(path: str | Path, number: int, text: str) -> ValueError:
    return ValueError(f"{path}:{number}: {text}")
