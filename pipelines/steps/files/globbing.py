"""A source of file paths."""

from __future__ import annotations

import fnmatch
import glob as stdlib_glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.registry import steps

__all__ = ["glob"]

_ANY_DEPTH = "**"


@steps.register("glob")
def glob(
    pattern: str,
    root: str | Path = ".",
    hidden: bool = False,
    exclude: str | Sequence[str] = (),
) -> Iterator[str]:
    """Find files by a pattern, sorted by folder and name.

    The order is that of the paths' parts, the same on every run and machine. One folder's names at
    a time are held in memory, not all paths.

    Args:
        pattern: ``*`` ``?`` ``[a-z]`` match within a name, ``**`` any number of folders, none
            included: ``data/**/*.csv``. ``**`` does not follow links to folders.
        root: the folder that the pattern starts from.
        hidden: whether wildcards also match names that start with a dot.
        exclude: names of files and folders to leave out, wildcards allowed: ``[.venv, "*.tmp"]``.

    Yields:
        The path of each file (not of folders) that matches, as a string that starts with `root`
        unless that is ``.``. None at all is no error.

    Raises:
        OSError: a folder is missing or can't be read.
    """
    if not str(pattern).strip("/."):
        raise ValueError(f"{pattern!r} is no pattern of files; write '**' for all")
    parts = [part for part in str(pattern).replace(os.sep, "/").split("/") if part not in ("", ".")]
    folder = "" if str(root) == "." else os.fspath(root)
    if os.path.isabs(pattern):
        folder = os.path.abspath(os.sep)
    # Leading plain names need no search, and may be `..`.
    while len(parts) > 1 and not stdlib_glob.has_magic(parts[0]):
        folder = os.path.join(folder, parts.pop(0))
    if parts[-1] == _ANY_DEPTH:
        parts.append("*")  # the files in all those folders
    yield from _Search(parts, hidden, exclude).run(folder)


class _Search:
    """Walks a tree once and carries along how much of the pattern the path so far has matched.

    That is a set of positions in the pattern, as ``**`` may match more or less of one path.
    """

    def __init__(self, parts: list[str], hidden: bool, exclude: str | Sequence[str]) -> None:
        self._parts = [None if part == _ANY_DEPTH else _matcher(part, hidden) for part in parts]
        self._hidden = hidden
        exclude = [exclude] if isinstance(exclude, str) else exclude
        self._excluded = [_matcher(name, hidden=True) for name in exclude]

    def run(self, folder: str, positions: frozenset[int] = frozenset({0})) -> Iterator[str]:
        with os.scandir(folder or ".") as entries:
            found = sorted(filter(self._wanted, entries), key=lambda entry: entry.name)
        for entry in found:
            after = self._step(entry, positions)
            if entry.is_dir() and after - {len(self._parts)}:
                yield from self.run(os.path.join(folder, entry.name), after)
            elif len(self._parts) in after and entry.is_file():
                yield os.path.join(folder, entry.name)

    def _wanted(self, entry: os.DirEntry[str]) -> bool:
        return not any(matcher.match(entry.name) for matcher in self._excluded)

    def _step(self, entry: os.DirEntry[str], positions: frozenset[int]) -> frozenset[int]:
        """Return the positions after one more name."""
        after = set()
        for at in self._without_depth(positions):
            matcher = self._parts[at]
            if matcher is None:
                if self._goes_into(entry):
                    after.add(at)
            elif matcher.match(entry.name):
                after.add(at + 1)
        return frozenset(after)

    def _goes_into(self, entry: os.DirEntry[str]) -> bool:
        """Tell whether ``**`` takes this name; never a link, which may lead back up, for ever."""
        shown = self._hidden or not entry.name.startswith(".")
        return shown and entry.is_dir(follow_symlinks=False)

    def _without_depth(self, positions: frozenset[int]) -> set[int]:
        """Return the positions with those behind a ``**`` that matches no folder at all."""
        reached = set(positions) - {len(self._parts)}
        for at, matcher in enumerate(self._parts):
            if matcher is None and at in reached:
                reached.add(at + 1)
        return reached


def _matcher(part: str, hidden: bool) -> re.Pattern[str]:
    wild_start = not hidden and part[:1] in "*?["
    return re.compile(("(?!\\.)" if wild_start else "") + fnmatch.translate(part))
