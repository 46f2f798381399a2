"""A terminal to run programs in: what a person would see of them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyte

__all__ = ["Seen", "run_in_terminal"]

_ERASE = b"\x1b[2K"


@dataclass(frozen=True)
class Seen:
    """How a program in a terminal ended, and all that it wrote there, with escape sequences."""

    code: int
    written: bytes
    rows: int
    columns: int

    @property
    def lines(self) -> list[str]:
        """The lines on the screen and those scrolled away, as they look when all is written."""
        *_, last = self.frames
        return last

    @property
    def frames(self) -> Iterator[list[str]]:
        """The same lines, each time before one was erased to be drawn anew, and at the end."""
        terminal = pyte.HistoryScreen(self.columns, self.rows, history=10_000)
        stream = pyte.ByteStream(terminal)
        for part in re.split(rb"(?=\x1b\[2K)", self.written):
            if part.startswith(_ERASE):
                yield _shown(terminal)
            stream.feed(part)
        yield _shown(terminal)


def _shown(terminal: pyte.HistoryScreen) -> list[str]:
    gone = ["".join(line[x].data for x in range(terminal.columns)) for line in terminal.history.top]
    return [line.rstrip() for line in (*gone, *terminal.display)]


#: What would say something else of the terminal than the terminal itself.
UNSAID = ("NO_COLOR", "COLUMNS", "LINES")


def run_in_terminal(
    command: Sequence[str],
    *,
    rows: int = 24,
    columns: int = 100,
    stdout: int | None = None,
    **env: str,
) -> Seen:
    """Run a program whose standard streams are a terminal, but for `stdout` if that is given."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    said = {key: value for key, value in os.environ.items() if key not in UNSAID}
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        env={**said, "TERM": "xterm-256color", **env},
    )
    os.close(theirs)
    written = b"".join(_read(ours))
    code = process.wait()
    os.close(ours)
    return Seen(code, written, rows, columns)


def _read(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(descriptor, 65_536)
        except OSError:  # Linux says so when the last writer has gone
            return
        if not data:
            return
        yield data
