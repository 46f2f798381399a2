"""Programs in the `.pipe` language for tests: steps that note what they are called with."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from running import LONG, ended, really_ended

from pipelines import Plumber, RunReport
from pipelines.frontends import pipelang

FILE = Path(__file__)

#: What the steps below note: a name, and what it was called with.
CALLS: list[tuple[Any, ...]] = []

#: Answers that `scripted` gives one after another, by its value; then the value itself.
ANSWERS: dict[Any, list[Any]] = {}


def program(text: str, *names: str) -> str:
    """Return a program in which some functions of this file are steps."""
    return f"import python ({', '.join(names)}) '{FILE}'\n{text}\n" if names else f"{text}\n"


def run(text: str, *names: str, within: float = LONG, **options: Any) -> RunReport:
    """Run a program on virtual time; `CALLS` then holds the calls of this run alone."""
    CALLS.clear()
    return ended(Plumber(pipelang.load(program(text, *names), **options)).run(), within)


def really_run(text: str, *names: str, **options: Any) -> RunReport:
    """Run a program on real time, as functions in threads need it."""
    CALLS.clear()
    return really_ended(Plumber(pipelang.load(program(text, *names), **options)).run())


def calls(name: str) -> list[Any]:
    """Return what a step was called with, one value each."""
    return [each[1] for each in CALLS if each[0] == name]


# Steps.


async def three() -> list[int]:
    """Give the values that loops go over."""
    CALLS.append(("three",))
    return [1, 2, 3]


async def seen(*values: Any) -> Any:
    """Note the values; give the last."""
    CALLS.append(("seen", *values))
    return values[-1] if values else None


async def tens(value: int) -> list[int]:
    """Give two values for one."""
    return [10 * value, 10 * value + 1]


async def double(value: int) -> int:
    """Double a value."""
    CALLS.append(("double", value))
    return 2 * value


async def scripted(value: Any) -> Any:
    """Answer as `ANSWERS` says for the value."""
    CALLS.append(("scripted", value))
    answers = ANSWERS.get(value)
    answer = answers.pop(0) if answers else value
    if isinstance(answer, Exception):
        raise answer
    return answer


async def stamped(value: Any) -> Any:
    """Note the virtual time."""
    CALLS.append(("stamped", round(asyncio.get_running_loop().time(), 6), value))
    return value


async def slow(value: Any) -> Any:
    """Take a second."""
    await asyncio.sleep(1)
    return value


async def never(value: Any) -> Any:
    """Take for ever."""
    await asyncio.Event().wait()


def lazily() -> Iterator[int]:
    """Yield, and note how far it came, and where."""
    try:
        for number in range(1_000_000):
            CALLS.append(("lazily", number, threading.current_thread() is threading.main_thread()))
            yield number
    finally:
        CALLS.append(("closed",))


async def aloft() -> AsyncIterator[int]:
    """Yield in the event loop."""
    for number in range(3):
        yield number


def give_aloft() -> AsyncIterator[int]:
    """Give an async generator."""
    return aloft()


def where(*values: Any) -> str:
    """Give the name of the thread."""
    return threading.current_thread().name


async def polled(value: Any) -> Any:
    """Note the virtual time, and answer as `scripted`."""
    CALLS.append(("polled", asyncio.get_running_loop().time()))
    answers = ANSWERS.get(value)
    return answers.pop(0) if answers else value
