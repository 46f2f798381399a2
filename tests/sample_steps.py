"""Steps for the tests of `check`: one of each kind, importable by name."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

from pipelines import step
from pipelines.step import Later

NUMBERS = [1, 2, 3]
ANSWER = 42


def source(count: int = 3) -> Iterator[int]:
    """Yield numbers."""
    yield from range(count)


def inc(item: int, by: int = 1) -> int:
    """Add."""
    return item + by


def needs(item: int, url: str) -> str:
    """Need an argument beside the item."""
    return f"{url}/{item}"


def add(left: int, right: int) -> int:
    """Join two inputs."""
    return left + right


def several(*items: int) -> int:
    """Join any number of inputs."""
    return sum(items)


def split(item: int) -> Iterator[int]:
    """Yield several values for one item."""
    yield from range(item)


def only_by_position(item: int, limit: int, /) -> int:
    """Take nothing by name."""
    return min(item, limit)


def anything(item: int, **options: Any) -> dict[str, Any]:
    """Take any argument."""
    return options


async def fetch(item: int, timeout: float = 5) -> int:
    """Be asynchronous."""
    await asyncio.sleep(timeout)
    return item


async def stream(item: int) -> AsyncIterator[int]:
    """Be an asynchronous generator."""
    yield item


async def seed_fetch(self: Any = None, q_elt: Any = None, timeout: float = 5) -> Any:
    """Follow the seed's protocol."""
    return q_elt[0]


async def seed_source(self: Any, output_q: Any, count: int = 3) -> None:
    """Follow the seed's protocol, at an input node."""
    for number in range(count):
        await output_q.put(number)


async def seed_generator(self: Any, output_q: Any) -> AsyncIterator[int]:
    """Be what the seed's protocol does not know."""
    yield 1


class Seed:
    """Seed steps as they are written there."""

    @classmethod
    async def reverse(cls, self: Any = None, q_elt: Any = None) -> Any:
        """Reverse a text."""
        return q_elt[0][::-1]


class Store:
    """A step with a constructor, an entry and an exit."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, item: int) -> None:
        """Take an item."""


class AsyncEntered:
    """A synchronous step that only an event loop can enter."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    def __call__(self, item: int) -> int:
        """Take an item."""
        return item


class AsyncStep:
    """An asynchronous step as a class."""

    async def __call__(self, item: int) -> int:
        """Take an item."""
        return item


class Flat:
    """A class without `__call__` is a function from an item to an instance."""

    def __init__(self, item: int, unit: str = "m") -> None:
        self.item = item


def poll(item: int) -> Any:
    """Ask for the item again."""
    return Later(1) if item else item


def poll_by_module(item: int) -> Any:
    """Ask for the item again, by another name."""
    return next(step.Later(1) for _ in range(item))


class Poller:
    """Ask for each item again, as a class."""

    def __call__(self, item: int) -> Any:
        """Take an item."""
        return Later(1)


def make_local() -> Any:
    """Return a function that no other process can find by its name."""

    def local(item: int) -> int:
        return item

    return local


def write_letter(letter: Any, path: str = "dead.jsonl") -> None:
    """Take a dead letter."""


local = make_local()
local_partial = functools.partial(local)
partial_inc = functools.partial(inc, by=2)
instance = Store("x")
