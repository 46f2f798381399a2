"""The sources of lines, JSON Lines and CSV."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.steps.files import read_csv, read_jsonl, read_lines


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    """Return a function that makes a file of some bytes."""

    def make(content: bytes) -> Path:
        path = tmp_path / "data.txt"
        path.write_bytes(content)
        return path

    return make


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb", ["a", "b"]),
        (b"a\n\n b \n", ["a", "", " b "]),
        (b"\xef\xbb\xbfgr\xc3\xbcn\n", ["grün"]),
    ],
)
def test_lines_come_without_their_ends(
    file: Callable[[bytes], Path], content: bytes, lines: list[str]
) -> None:
    """Every kind of line end and a byte-order mark are taken off, and nothing else."""
    assert list(read_lines(file(content))) == lines


def test_blank_lines_can_be_left_out(file: Callable[[bytes], Path]) -> None:
    """`skip_blank` leaves out lines of white space."""
    assert list(read_lines(file(b"a\n\n \t\nb"), skip_blank=True)) == ["a", "b"]


def test_another_encoding_can_be_said(file: Callable[[bytes], Path]) -> None:
    """`encoding` and `errors` mean what they mean to `open`."""
    assert list(read_lines(file("grün".encode("utf-16")), encoding="utf-16")) == ["grün"]
    assert list(read_lines(file(b"gr\xfcn"), errors="replace")) == ["gr\ufffdn"]


@pytest.mark.parametrize("before", [0, 1, 5000])
def test_bytes_that_are_no_text_are_named_with_their_line(
    file: Callable[[bytes], Path], before: int
) -> None:
    """The error says the file, the very line, the byte and what to do."""
    path = file(b"good line\n" * before + b"gr\xfcn\n" + b"good again\n" * 20)
    with pytest.raises(ValueError, match=rf"data.txt:{before + 1}: byte 0xfc is no utf-8: say"):
        list(read_lines(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The system's own error says which file there is not."""
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt"):
        list(read_lines(tmp_path / "nowhere.txt"))


def test_gzip_is_read_by_its_suffix(tmp_path: Path) -> None:
    """A name that ends in .gz is unzipped, of several members too."""
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n') + gzip.compress(b'{"a": 2}\n'))
    assert list(read_jsonl(path)) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"plain text\n"])
def test_damaged_gzip_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """A zipped file that is cut off, or not zipped at all, is said to be so."""
    path = tmp_path / "data.gz"
    path.write_bytes(damage(gzip.compress(b"line\n" * 1000)))
    with pytest.raises(ValueError, match=r"data\.gz:\d+: damaged gzip data"):
        list(read_lines(path))


def test_jsonl_gives_each_lines_value(file: Callable[[bytes], Path]) -> None:
    """Any JSON value may stand on a line, and blank lines are left out."""
    assert list(read_jsonl(file(b'{"a": [1]}\n\nnull\n"text"\n 3 '))) == [
        {"a": [1]},
        None,
        "text",
        3,
    ]


def test_a_bad_json_line_is_named(file: Callable[[bytes], Path]) -> None:
    """The good lines before it come first, then the file, line and column of the bad one."""
    records = read_jsonl(file(b'{"a": 1}\n\n{"a": }\n'))
    assert next(records) == {"a": 1}
    with pytest.raises(ValueError, match=r"data\.txt:3: no JSON: Expecting value at column 7"):
        next(records)


def test_csv_rows_are_dicts_by_the_header(file: Callable[[bytes], Path]) -> None:
    """Quotes, line breaks within them, blank lines and a byte-order mark are all understood."""
    path = file(b'\xef\xbb\xbfname,note\r\nann,"a, b"\r\n\r\nbob,"two\r\nlines"\r\n')
    assert list(read_csv(path)) == [
        {"name": "ann", "note": "a, b"},
        {"name": "bob", "note": "two\r\nlines"},
    ]


def test_csv_without_a_header_takes_fields(file: Callable[[bytes], Path]) -> None:
    """`fields` names the columns where the file does not, and `delimiter` parts them."""
    rows = read_csv(file(b"1\t2\n"), delimiter="\t", fields=["a", "b"])
    assert list(rows) == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3\n", "data.txt:3: 1 fields where the header has 2"),
        (b"a,b\n1,2,3\n", "data.txt:2: 3 fields where the header has 2"),
        (b'a,b\n1,"2\n', "data.txt:2: no CSV: unexpected end of data"),
        (b"a,b,a\n1,2,3\n", "data.txt:1: the header says 'a' twice"),
    ],
)
def test_a_bad_csv_row_is_named(
    file: Callable[[bytes], Path], content: bytes, message: str
) -> None:
    """The error says the file, the line and what is wrong there."""
    with pytest.raises(ValueError, match=message):
        list(read_csv(file(content)))


@pytest.mark.parametrize("read", [read_lines, read_jsonl, read_csv])
def test_large_files_stream(tmp_path: Path, read: Callable[[Path], Iterator[Any]]) -> None:
    """Memory stays flat: 200,000 records of 10 MB take less than half a megabyte."""
    path = tmp_path / "large.txt"
    record = json.dumps({"n": 1, "text": "x" * 35})
    with path.open("w") as out:
        out.writelines(f"{record}\n" for _ in range(200_000))
    tracemalloc.start()
    try:
        assert sum(1 for _ in _without_header_rules(read, path)) >= 199_999
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 10_000_000
    assert peak < 500_000


def _without_header_rules(read: Callable[..., Iterator[Any]], path: Path) -> Iterator[Any]:
    """Read JSON as CSV with a delimiter that it doesn't have, quotes and all."""
    return read(path, delimiter="\t", fields=["all"]) if read is read_csv else read(path)


def test_a_dash_is_standard_input() -> None:
    """`-` reads what is piped in, and leaves standard input open."""
    code = (
        "import sys; from pipelines.steps.files import read_jsonl;"
        "print(sum(read_jsonl('-')), sys.stdin.closed)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input="1\n2\n", capture_output=True, text=True, check=True
    )
    assert done.stdout == "3 False\n"
