"""The source of file paths."""

from __future__ import annotations

import glob as stdlib_glob
import os
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.steps.files import glob

FILES = ["a.txt", "b.csv", "a/x.txt", "a/y.csv", "a/.h/z.txt", "a/b/c/x.txt", ".dot.txt", "z/x.txt"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `FILES` and an empty folder in it."""
    root = tmp_path_factory.mktemp("tree")
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "empty.txt").mkdir()
    return root


def found(pattern: str, root: Path, **args: Any) -> list[str]:
    """Return what `glob` finds, relative to `root`."""
    return [os.path.relpath(path, root) for path in glob(pattern, root, **args)]


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("*.txt", ["a.txt"]),
        ("**/*.txt", ["a/b/c/x.txt", "a/x.txt", "a.txt", "z/x.txt"]),
        ("**/x.txt", ["a/b/c/x.txt", "a/x.txt", "z/x.txt"]),
        ("a/**", ["a/b/c/x.txt", "a/x.txt", "a/y.csv"]),
        ("a/**/b/**/x.txt", ["a/b/c/x.txt"]),
        ("?/x.txt", ["a/x.txt", "z/x.txt"]),
        ("[ab].*", ["a.txt", "b.csv"]),
        ("a/x.txt", ["a/x.txt"]),
        (".*", [".dot.txt"]),
        ("a/../z/*", ["z/x.txt"]),
        ("*.nothing", []),
    ],
)
def test_patterns_find_files_sorted(tree: Path, pattern: str, paths: list[str]) -> None:
    """Files only, no folders; sorted by their parts, so that a folder's files stay together."""
    assert found(pattern, tree) == paths


def test_hidden_files_are_found_when_asked_for(tree: Path) -> None:
    """A wildcard takes a name that starts with a dot only with `hidden`."""
    assert found("**/[.z]*", tree, hidden=True) == [".dot.txt", "a/.h/z.txt"]
    assert "a/.h/z.txt" in found("**", tree, hidden=True)


@pytest.mark.parametrize("exclude", ["[ax]*", ["a", "a.*", "x.*"]])
def test_names_can_be_left_out(tree: Path, exclude: str | list[str]) -> None:
    """An excluded folder is left out with all that is in it."""
    assert [os.path.relpath(path, tree) for path in glob("**", tree, exclude=exclude)] == ["b.csv"]


PART = st.sampled_from(["**", "*", "a", "b", "?", "x.txt", "*.txt", "[az]*", ".h", "*c*"])


@given(parts=st.lists(PART, min_size=1, max_size=5))
def test_the_same_files_as_the_standard_librarys_glob(tree: Path, parts: list[str]) -> None:
    """Any pattern gives what `glob.glob` gives, each file once, sorted."""
    pattern = "/".join(parts)
    expected = set(stdlib_glob.glob(pattern, root_dir=tree, recursive=True))
    files = [name for name in expected if (tree / name).is_file()]
    try:
        assert found(pattern, tree) == sorted(files, key=lambda name: name.split("/"))
    except (FileNotFoundError, NotADirectoryError):
        assert not files


@pytest.mark.parametrize("pattern", ["", ".", "./"])
def test_no_pattern_at_all_is_an_error(pattern: str) -> None:
    """It says what finds every file."""
    with pytest.raises(ValueError, match=r"is no pattern of files; write '\*\*' for all"):
        list(glob(pattern))


def test_paths_start_with_the_root(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path can be opened as it is; the working folder is left out of it."""
    assert list(glob("a/*.csv", tree)) == [f"{tree}/a/y.csv"]
    assert list(glob(f"{tree}/a/*.csv")) == [f"{tree}/a/y.csv"]
    monkeypatch.chdir(tree)
    assert list(glob("a/*.csv")) == ["a/y.csv"]
    assert list(glob("./*.csv")) == ["b.csv"]


def test_a_missing_folder_is_an_error(tree: Path) -> None:
    """A pattern may match nothing, but the folder that it starts from must be there."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(glob("nowhere/*.txt", tree))


def test_links_to_folders_are_no_way_round(tmp_path: Path) -> None:
    """`**` does not follow a link, which may lead back up; a name or `*` does."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_text("")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to("nothing")
    assert found("**", tmp_path) == ["real/x"]
    assert found("*/*/*/x", tmp_path) == ["real/up/real/x"]


def test_one_folder_at_a_time_is_read(tmp_path: Path) -> None:
    """Paths come while later folders are not even looked at."""
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x").write_text("")
    paths = glob("**/x", tmp_path)
    first = next(paths)
    (tmp_path / "b" / "x").rename(tmp_path / "b" / "y")
    (tmp_path / "b" / "x2").mkdir()
    assert list(chain([first], paths)) == [f"{tmp_path}/a/x"]
