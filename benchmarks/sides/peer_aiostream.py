"""aiostream: operators on asynchronous generators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiostream import pipe, stream  # type: ignore[import-not-found]

from benchmarks import work
from benchmarks.work import Figure, Total


def _add_all(make: Callable[[], Any]) -> int:
    async def main() -> int:
        total = Total()
        async with make().stream() as streamer:
            async for value in streamer:
                total.add(value)
        return total.value

    return asyncio.run(main())


def _chain(source: Callable[[], Any], step: Any, **options: Any) -> int:
    def make() -> Any:
        each = pipe.map(step, **options)
        return stream.iterate(source()) | each | each | each

    return _add_all(make)


def chain_async(items: int, *, concurrency: int = 1) -> int:
    """Map three coroutine functions, the results in order."""
    return _chain(lambda: range(items), work.add_one_async, task_limit=concurrency)


def chain_sync(items: int) -> int:
    """Map three plain functions."""
    return _chain(lambda: range(items), work.add_one)


def trickle(items: int) -> int:
    """Map three coroutine functions behind a source that suspends before each item."""
    return _chain(lambda: work.trickle(items), work.add_one_async, task_limit=1)


def diamond(items: int) -> int:
    """Zip two streams, each from a source of its own."""

    def make() -> Any:
        left = stream.map(stream.iterate(range(items)), work.add_one_async, task_limit=1)
        right = stream.map(stream.iterate(range(items)), work.twice, task_limit=1)
        return stream.map(left, work.multiply, right)

    return _add_all(make)


def merge(items: int) -> int:
    """Merge four streams, then map a coroutine function."""

    def make() -> Any:
        sources = (stream.iterate(range(k, items, 4)) for k in range(4))
        return stream.merge(*sources) | pipe.map(work.add_one_async, task_limit=1)

    return _add_all(make)


def flat_map(items: int) -> int:
    """Make a stream of each item, one after the other."""

    def make() -> Any:
        def expand(value: int, *_: Any) -> Any:
            return stream.iterate(work.ten(value))

        return stream.iterate(range(items // 10)) | pipe.concatmap(expand, task_limit=1)

    return _add_all(make)


def io(items: int, *, concurrency: int = 50) -> int:
    """Sleep in three stages, the results in order."""
    return _chain(lambda: range(items), work.nap, task_limit=concurrency)


def gap(items: int) -> Figure:
    """Keep the loop busy with two maps of a millisecond each."""
    total = Total()

    async def run() -> None:
        each = pipe.map(work.hold_1ms)
        async with (stream.iterate(range(items)) | each | each).stream() as streamer:
            async for value in streamer:
                total.add(value)

    figure = asyncio.run(work.longest_gap(run()))
    return Figure(total.value, figure.value)


def memory(items: int) -> int:
    """Let a source run against a slow stage."""

    def make() -> Any:
        return stream.iterate(work.dicts(items)) | pipe.map(work.slow_field, task_limit=1)

    return _add_all(make)
