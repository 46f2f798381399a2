"""The small functions that every side calls, so that all do the same work."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

#: Says how many numbers take 30 µs to sum up, as `machine.spin` found out for all sides: work that
#: is fixed, so that a busy machine does no less of it.
SPIN = "BENCHMARKS_SPIN"
_SUM_30US = int(os.environ.get(SPIN, "3000"))
_SUM_4MS = 132 * _SUM_30US
_ROUNDS = 3  # of sleeps at least, each as many as may be in flight
_SLEEPS = 60  # at least, so that what a run costs by itself weighs little


@dataclass(frozen=True)
class Figure:
    """What a side returns that measures for itself: its result, and the figure."""

    result: Any
    value: float


class Total:
    """A sink that sums, so that each side's result can be checked."""

    def __init__(self) -> None:
        self.value = 0

    def add(self, value: int) -> None:
        """Add one value."""
        self.value += value


class FirstToLast:
    """A clock that starts with the first item asked for: what starts processes stays out."""

    def __init__(self) -> None:
        self._began = 0.0

    def source(self, count: int) -> Iterator[int]:
        """Yield numbers, and start the clock at the first."""
        self._began = time.perf_counter()
        yield from range(count)

    def figure(self, result: Any) -> Figure:
        """Return a result with the seconds since the first item."""
        return Figure(result, time.perf_counter() - self._began)


# Trivial steps: what is measured is what lies between them.


def add_one(value: int) -> int:
    """Return the next number."""
    return value + 1


async def add_one_async(value: int) -> int:
    """Return the next number, as a coroutine."""
    return value + 1


async def twice(value: int) -> int:
    """Return twice a number."""
    return 2 * value


def multiply(left: int, right: int) -> int:
    """Join two branches; a wrong pair gives a wrong sum of products."""
    return left * right


def ten(value: int) -> Iterator[int]:
    """Yield ten numbers for one."""
    for digit in range(10):
        yield 10 * value + digit


def add_one_each(values: Iterator[int]) -> Iterator[int]:
    """Yield the next number of each: a step in the form of a generator."""
    for value in values:
        yield value + 1


async def trickle(count: int) -> AsyncIterator[int]:
    """Yield numbers, really suspending before each."""
    for number in range(count):
        await asyncio.sleep(0)
        yield number


# Steps that wait.


class Flight:
    """Sleeps of which a given number shall be in the air at once, and the time that they cost."""

    def __init__(self, calls: int) -> None:
        self.items = calls * max(_ROUNDS, -(-_SLEEPS // calls))
        # Long enough for all of them to take off before the first one lands.
        self._seconds = max(0.01, 100e-6 * calls)
        self._now = self._most = self._landed = 0

    async def nap(self, value: int) -> int:
        """Be in the air for a while."""
        self._now += 1
        self._most = max(self._most, self._now)
        await asyncio.sleep(self._seconds)
        self._now -= 1
        return value

    def land(self, value: int) -> None:
        """Count one that has come to the end."""
        self._landed += 1

    def figure(self, run: Callable[[], None]) -> Figure:
        """Run, and return how many were in the air at most, with the CPU seconds of one."""
        began = time.process_time()
        run()
        taken = time.process_time() - began
        if self._landed != self.items:
            raise AssertionError(f"{self._landed} of {self.items} have landed")
        return Figure(self._most, taken / self.items)


async def nap(value: int) -> int:
    """Take 5 ms, as a quick service would."""
    await asyncio.sleep(0.005)
    return value + 1


async def uneven_nap(value: int) -> int:
    """Take 1 to 9 ms, differently for neighbours and the same in every run."""
    await asyncio.sleep(0.001 * (1 + value * 7919 % 9))
    return value + 1


def nap_sync(value: int) -> int:
    """Take 5 ms of a thread."""
    time.sleep(0.005)
    return value + 1


# Steps with a weight in memory.


def dicts(count: int) -> Iterator[dict[str, int]]:
    """Yield small records."""
    for number in range(count):
        yield {"n": number}


async def slow_field(record: dict[str, int]) -> int:
    """Return the number of a record, slower than records can be made."""
    if record["n"] % 10 == 0:
        await asyncio.sleep(0)
    return record["n"]


def slow_field_sync(record: dict[str, int]) -> int:
    """Return the number of a record, slower than records can be made."""
    if record["n"] % 10 == 0:
        time.sleep(0)
    return record["n"]


# Steps that compute.


def spin_30us(value: int) -> int:
    """Compute for about 30 microseconds."""
    return value + sum(range(_SUM_30US)) % 2


def spin_4ms(value: int) -> int:
    """Compute for about 4 milliseconds."""
    return value + sum(range(_SUM_4MS)) % 2


def hold_1ms(value: int) -> int:
    """Hold the processor for a millisecond of its time."""
    until = time.thread_time() + 0.001
    while time.thread_time() < until:
        pass
    return value + 1


async def longest_gap(run: Awaitable[Any]) -> Figure:
    """Await a run, and measure how long it keeps another task waiting, in CPU milliseconds.

    In CPU time, as else the neighbours on the machine would be blamed on the run.
    """
    longest = 0.0

    async def heartbeat() -> None:
        nonlocal longest
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest = max(longest, now - last)
            last = now

    beating = asyncio.create_task(heartbeat())
    result = await run
    await asyncio.sleep(0)  # the last gap ends here
    beating.cancel()
    return Figure(result, 1000 * longest)
