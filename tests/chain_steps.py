"""Steps for the tests of chains that a graph file, or another process, can name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Self

from pipelines import SKIP
from pipelines.frontends.chain import PipelineBuilder, PythonStep, Source, Step

calls: list[Any] = []


def numbers(count: int = 4) -> Iterator[int]:
    """Be a source."""
    yield from range(count)


def seven() -> int:
    """Be a first step of one result."""
    return 7


def square(number: int) -> int:
    """Multiply a number by itself."""
    return number * number


async def negate(number: int) -> int:
    """Be async."""
    await asyncio.sleep(0)
    return -number


def add(one: int, other: int) -> int:
    """Merge two inputs."""
    return one + other


def odd(number: int) -> Any:
    """Leave even numbers out."""
    return number if number % 2 else SKIP


def fail(value: Any) -> Any:
    """Fail on whatever comes."""
    raise ValueError(f"bad {value}")


def remember(value: Any) -> Any:
    """Note that it was called."""
    calls.append(value)
    return value


async def remember_later(value: Any) -> Any:
    """Note that it was called, after a while."""
    await asyncio.sleep(0)
    calls.append(value)
    return value


class Scaled(Step):
    """Multiply by a factor, and number the calls."""

    def __init__(self, factor: int, offset: int = 0) -> None:
        self.factor = factor
        self.offset = offset
        self.count = 0

    def run(self, value: int) -> tuple[int, int]:
        """Count the call."""
        self.count += 1
        return value * self.factor + self.offset, self.count


class Opened(Step):
    """Say when it is entered and exited."""

    def __enter__(self) -> Self:
        calls.append("enter")
        return self

    def __exit__(self, *error: object) -> None:
        calls.append("exit")

    async def run(self) -> str:
        """Be a first step that is async."""
        calls.append("run")
        return "ran"


def diamond() -> PipelineBuilder:
    """Return the chain of a diamond over a stream."""
    steps = [PythonStep(square), PythonStep(negate)]
    return PipelineBuilder(Source(numbers, args={"count": 4}) >> steps >> PythonStep(add))


def once() -> PipelineBuilder:
    """Return a chain of one item, with every kind of node that a file can hold."""
    first = PythonStep(seven, retry={"attempts": 2, "backoff": "1ms"})
    scaled = Scaled(3, offset=1)
    first >> [scaled, PythonStep(square, cache=True)] >> PythonStep(pair, name="both")
    return PipelineBuilder(first, scaled, name="once")


def pair(*values: Any) -> tuple[Any, ...]:
    """Merge by keeping all."""
    return values
