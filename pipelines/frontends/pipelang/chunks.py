"""Cut a `.pipe` text into its statements, so that one that is faulty does not hide the next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from pipelines.frontends.pipelang.faults import Faults
from pipelines.frontends.pipelang.model import Word

__all__ = ["Chunk", "chunks_of"]

#: All that may hold a line break or a bracket without meaning one, and what does mean one.
_PIECE = re.compile(r"""\#[^\n]* | `[^`]*` | "[^"\n]*" | '[^'\n]*' | [`()] | \n""", re.VERBOSE)
_NAMES = re.compile(r"[^\W\d]\w*")
_NOTHING = re.compile(r"(\s|#[^\n]*)*")

#: What a line begins with that goes on with the statement above.
_GOES_ON = frozenset(" \t\n#`")


class Chunk(NamedTuple):
    """One statement: its text, with a line break at its end, and the number of its first line.

    Attributes:
        broken: where it ends can't be told, and that is a fault already noted.
    """

    text: str
    line: int
    broken: bool = False

    @property
    def names(self) -> set[str]:
        """Every name in it, for where it can't be read."""
        return set(_NAMES.findall(self.text))


def chunks_of(text: str, faults: Faults) -> Iterator[Chunk]:
    """Yield the statements of a text; one starts at each line that begins at the left margin.

    Lines in brackets or backticks belong to the line before.
    """
    start = depth = 0
    line = start_line = 1
    for piece in _PIECE.finditer(text):
        found = piece[0]
        if found == "`":
            _note_open(text, piece.start(), line, faults)
            yield Chunk(text[start:], start_line, broken=True)
            return
        depth = max(0, depth + {"(": 1, ")": -1}.get(found, 0))
        line += found.count("\n")
        if found == "\n" and not depth and text[piece.end() : piece.end() + 1] not in _GOES_ON:
            yield from _chunk(text[start : piece.end()], start_line)
            start, start_line = piece.end(), line
    yield from _chunk(f"{text[start:]}\n", start_line)


def _chunk(text: str, line: int) -> Iterator[Chunk]:
    if not _NOTHING.fullmatch(text):
        yield Chunk(text, line)


def _note_open(text: str, position: int, line: int, faults: Faults) -> None:
    word = Word("`", line, position - text.rfind("\n", 0, position))
    hint = "Close it with another backtick."
    faults.add("syntax", "the code that begins here never ends.", word, hint)
