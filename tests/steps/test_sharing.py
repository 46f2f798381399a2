"""Files that several processes write by turns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pipelines.steps.files import write_jsonl
from pipelines.steps.files.sharing import is_at, lock, unlock


def shared(path: Path, **args: Any) -> Any:
    """Return a writer that shares its file."""
    return write_jsonl(path, mode="append", shared=True, **args)


def test_one_who_wants_a_file_alone_waits_for_those_who_share_it(tmp_path: Path) -> None:
    """Sharing excludes nobody but them, and a lock can be given back."""
    path = tmp_path / "file"
    with path.open("a") as one, path.open("a") as two, path.open("rb") as three:
        lock(one)
        lock(two)
        with pytest.raises(BlockingIOError):
            lock(three, alone=True, wait=False)
        unlock(one)
        two.flush()
        unlock(two)
        lock(three, alone=True, wait=False)
        with pytest.raises(BlockingIOError):
            lock(one, wait=False)


def test_a_file_that_has_no_locks_is_not_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems know none; writing goes on without."""
    import fcntl

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with open(os.devnull) as file:
        lock(file)
        unlock(file)


def test_a_file_that_was_moved_is_no_longer_there(tmp_path: Path) -> None:
    """Neither is one in whose place another stands."""
    path = tmp_path / "file"
    with path.open("w") as file:
        assert is_at(file, path)
        path.rename(tmp_path / "old")
        assert not is_at(file, path)
        path.write_text("new")
        assert not is_at(file, path)


def test_records_go_to_the_file_that_is_there_now(tmp_path: Path) -> None:
    """One that was replaced, or moved away as logs are, gets no more of them."""
    path = tmp_path / "out"
    with shared(path) as writer:
        writer(1)
        path.rename(tmp_path / "old")
        writer(2)
        (tmp_path / "new").write_text("[]\n")
        (tmp_path / "new").replace(path)
        writer(3)
    assert (tmp_path / "old").read_text() == "1\n"
    assert path.read_text() == "[]\n3\n"


def test_two_writers_share_a_file(tmp_path: Path) -> None:
    """Each record is in the file at once, whole, also without `flush`."""
    path = tmp_path / "out"
    with shared(path, flush=False) as one, shared(path) as two:
        one(1)
        two("x" * 100_000)
        one(2)
        assert path.read_text() == f'1\n"{"x" * 100_000}"\n2\n'


def test_standard_output_is_shared_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """It is no file that could be replaced."""
    with write_jsonl("-", shared=True) as writer:
        writer(1)
    assert capsys.readouterr().out == "1\n"


def test_an_item_that_can_not_be_written_leaves_no_lock(tmp_path: Path) -> None:
    """Nor does a disk that is full."""
    path = tmp_path / "out"
    with shared(path) as writer:
        with pytest.raises(TypeError):
            writer(b"")
        with path.open("rb") as other:
            lock(other, alone=True, wait=False)
