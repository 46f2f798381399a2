"""Steps that worker processes can import."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipelines import SKIP, Route


def same(value: Any) -> Any:
    """Return what came."""
    return value


def double(value: int) -> int:
    """Return twice the value."""
    return value * 2


def add(*values: int) -> int:
    """Return the sum of a row."""
    return sum(values)


def even(value: int) -> Any:
    """Let even values pass."""
    return value if value % 2 == 0 else SKIP


def thrice(value: Any) -> Iterator[Any]:
    """Yield the value three times."""
    yield from [value] * 3


def by_parity(value: int) -> Route:
    """Send even and odd values to nodes of these names."""
    return Route("odd" if value % 2 else "even", value)


def fails_on_three(value: Any) -> Any:
    """Fail on one value."""
    if value == 3:
        raise ValueError(f"no {value}")
    return value


def yields_then_fails(value: Any) -> Iterator[Any]:
    """Yield a value, then fail on one of them."""
    yield value
    if value == 3:
        raise ValueError(f"no {value}")


def fails_then_yields(value: Any) -> Iterator[Any]:
    """Yield a value, but fail on one of them before."""
    yield fails_on_three(value)


def first_is_slow(value: Any) -> Any:
    """Take longer for one value."""
    if value == 0:
        time.sleep(0.3)
    return value


def lingers_on_one(value: Any, folder: str) -> Any:
    """Have the process end at one value, but not before a file says so; say which one it is."""
    if value == 1:
        (Path(folder) / "pid").write_text(str(os.getpid()))
        threading.Thread(target=_wait_for, args=(Path(folder) / "over",)).start()
        raise SystemExit(7)
    return value


def _wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.01)


def leaves_a_fork_on_three(value: Any, folder: str) -> Any:
    """Die at one value, and leave a copy of the process behind until a file says so."""
    if value == 3:
        if os.fork() == 0:
            _wait_for(Path(folder) / "over")
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def naps(value: Any) -> Any:
    """Take a little time."""
    time.sleep(0.01)
    return value


def sleeps_on_three(value: Any) -> Any:
    """Never return for one value."""
    if value == 3:
        time.sleep(60)
    return value


def raises_cancelled(value: Any) -> Any:
    """Raise what only asyncio should."""
    raise asyncio.CancelledError(value)


def raises_stop(value: Any) -> Any:
    """Raise `StopIteration` on one value, as a bare `next` does."""
    return next(iter([])) if value == 3 else value


def dies_on_three(value: Any) -> Any:
    """Kill its own process at one value."""
    if value == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def dies_once_on_three(value: Any, mark: str) -> Any:
    """Kill its own process at one value, if that has not happened before."""
    path = Path(mark)
    if value == 3 and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def quits_on_three(value: Any) -> Any:
    """End its own process at one value."""
    if value == 3:
        raise SystemExit(7)
    return value


def unpicklable(value: Any) -> Any:
    """Return for one value what can't travel."""
    return (lambda: value) if value == 3 else value


class Trap:
    """Pickles, but can't be unpickled in a worker process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return spring, ()


def spring() -> Any:
    """Fail in a worker process, and in any other when what was sent there comes back."""
    if multiprocessing.parent_process() is not None:
        raise ValueError("sprung")
    return Trap()


class WorkerOnly(Exception):
    """Can be unpickled in a worker process alone."""

    def __reduce__(self) -> tuple[Any, ...]:
        return tread, ()


class Riddle:
    """Pickles, but can't be unpickled in a worker, nor can what that raises be in the program."""

    def __reduce__(self) -> tuple[Any, ...]:
        return puzzle, ()


def puzzle() -> Any:
    """Fail in a worker process, with an error that can't leave it."""
    if multiprocessing.parent_process() is not None:
        raise WorkerOnly("no idea")
    return Riddle()


class Killer:
    """Pickles, and ends the worker process where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return strike, ()


def strike() -> Any:
    """End the worker process."""
    if multiprocessing.parent_process() is not None:
        os._exit(9)
    return Killer()


class Bomb:
    """Pickles, but can't be unpickled anywhere."""

    def __reduce__(self) -> tuple[Any, ...]:
        return explode, ()


def explode() -> Any:
    """Fail."""
    raise ValueError("exploded")


def bomb_on_three(value: Any) -> Any:
    """Return for one value what can't be unpickled."""
    return Bomb() if value == 3 else value


class Mine:
    """Pickles, but can't be unpickled in the program, for want of a file as it were."""

    def __reduce__(self) -> tuple[Any, ...]:
        return tread, ()


def tread() -> Any:
    """Fail in the program."""
    if multiprocessing.parent_process() is None:
        raise FileNotFoundError("no such file")
    return Mine()


def mine_on_three(value: Any) -> Any:
    """Return for one value what the program can't unpickle."""
    return Mine() if value == 3 else value


class Awkward(Exception):
    """Pickles, but can't be unpickled: its constructor takes more than its message."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def awkward(value: Any) -> Any:
    """Raise an error that can't travel as it is."""
    raise Awkward("very", "awkward")


class Diary:
    """Writes what happens to it into a file."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def note(self, text: str) -> None:
        """Write one line."""
        with self.path.open("a") as file:
            file.write(f"{text}\n")

    def __enter__(self) -> Self:
        self.note("enter")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.note(f"exit {kind and kind.__name__}")

    def __call__(self, value: Any) -> Any:
        return fails_on_three(value)


class NeverReady:
    """Never gets constructed."""

    def __init__(self) -> None:
        time.sleep(60)

    def __call__(self, value: Any) -> Any:
        return value


class NotReady:
    """Can't be constructed."""

    def __init__(self) -> None:
        raise StopIteration("no more")

    def __call__(self, value: Any) -> Any:
        return value


class OnlyOne:
    """A class whose second instance can't be made.

    Args:
        folder: an empty one, for the mark of who came.
    """

    def __init__(self, folder: str) -> None:
        try:
            (Path(folder) / "first").touch(exist_ok=False)
        except FileExistsError:
            raise RuntimeError("only one of us") from None

    def __call__(self, value: Any) -> Any:
        """Return the value."""
        return value


class BadExit:
    """Fails at its exit."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        raise ValueError("exit failed")

    def __call__(self, value: Any) -> Any:
        return value


class NeverGone:
    """Never comes back from its exit."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(60)

    def __call__(self, value: Any) -> Any:
        return value
