"""Let several processes write one file by turns, also while one of them replaces it.

The locks are advisory ones of the operating system on the open file (`flock`), so that a process
that is killed holds none. Where there are none (Windows, some network file systems) nothing is
locked.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO, Any

__all__ = ["is_at", "lock", "unlock"]


def lock(file: IO[Any], *, alone: bool = False, wait: bool = True) -> None:
    """Lock an open file, with the others that share it or `alone`.

    Raises:
        BlockingIOError: another process holds a lock, and this is not to `wait`.
    """
    with contextlib.suppress(ImportError):
        import fcntl

        kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        _flock(file, kind if wait else kind | fcntl.LOCK_NB)


def unlock(file: IO[Any]) -> None:
    """Give a lock back; closing the file does so too."""
    with contextlib.suppress(ImportError):
        import fcntl

        _flock(file, fcntl.LOCK_UN)


def _flock(file: IO[Any], operation: int) -> None:
    import fcntl

    try:
        fcntl.flock(file.fileno(), operation)
    except BlockingIOError:
        raise
    except OSError:
        return  # this file system has no locks


def is_at(file: IO[Any], path: str | Path) -> bool:
    """Tell whether an open file is still the one at `path`: it may have been replaced or moved."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
