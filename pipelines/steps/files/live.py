"""A source of lines that arrive while the graph runs."""

from __future__ import annotations

import asyncio
import codecs
import os
import sys
from collections.abc import AsyncIterator

from pipelines.registry import steps
from pipelines.steps.files.opening import read_encoding

__all__ = ["stdin"]

_CHUNK = 65_536  # bytes


@steps.register("stdin")
async def stdin(encoding: str = "utf-8", errors: str = "strict") -> AsyncIterator[str]:
    """Read standard input line by line, as the lines arrive.

    The run goes on while it waits for the next one: for ``tail -f log | plumber run graph.yaml``,
    or a terminal. ``read_lines`` of ``-`` is faster where all input is there.

    Args:
        encoding: how bytes become text; a byte-order mark is dropped.
        errors: what to do with bytes that are no text: ``strict``, ``replace``, ``ignore``.

    Yields:
        Each line without its end.

    Raises:
        UnicodeError: the bytes are no text in `encoding`.
    """
    decoder = codecs.getincrementaldecoder(read_encoding(encoding))(errors)
    descriptor, pending, chunk = sys.stdin.fileno(), "", b"-"
    while chunk:
        await _readable(descriptor)
        chunk = os.read(descriptor, _CHUNK)
        *lines, pending = (pending + decoder.decode(chunk, final=not chunk)).split("\n")
        for line in lines:
            yield line.removesuffix("\r")
    if pending:
        yield pending


async def _readable(descriptor: int) -> None:
    """Wait until there is something to read, or the end; needs no thread that could be stuck."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:
        return  # a regular file: it never makes anyone wait
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
