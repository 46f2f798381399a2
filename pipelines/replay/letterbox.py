"""A file of dead letters: checked before any is sent, and rewritten without losing one.

The file is JSON Lines, as `write_jsonl` writes it from a graph's dead letters. Whoever goes on
appending to it meanwhile, with `shared: true`, is not disturbed: what is taken out is taken out by
putting a new file in its place, and only at that moment is the old one locked.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipelines.errors import GraphError, PipelinesError, Problem
from pipelines.steps.files.sharing import is_at, lock

__all__ = ["Letter", "Letterbox", "Pile", "Problems"]

_SHOWN_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, and the 1-based number of its line."""

    line: int
    node: str
    item: Any
    graph: str
    source: str | None


@dataclass(slots=True)
class Pile:
    """The letters of one node in one graph: how many, and the line of the first."""

    node: str
    graph: str
    source: str | None
    first: int
    count: int = 0


class Letterbox:
    """The letters that a file holds now; what is appended later is left alone.

    Args:
        path: the file.

    Attributes:
        path: as given.
        piles: the letters, in the order in which a pile's first stands in the file.

    Raises:
        GraphError: lines are no dead letters; it names each.
        PipelinesError: the file can't be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._file = Path(self.path).resolve()  # a link must go on being one
        if self.path.endswith(".gz"):
            raise PipelinesError(f"{self.path} is zipped; gunzip it, and replay what comes of that")
        with self._told("read"), self._file.open("rb") as file:
            lock(file, alone=True)  # while no one is in the middle of a line
            self._end = os.fstat(file.fileno()).st_size
            self._identity = os.fstat(file.fileno())
        self.piles = self._sort()

    def _sort(self) -> list[Pile]:
        piles: dict[tuple[str, str, str | None], Pile] = {}
        bad = Problems(self.path, "Mend these lines, or delete them.")
        with self._told("read"):
            for number, line in self._lines():
                try:
                    letter = _parse(number, line)
                except ValueError as error:
                    bad.add("bad-letter", f"this is no dead letter: {error}", number)
                    continue
                key = (letter.node, letter.graph, letter.source)
                piles.setdefault(key, Pile(*key, number)).count += 1
        bad.refuse()
        return list(piles.values())

    def letters(self, node: str) -> Iterator[Letter]:
        """Read a node's letters one by one."""
        for number, line in self._lines():
            letter = _parse(number, line)
            if letter.node == node:
                yield letter

    def count(self) -> int:
        """Count the letters that are in the file now, also those that came later."""
        with self._told("read"), self._file.open("rb") as file:
            return sum(1 for line in file if not line.isspace())

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with self._file.open("rb") as file:
            for number, line in enumerate(_until(file, self._end), 1):
                if not line.isspace():
                    yield number, line

    # Taking letters out.

    @property
    def fresh(self) -> Path:
        """Where letters that come of a replay are written until `settle`."""
        return self._file.with_name(f"{self._file.name}.replay")

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other replays away from the file; afterwards there is no `fresh` any more.

        Raises:
            PipelinesError: another one is under way, or the folder can't be written to.
        """
        with self._claim() as file:
            try:
                yield
            finally:
                if is_at(file, self.fresh):
                    _remove(self.fresh)

    def _claim(self) -> IO[bytes]:
        with self._told("replayed"):
            while True:
                file = self.fresh.open("ab")
                try:
                    lock(file, alone=True, wait=False)
                except BlockingIOError:
                    file.close()
                    raise PipelinesError(f"{self.path} is being replayed already") from None
                if is_at(file, self.fresh):
                    return file
                file.close()  # the other replay was just over, and has removed it

    def settle(self, node: str, done: int) -> None:
        """Take out the first `done` letters of a node, and add those in `fresh`.

        Whatever happens meanwhile, the file holds either all it did, or all it should.

        Raises:
            PipelinesError: that was not possible; the file is as it was.
        """
        new = self._file.with_name(f"{self._file.name}.new")
        try:
            with self._told("rewritten"), self._file.open("rb") as old, new.open("wb") as out:
                _copy_rights(old, out)
                end = self._keep(old, out, node, done)
                with self.fresh.open("rb") as fresh:
                    shutil.copyfileobj(fresh, out)
                shutil.copyfileobj(old, out)  # most of what came later, before anyone has to wait
                lock(old, alone=True)
                self._refuse_changed(old)
                shutil.copyfileobj(old, out)
                out.flush()
                os.fsync(out.fileno())
                new.replace(self._file)
                self._end, self._identity = end, os.fstat(out.fileno())
            _sync_folder(self._file.parent)
        finally:
            _remove(new)

    def _keep(self, old: IO[bytes], out: IO[bytes], node: str, done: int) -> int:
        """Copy the lines that stay; return how many bytes they are."""
        for number, line in enumerate(_until(old, self._end), 1):
            if done and not line.isspace() and _parse(number, line).node == node:
                done -= 1
            else:
                out.write(line if line.endswith(b"\n") else line + b"\n")
        return out.tell()

    def _refuse_changed(self, old: IO[bytes]) -> None:
        """Only add what is fresh, where the file is not the one that was read any more."""
        now = os.fstat(old.fileno())
        same = os.path.samestat(now, self._identity) and is_at(old, self._file)
        if same and now.st_size >= self._end:
            return
        with self._file.open("ab") as file, self.fresh.open("rb") as fresh:
            shutil.copyfileobj(fresh, file)
        raise PipelinesError(
            f"{self.path} was changed by another program while it was replayed; what is dead again "
            "was added to it, and letters that were sent may still be in it"
        )

    @contextlib.contextmanager
    def _told(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or str(error)
            raise PipelinesError(f"{self.path} can't be {done}: {why}") from error


class Problems:
    """Gathers what is wrong with letters, and says no more of it than a person reads.

    Args:
        file: where the letters stand.
        hint: how to mend what is wrong with a line.
    """

    def __init__(self, file: str, hint: str) -> None:
        self._file = file
        self._hint = hint
        self._found: list[Problem] = []
        self._more = 0

    def add(self, code: str, message: str, line: int) -> None:
        """Note what is wrong with a line."""
        if len(self._found) < _SHOWN_PROBLEMS:
            problem = Problem(code, f"{message}.", hint=self._hint, file=self._file, line=line)
            self._found.append(problem)
        else:
            self._more += 1

    def refuse(self) -> None:
        """Raise what was found.

        Raises:
            GraphError: it is something.
        """
        if self._more:
            what = f"{self._more:,} more lines are wrong."
            self._found.append(Problem("more", what, file=self._file))
        if self._found:
            raise GraphError(self._found)


def _parse(number: int, line: bytes) -> Letter:
    """Return the letter on a line.

    Raises:
        ValueError: there is none.
    """
    try:
        said = json.loads(line.strip())
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at column {error.colno}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError("no UTF-8 text" if isinstance(error, ValueError) else str(error)) from None
    if not isinstance(said, dict):
        raise ValueError(f"{type(said).__name__} instead of an object")
    for key, kinds in (("node", str), ("graph", str), ("source", str | None)):
        if not isinstance(said.get(key), kinds):
            raise ValueError(f"it says no {key!r}" if key not in said else f"{key!r} is no text")
    if "item" not in said:
        raise ValueError("it says no 'item'")
    return Letter(number, said["node"], said["item"], said["graph"], said.get("source"))


def _until(file: IO[bytes], end: int) -> Iterator[bytes]:
    """Read the lines of a file's first `end` bytes."""
    while end > 0 and (line := file.readline(end)):
        end -= len(line)
        yield line


def _copy_rights(old: IO[bytes], new: IO[bytes]) -> None:
    """Let a new file belong to whom the old one belongs, as far as this process may."""
    found = os.fstat(old.fileno())
    with contextlib.suppress(PermissionError):
        os.fchown(new.fileno(), found.st_uid, found.st_gid)
    os.fchmod(new.fileno(), found.st_mode & 0o7777)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # what is left of it does no harm
        path.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a change of names in a folder last through a loss of power."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
