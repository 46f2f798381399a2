"""Steps that write lines and JSON Lines.

Each is a class whose instance is called with every item and gives it back, so that it can end a
graph or stand in its middle. The file is opened when the run starts, in place: after a failure it
holds what was written until then. Its folder is made if there is none, a path that ends in ``.gz``
is zipped, and ``-`` is standard output.

With `flush` an item is in the file once the step has returned, and stays there if the process is
killed. Measured, that costs a plain file half a microsecond an item; a zipped one 5 µs and most of
its compression, so turn it off for those unless every record counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pipelines.registry import steps
from pipelines.steps.files.opening import STANDARD, Writer

__all__ = ["stdout", "write_jsonl", "write_lines"]

Item = TypeVar("Item")

# Kept, as `json.dumps` with options makes a new encoder for every call.
_to_json = json.JSONEncoder(ensure_ascii=False).encode


@steps.register("write_lines")
class write_lines(Writer):  # noqa: N801  # a step is named as graphs spell it
    """Write each item on a line: a string as it is, anything else as JSON, or its repr if it can't.

    Args:
        path: the file; ``-`` is standard output, and ``.gz`` at its end zips it.
        mode: ``write`` starts the file anew, ``append`` goes on at its end.
        encoding: how text becomes bytes.
        flush: put every line into the file at once.

    Returns:
        The item.

    Raises:
        OSError: the file can't be opened or written; `BrokenPipeError` where the reader of
            standard output has gone.
    """

    def __init__(
        self,
        path: str | Path,
        mode: Literal["write", "append"] = "write",
        encoding: str = "utf-8",
        flush: bool = True,
    ) -> None:
        super().__init__(path, mode, flush, encoding)

    def __call__(self, item: Item) -> Item:
        """Write the item's line."""
        self._write(f"{_as_line(item)}\n")
        return item


@steps.register("stdout")
class stdout(write_lines):  # noqa: N801  # a step is named as graphs spell it
    """Print each item on a line: a string as it is, anything else as JSON, or its repr if it can't.

    Args:
        flush: print every line at once; without it, as the terminal or pipe takes them.

    Returns:
        The item.

    Raises:
        BrokenPipeError: the reader has gone, as in ``plumber run graph.yaml | head``.
    """

    def __init__(self, flush: bool = True) -> None:
        super().__init__(STANDARD, flush=flush)

    @staticmethod
    def runs_here(args: Mapping[str, Any]) -> bool:
        """Tell that it must run in the process that starts the graph."""
        return True


@steps.register("write_jsonl")
class write_jsonl(Writer):  # noqa: N801  # a step is named as graphs spell it
    """Write each item as JSON on a line of its own.

    Args:
        path: the file, in UTF-8; ``-`` is standard output, and ``.gz`` at its end zips it.
        mode: ``write`` starts the file anew, ``append`` goes on at its end.
        flush: put every record into the file at once.
        shared: other processes write to the file too, or replace it, as `plumber replay` does:
            lock it for each record, and go on in the new one. That costs 8 µs a record.

    Returns:
        The item.

    Raises:
        OSError: the file can't be opened or written.
        TypeError: the item can't be said in JSON; nothing of it is written. NaN and infinities
            are written as Python and JavaScript spell them, which is not strict JSON.
    """

    # A lone surrogate, such as in the name of a file that is no UTF-8, becomes its JSON escape.
    _errors = "backslashreplace"

    def __init__(
        self,
        path: str | Path,
        mode: Literal["write", "append"] = "write",
        flush: bool = True,
        shared: bool = False,
    ) -> None:
        super().__init__(path, mode, flush, shared=shared)

    def __call__(self, item: Item) -> Item:
        """Write the item's record."""
        try:
            line = _to_json(item)
        except (TypeError, ValueError, RecursionError) as error:
            kind = type(item).__name__
            raise TypeError(f"write_jsonl can't write an item of type {kind}: {error}") from error
        self._write(f"{line}\n")
        return item


def _as_line(item: object) -> str:
    if isinstance(item, str):
        return item
    try:
        return _to_json(item)
    except (TypeError, ValueError, RecursionError):
        return repr(item)
