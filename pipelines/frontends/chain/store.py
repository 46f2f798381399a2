"""Where cached results lie: in this process's memory, or in a folder, one file each."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakValueDictionary

from pipelines.steps.files.sharing import is_at, lock

__all__ = ["MEMORY", "Folder", "Memory", "Store", "Turns"]

L = TypeVar("L")

_DIGEST = hashlib.sha256().digest_size


class Store(Protocol):
    """A place for results, by key."""

    def get(self, key: str) -> bytes | None:
        """Return what is kept under `key`."""

    def put(self, key: str, value: bytes) -> None:
        """Keep `value` under `key`."""

    def turn(self, key: str) -> contextlib.AbstractContextManager[None]:
        """Return a context that one thread at a time is in for `key`."""


class Turns(Generic[L]):
    """A lock for each key, as long as somebody holds or wants it.

    Args:
        make: makes a lock.
    """

    def __init__(self, make: Callable[[], L]) -> None:
        self._make = make
        self._locks: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()
        self._own = threading.Lock()

    def of(self, key: Hashable) -> L:
        """Return the lock of a key."""
        with self._own:
            found: L | None = self._locks.get(key)
            if found is None:
                self._locks[key] = found = self._make()
            return found


_TURNS = Turns(threading.Lock)


class Memory:
    """Keeps the results that were used last.

    Args:
        limit: how many.
    """

    def __init__(self, limit: int = 1_000) -> None:
        self._limit = limit
        self._values: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return what is kept under `key`."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Keep `value` under `key`, and forget what was not used for longest."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._limit:
                self._values.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._values.clear()

    @contextlib.contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """Return a context that one thread at a time is in for `key`."""
        with _TURNS.of((id(self), key)):
            yield


#: The memory of this process, for all steps with ``cache=True``.
MEMORY = Memory()


class Folder:
    """Keeps results in files, each behind its checksum; they are pickles, so trust the folder.

    Args:
        path: the folder; it is made with the first result.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def get(self, key: str) -> bytes | None:
        """Return what is kept under `key`.

        Raises:
            ValueError: the file was damaged.
            OSError: it can't be read.
        """
        try:
            kept = self._file(key).read_bytes()
        except FileNotFoundError:
            return None
        digest, value = kept[:_DIGEST], kept[_DIGEST:]
        if hashlib.sha256(value).digest() != digest:
            raise ValueError(f"{self._file(key)} is damaged")
        return value

    def put(self, key: str, value: bytes) -> None:
        """Keep `value` under `key`; whoever looks sees all of it or nothing.

        Raises:
            OSError: it can't be written.
        """
        file = self._file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as new:
                new.write(hashlib.sha256(value).digest() + value)
            os.replace(name, file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """Return a context that one thread at a time, of all processes, is in for `key`."""
        with _TURNS.of((str(self._path.absolute()), key)), _alone(self._file(f"{key}.lock")):
            yield

    def _file(self, key: str) -> Path:
        return self._path / key[:2] / key


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes out by a file that is there as long as somebody is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with open(path, "ab") as file:
            lock(file, alone=True)
            if is_at(file, path):  # or who had it before has removed it
                try:
                    yield
                finally:
                    path.unlink()
                return
