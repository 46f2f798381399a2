"""The demo that reads Python's own standard library."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from running_demos import DEMOS, run_demo

from pipelines.steps.files import read_jsonl


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return the demo's module, imported from its folder."""
    monkeypatch.syspath_prepend(str(DEMOS / "stdlib_imports"))
    import stdlib_imports

    yield stdlib_imports
    del sys.modules["stdlib_imports"]


@pytest.mark.slow
def test_it_reads_the_whole_library(tmp_path: Path) -> None:
    """Broken files are counted and left out, and every record belongs to its own file."""
    done = run_demo("stdlib_imports", OUT=str(tmp_path))
    records = {record["file"]: record for record in read_jsonl(tmp_path / "files.jsonl")}

    found, broken = done.count("files", "passed_on"), done.count("parse", "skipped")
    assert broken > 0
    assert found == broken + len(records)
    assert list(records) == sorted(records, key=lambda file: file.split("/"))
    assert not any("bad_coding" in file for file in records)
    assert done.stdout.startswith(f"{len(records):,} files, ")
    assert "pydoc_data/topics.py" in done.stdout
    assert (
        records["json/decoder.py"]["imports"] == ["json", "re"]
        or "re" in records["json/decoder.py"]["imports"]
    )
    assert records["json/decoder.py"]["classes"] == 2


def test_it_can_leave_out_the_librarys_tests(tmp_path: Path) -> None:
    """`STDLIB_TESTS` and the folder to write to come from the environment."""
    run_demo("stdlib_imports", OUT=str(tmp_path), STDLIB_TESTS="false")
    files = [record["file"] for record in read_jsonl(tmp_path / "files.jsonl")]
    assert "os.py" in files
    assert not any(file.startswith("test/") for file in files)


def test_parse_summarises_a_file(
    steps: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statements are found at any depth; a relative import belongs to its own package."""
    monkeypatch.setattr(steps, "STDLIB", str(tmp_path))
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "module.py"
    path.write_text(
        "import os, os.path, sys as system\nfrom . import near\nfrom .near import x\n"
        "class A:\n    async def f(self):\n        try:\n            pass\n"
        "        except E:\n            from xml.dom import minidom\n"
        "match a:\n    case 1:\n        def g(): lambda: 1\n"
    )
    summary = steps.parse(str(path))
    assert summary == {
        "file": "deep/module.py",
        "bytes": path.stat().st_size,
        "lines": 12,
        "functions": 2,
        "classes": 1,
        "imports": ["os", "os.path", "sys", "xml.dom"],
    }
    assert steps.imports(summary) == ["os", "sys", "xml"]


@pytest.mark.parametrize("content", [b"print 'old'", b"# coding: uft-8\n", b"\xff\n", b"a\0b"])
def test_parse_fails_on_what_is_no_python(
    steps: ModuleType, tmp_path: Path, content: bytes
) -> None:
    """Bad syntax and bad encodings raise what the graph's `on_error` counts."""
    path = tmp_path / "bad.py"
    path.write_bytes(content)
    with pytest.raises((SyntaxError, ValueError)):
        steps.parse(str(path))


def test_the_table_is_aligned(steps: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Most imported and largest come first, no more than `top` of each."""
    with steps.Table(top=2) as table:
        for number, imports in enumerate([["a", "b"], ["b", "c"], ["b", "a"]], 1):
            table(
                {
                    "file": f"{number}.py",
                    "lines": 1000 * number,
                    "functions": 1,
                    "classes": 0,
                    "imports": imports,
                }
            )
    assert capsys.readouterr().out.splitlines() == [
        "3 files, 6,000 lines",
        "",
        "most imported                             by files",
        "b                                                3",
        "a                                                2",
        "",
        "largest files                                lines  functions  classes",
        "3.py                                         3,000          1        0",
        "2.py                                         2,000          1        0",
    ]


def test_no_table_is_printed_of_a_run_that_failed(
    steps: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a result is none."""
    with pytest.raises(OSError, match="disk"), steps.Table():
        raise OSError("disk")
    assert capsys.readouterr().out == ""
