"""The steps that write lines, JSON Lines and CSV."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pipelines.steps.files import (
    read_csv,
    read_jsonl,
    read_lines,
    stdout,
    write_csv,
    write_jsonl,
    write_lines,
)

WRITERS = [write_lines, write_jsonl, write_csv]


def write(writer: Any, items: Iterable[Any]) -> list[Any]:
    """Run a writer over items as an engine does, and return what it passes on."""
    with writer:
        return [writer(item) for item in items]


@pytest.mark.parametrize("writer", WRITERS)
def test_the_item_itself_is_passed_on(tmp_path: Path, writer: Any) -> None:
    """A writer may stand in the middle of a graph: it gives back the object it was given."""
    item = {"a": 1}
    (passed,) = write(writer(tmp_path / "out"), [item])
    assert passed is item


@pytest.mark.parametrize("writer", WRITERS)
def test_the_folder_is_made_and_no_item_makes_an_empty_file(tmp_path: Path, writer: Any) -> None:
    """The file is there as soon as the run has started."""
    path = tmp_path / "new" / "folder" / "out"
    write(writer(path), [])
    assert path.read_bytes() == b""


def test_lines_hold_strings_as_they_are_and_the_rest_as_json(tmp_path: Path) -> None:
    """What JSON can't say is written as its repr."""
    path = tmp_path / "out.txt"
    write(write_lines(path), ["grün", 3, {"a": [None, "ü"]}, {1, 2}])
    assert path.read_text("utf-8") == 'grün\n3\n{"a": [null, "ü"]}\n{1, 2}\n'


def test_write_starts_anew_and_append_goes_on(tmp_path: Path) -> None:
    """`mode` decides what becomes of what the file held."""
    path = tmp_path / "out.jsonl"
    write(write_jsonl(path), [1])
    write(write_jsonl(path), [2])
    write(write_jsonl(path, mode="append"), [3])
    assert list(read_jsonl(path)) == [2, 3]


@pytest.mark.parametrize("writer", WRITERS)
def test_another_mode_is_refused(tmp_path: Path, writer: Any) -> None:
    """A misspelt mode is an error before any file is touched."""
    with pytest.raises(ValueError, match="mode is 'write' or 'append', not 'a'"):
        writer(tmp_path / "out", mode="a")
    assert not list(tmp_path.iterdir())


def test_append_ends_a_torn_last_line_first(tmp_path: Path) -> None:
    """A record that a killed process left half written doesn't spoil the next one."""
    path = tmp_path / "out.jsonl"
    path.write_text('{"a": 1}\n{"a"')
    write(write_jsonl(path, mode="append"), [{"a": 3}])
    assert list(read_lines(path)) == ['{"a": 1}', '{"a"', '{"a": 3}']


@pytest.mark.parametrize("flush", [True, False])
def test_gzip_is_written_by_its_suffix(tmp_path: Path, flush: bool) -> None:
    """A name that ends in .gz is zipped, and may be appended to."""
    path = tmp_path / "out.jsonl.gz"
    write(write_jsonl(path, flush=flush), [1])
    write(write_jsonl(path, flush=flush, mode="append"), [2])
    assert gzip.decompress(path.read_bytes()) == b"1\n2\n"


def test_each_record_is_durable_at_once(tmp_path: Path) -> None:
    """What a process has written is there although it is killed the moment after."""
    path = tmp_path / "dead.jsonl"
    code = (
        "import os, signal, sys; from pipelines.steps.files import write_jsonl\n"
        "with write_jsonl(sys.argv[1]) as write:\n"
        "    write({'n': 1}); write({'n': 2}); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -9
    assert list(read_jsonl(path)) == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"when": {1, 2}}, "item of type dict: Object of type set is not JSON serializable"),
        (b"bytes", "item of type bytes: Object of type bytes is not"),
        ({(1, 2): 3}, "item of type dict: keys must be str"),
    ],
)
def test_what_json_cant_say_is_an_error(tmp_path: Path, item: Any, message: str) -> None:
    """The error names the type, and nothing of the item is written."""
    path = tmp_path / "out.jsonl"
    with write_jsonl(path) as writer, pytest.raises(TypeError, match=message):
        writer(item)
    assert path.read_bytes() == b""


def test_a_file_name_that_is_no_utf8_survives(tmp_path: Path) -> None:
    """A lone surrogate is written as its JSON escape and read back as it was."""
    path = tmp_path / "out.jsonl"
    write(write_jsonl(path), [{"path": "caf\udce9", "ok": "é😀"}])
    assert "é😀" in path.read_text("utf-8")
    assert list(read_jsonl(path)) == [{"path": "caf\udce9", "ok": "é😀"}]


def test_csv_takes_its_header_from_the_first_row(tmp_path: Path) -> None:
    """Later rows may hold the same keys in any order."""
    path = tmp_path / "out.csv"
    write(write_csv(path), [{"a": 1, "b": "x, y"}, {"b": None, "a": 2}])
    assert path.read_text() == 'a,b\n1,"x, y"\n2,\n'
    assert list(read_csv(path)) == [{"a": "1", "b": "x, y"}, {"a": "2", "b": ""}]


def test_csv_with_fields_has_a_header_even_without_rows(tmp_path: Path) -> None:
    """`fields` says the columns and their order beforehand."""
    path = tmp_path / "out.csv"
    write(write_csv(path, fields=["b", "a"], delimiter=";"), [])
    assert path.read_text() == "b;a\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"a": 1}, r"out.csv: a row lacks \['b'\], where the header is \['a', 'b'\]"),
        ({"a": 1, "b": 2, "c": 3}, r"a row has also \['c'\]"),
        ({"a": 1, "c": 3}, r"a row lacks \['b'\] and has also \['c'\]"),
    ],
)
def test_a_csv_row_with_other_keys_is_an_error(
    tmp_path: Path, row: dict[str, int], message: str
) -> None:
    """The error says which keys are missing and which are too many."""
    with write_csv(tmp_path / "out.csv", fields=["a", "b"]) as writer:
        with pytest.raises(ValueError, match=message):
            writer(row)
        with pytest.raises(TypeError, match="takes mappings, not an item of type list"):
            writer([1, 2])


def test_csv_goes_on_under_the_header_it_finds(tmp_path: Path) -> None:
    """Appending writes no second header, and refuses other columns."""
    path = tmp_path / "out.csv"
    write(write_csv(path, mode="append"), [{"a": 1, "b": 2}])
    write(write_csv(path, mode="append"), [{"b": 4, "a": 3}])
    assert path.read_text() == "a,b\n1,2\n3,4\n"
    with pytest.raises(ValueError, match=r"out.csv has the columns \['a', 'b'\], not \['x'\]"):
        write(write_csv(path, mode="append", fields=["x"]), [])


@pytest.mark.parametrize("writer", WRITERS)
def test_writing_much_takes_no_memory(tmp_path: Path, writer: Any) -> None:
    """Memory stays flat over 30,000 records."""
    tracemalloc.start()
    try:
        with writer(tmp_path / "out", flush=False) as step:
            for number in range(30_000):
                step({"n": number})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000


def test_stdout_prints_each_item_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Strings come as they are, other things as JSON, the rest as its repr."""
    assert write(stdout(), ["text", {"a": "ü"}, object]) == ["text", {"a": "ü"}, object]
    assert capsys.readouterr().out == 'text\n{"a": "ü"}\n<class \'object\'>\n'


@pytest.mark.parametrize("writer", WRITERS)
def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str], writer: Any) -> None:
    """`-` prints, and leaves standard output open."""
    write(writer("-", flush=False), [{"a": 1}])
    print("still open")
    *_, last, after = capsys.readouterr().out.splitlines()
    assert json.loads(last) in ({"a": 1}, 1)
    assert after == "still open"


def test_a_reader_that_has_gone_raises_broken_pipe() -> None:
    """As in `plumber run graph.yaml | head`: the step fails with `BrokenPipeError` alone."""
    code = (
        "import os, sys; from pipelines.steps.files import stdout\n"
        "sys.stdin.read()\n"
        "try:\n"
        "    with stdout() as step: step('nobody reads this')\n"
        "except BrokenPipeError:\n"
        "    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())\n"
        "    sys.exit(7)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdout.close()  # only then may the child go on
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 7
