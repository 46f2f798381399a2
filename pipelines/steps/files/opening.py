"""Open text for reading and writing: plain, gzipped, or the standard streams."""

from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TextIO, cast

from pipelines.steps.files.sharing import is_at, lock, unlock

__all__ = ["STANDARD", "Writer", "open_to_read", "read_encoding"]

#: The path that means standard input or standard output.
STANDARD = "-"


@contextmanager
def open_to_read(
    path: str | Path, encoding: str, errors: str, newline: str | None
) -> Iterator[TextIO]:
    """Open `path` as text, and close it afterwards unless it is standard input."""
    encoding = read_encoding(encoding)
    if str(path) == STANDARD:
        stdin = io.TextIOWrapper(sys.stdin.buffer, encoding, errors, newline)
        try:
            yield stdin
        finally:
            stdin.detach()  # or closing the wrapper would close standard input itself
        return
    with _open(path, "rt", encoding, errors, newline) as file:
        yield file


def read_encoding(encoding: str) -> str:
    """Return the encoding that also drops the byte-order mark that spreadsheets write."""
    return "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding


class Writer:
    """A file that is open while the run lasts."""

    _errors = "strict"
    _file: TextIO

    def __init__(
        self,
        path: str | Path,
        mode: Literal["write", "append"],
        flush: bool,
        encoding: str = "utf-8",
        shared: bool = False,
    ) -> None:
        if mode not in ("write", "append"):
            raise ValueError(f"mode is 'write' or 'append', not {mode!r}")
        self._path = path
        self._append = mode == "append"
        self._flush = flush or shared
        self._encoding = encoding
        self._shared = shared and str(path) != STANDARD

    @staticmethod
    def runs_here(args: Mapping[str, Any]) -> bool:
        """Tell whether it must run in the process that starts the graph: standard output is there.

        Args:
            args: those of the node.
        """
        return str(args.get("path")) == STANDARD

    def __enter__(self) -> Self:
        self._file = self._open(append=self._append)
        return self

    def _open(self, *, append: bool) -> TextIO:
        return _open_to_write(
            self._path, append=append, encoding=self._encoding, errors=self._errors
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if str(self._path) != STANDARD:
            self._file.close()
        elif not self._flush:
            self._file.flush()

    def _write(self, text: str) -> None:
        if self._shared:
            self._lock()
        try:
            self._file.write(text)
            if self._flush:
                self._file.flush()
        finally:
            if self._shared:
                unlock(self._file)

    def _lock(self) -> None:
        """Keep others from replacing the file; open the new one where that has happened."""
        lock(self._file)
        while not is_at(self._file, self._path):
            self._file.close()
            self._file = self._open(append=True)
            lock(self._file)


def _open_to_write(path: str | Path, *, append: bool, encoding: str, errors: str) -> TextIO:
    """Open `path` as text without newline translation; make its folder if there is none."""
    if str(path) == STANDARD:
        return sys.stdout
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    torn = append and _is_torn(path)
    file = _open(path, "at" if append else "wt", encoding, errors, newline="")
    if torn:
        file.write("\n")
    return file


def _open(path: str | Path, mode: str, encoding: str, errors: str, newline: str | None) -> TextIO:
    opener = gzip.open if str(path).endswith(".gz") else open
    return cast(TextIO, opener(path, mode, encoding=encoding, errors=errors, newline=newline))


def _is_torn(path: str | Path) -> bool:
    """Tell whether a plain file's last line has no end: its writer was killed in the middle."""
    if str(path).endswith(".gz") or not os.path.exists(path) or not os.path.getsize(path):
        return False
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
