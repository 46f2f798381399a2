"""Steps for hosts elsewhere, by name; what they saw is told by files, or by what comes back."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from pipelines import SKIP, Route
from pipelines.step import StreamStep


def collector(into: list[Any]) -> type[StreamStep]:
    """Return a step that keeps all items here: whole streams are taken in this process."""

    class Collector(StreamStep):
        def stream(self, items: Iterator[Any]) -> None:
            into.extend(items)

    return Collector


class Watched(list[Any]):
    """A list that a step of this process fills."""

    def step(self) -> type[StreamStep]:
        """Return that step."""
        into = self

        class Watching(StreamStep):
            def stream(self, items: Iterator[Any]) -> None:
                for item in items:
                    into.append(item)

        return Watching


def same(item: Any) -> Any:
    """Change nothing."""
    return item


def double(item: int) -> int:
    """Double a number."""
    return 2 * item


def add(left: int, right: int) -> int:
    """Add what a join pairs."""
    return left + right


async def wait_a_moment(item: int) -> int:
    """Wait, those longer that come first."""
    await asyncio.sleep((7 - item % 7) * 0.001)
    return -item


def spread(item: int) -> Iterator[int]:
    """Give up to three values."""
    yield from [item] * (item % 4)


async def spread_async(item: int) -> AsyncIterator[int]:
    """Give two values."""
    yield item
    await asyncio.sleep(0)
    yield -item


def sort(item: int) -> Any:
    """Send a number to one of two nodes."""
    return Route("odd" if item % 2 else "even", item)


def leave_out(item: int) -> Any:
    """Leave each third one out."""
    return SKIP if item % 3 == 0 else item


def refuse_tenth(item: int) -> int:
    """Fail on each tenth."""
    if item % 10 == 3:
        raise ValueError(f"no {item}")
    return item


async def stall_tenth(item: int) -> int:
    """Never return for each hundredth."""
    if item % 100 == 5:
        await asyncio.Event().wait()
    return item


class FailsFirst:
    """Fails on each item once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def __call__(self, item: int) -> int:
        """Return the item the second time."""
        if item not in self._seen:
            self._seen.add(item)
            raise ConnectionError("try again")
        return item


class Resource:
    """Notes in a file when it is entered, called first, and exited."""

    def __init__(self, notes: str) -> None:
        self._notes = Path(notes)

    def _note(self, text: str) -> None:
        with self._notes.open("a") as opened:
            opened.write(f"{text}\n")

    def __enter__(self) -> None:
        self._note("enter")

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._note("exit" if kind is None else f"exit {kind.__name__}")

    def __call__(self, item: Any) -> Any:
        """Change nothing."""
        return item


class Sum:
    """Adds up, and can say what it has."""

    def __init__(self, notes: str) -> None:
        self._total = 0
        self._notes = notes

    def __call__(self, item: int) -> int:
        """Return the sum of all items so far."""
        append(self._notes, item)
        self._total += item
        return self._total

    def checkpoint(self) -> int:
        """Say the sum."""
        return self._total

    def restore(self, state: int) -> None:
        """Take a sum back."""
        self._total = state


class Forgetful:
    """Adds up, and can't say what it has."""

    def __init__(self) -> None:
        self._total = 0

    def __call__(self, item: int) -> int:
        """Return the sum of all items so far."""
        self._total += item
        return self._total


def append(file: str, item: int) -> None:
    """Write a line, which is there when this process is killed next."""
    with open(file, "a") as opened:
        opened.write(f"{item}\n")


class Noting:
    """Writes each item that it is called with to a file."""

    def __init__(self, notes: str) -> None:
        self._file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def __exit__(self, *exception: object) -> None:
        os.close(self._file)

    def __enter__(self) -> None: ...

    def __call__(self, item: int) -> int:
        """Note the item and change nothing."""
        os.write(self._file, b"%d\n" % item)
        return item


def die_at_13(item: int) -> int:
    """End the process, each time that it gets there."""
    if item == 13:
        os._exit(1)
    return item


async def seed_upper(self: Any, q_elt: tuple[str, ...]) -> str:
    """Do as the first steps of this library did: with the node itself, and a tuple."""
    return f"{q_elt[0]}{self.env_vars['suffix']}"


class Unpicklable(Exception):
    """An error with a constructor of its own, that pickling calls wrongly."""

    def __init__(self, left: int, right: int) -> None:
        super().__init__(f"{left} and {right}")


def raise_unpicklable(item: int) -> int:
    """Fail with an error that can't travel."""
    raise Unpicklable(item, item)


def deep(item: int) -> int:
    """Fail in a function of its own."""
    return _deeper(item)


def _deeper(item: int) -> int:
    raise LookupError(f"nothing for {item}")


def end_program(item: int) -> int:
    """Ask for the end of the program."""
    raise SystemExit(7)


def interrupt(item: int) -> int:
    """Act as Ctrl-C."""
    raise KeyboardInterrupt


def give_lock(item: int) -> Any:
    """Return what no other process can have."""
    return threading.Lock()


def refuse_to_be_told(item: int) -> int:
    """Fail with an item in hand that can't travel."""
    raise ValueError("no")
