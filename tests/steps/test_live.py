"""The source of lines that arrive while the graph runs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.steps.files import stdin


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Make standard input a pipe, and return the descriptor to write to."""
    read_end, write_end = os.pipe()
    with open(read_end) as standard_input:
        monkeypatch.setattr("sys.stdin", standard_input)
        yield write_end


async def test_a_line_comes_as_soon_as_it_is_written(pipe: int) -> None:
    """The source waits for the next line without holding up anything else."""
    lines = stdin()
    os.write(pipe, b"first\r\nsecond\nthi")
    assert [await anext(lines), await anext(lines)] == ["first", "second"]
    third = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)
    assert not third.done()
    os.write(pipe, b"rd \xc3")
    os.write(pipe, b"\xbc\n\nlast")
    assert await third == "third ü"
    os.close(pipe)
    assert [line async for line in lines] == ["", "last"]


async def test_a_wait_can_be_cancelled(pipe: int) -> None:
    """A stop does not wait for a line that never comes."""
    waiting = asyncio.ensure_future(anext(stdin()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    os.close(pipe)


async def test_bytes_that_are_no_text_are_an_error(pipe: int) -> None:
    """Even those that are cut off at the very end."""
    os.write(pipe, b"good\n\xc3")
    os.close(pipe)
    lines = stdin()
    assert await anext(lines) == "good"
    with pytest.raises(UnicodeError, match="0xc3"):
        await anext(lines)


@pytest.mark.parametrize(("content", "lines"), [(b"", []), (b"\xef\xbb\xbfa\nb", ["a", "b"])])
async def test_a_file_is_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, lines: list[str]
) -> None:
    """A file can't be waited for, and need not be: `plumber run graph.yaml < file`."""
    (tmp_path / "in").write_bytes(content)
    with (tmp_path / "in").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert [line async for line in stdin()] == lines
