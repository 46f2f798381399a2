"""What steps print while a live view is shown: kept for a moment, then written above the view."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections import deque
from typing import Any, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

__all__ = ["Printed"]

_MOST = 10_000  # pieces of text to hold before they are written out of turn


class Printed:
    """Stands in for the standard streams that are terminals, and gathers what is written to them.

    Writing through the view at once would draw it anew for every line that a step prints, which
    makes a graph that prints its results many times slower; a refresh writes all of them together.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._pieces: deque[str] = deque()
        self._rest = ""
        self._lock = threading.Lock()
        self._restore: dict[str, TextIO] = {}

    def start(self) -> None:
        """Take the place of stdout and stderr, of each only if it is a terminal."""
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and stream.isatty():
                stream.flush()
                self._restore[name] = stream
                setattr(sys, name, cast(TextIO, _StandIn(stream, self)))

    def write(self, text: str) -> None:
        """Keep `text` for the next `show`; called from any thread."""
        self._pieces.append(text)
        if len(self._pieces) > _MOST:
            self.show()

    def show(self) -> None:
        """Write all whole lines gathered so far above the view."""
        with self._lock:
            whole, newline, self._rest = (self._rest + self._take()).rpartition("\n")
            if newline:
                self._console.print(_Raw(whole + newline), soft_wrap=True, end="")

    def stop(self) -> None:
        """Give the streams back and write what is left."""
        for name, stream in self._restore.items():
            setattr(sys, name, stream)
        self._restore.clear()
        with self._lock:
            text, self._rest = self._rest + self._take(), ""
            if text and not text.endswith("\n"):
                text += "\n"  # the table that follows starts on a line of its own
            self._console.file.write(text)
            self._console.file.flush()

    def _take(self) -> str:
        taken = []
        while self._pieces:  # piece by piece, for another thread may be adding
            taken.append(self._pieces.popleft())
        return "".join(taken)


class _StandIn(io.TextIOBase):
    """A text stream that hands what is written to `Printed`, and is else the stream it replaces."""

    def __init__(self, stream: TextIO, printed: Printed) -> None:
        self._stream = stream
        self._printed = printed
        self._process = os.getpid()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # TextIOBase has it as an attribute
        return self._stream.encoding

    def write(self, text: str, /) -> int:
        if os.getpid() != self._process:  # a forked worker: what it gathers nobody would write
            return self._stream.write(text)
        self._printed.write(text)
        return len(text)

    def flush(self) -> None:
        if os.getpid() != self._process:
            self._stream.flush()

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Raw:
    """Text for a console as it is: no wrapping, no markup, no styles."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(self._text)
