"""streamz: nodes that push each item on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from streamz import Stream  # type: ignore[import-not-found]

from benchmarks import work
from benchmarks.work import Total


class _Sink:
    """Adds what comes, and tells when all has come."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.total = Total()
        self.done = asyncio.Event()

    def add(self, value: int) -> None:
        self.total.add(value)
        self._left -= 1
        if not self._left:
            self.done.set()


def _push(values: Iterable[Any], count: int, build: Callable[[Any], Any]) -> int:
    """Send values in at one end and wait until so many came out at the other."""

    async def main() -> int:
        sink, source = _Sink(count), Stream(asynchronous=True)
        build(source).sink(sink.add)
        await _emit(source, values)
        await sink.done.wait()
        return sink.total.value

    return asyncio.run(main())


async def _emit(source: Any, values: Iterable[Any]) -> None:
    for value in values:
        await source.emit(value)


def chain_async(items: int, *, concurrency: int = 1) -> int:
    """Map three coroutine functions, the results in order."""

    def build(source: Any) -> Any:
        for _ in range(3):
            source = source.map_async(work.add_one_async, parallelism=concurrency)
        return source

    return _push(range(items), items, build)


def chain_sync(items: int) -> int:
    """Map three plain functions."""

    def build(source: Any) -> Any:
        return source.map(work.add_one).map(work.add_one).map(work.add_one)

    return _push(range(items), items, build)


def diamond(items: int) -> int:
    """Zip two branches."""

    def build(source: Any) -> Any:
        left = source.map_async(work.add_one_async)
        return left.zip(source.map_async(work.twice), maxsize=100).starmap(work.multiply)

    return _push(range(items), items, build)


def merge(items: int) -> int:
    """Push four sources at a time into one node."""

    async def main() -> int:
        sink = _Sink(items)
        sources = [Stream(asynchronous=True) for _ in range(4)]
        sources[0].union(*sources[1:]).map_async(work.add_one_async).sink(sink.add)
        emitting = (_emit(source, range(k, items, 4)) for k, source in enumerate(sources))
        await asyncio.gather(*emitting)
        await sink.done.wait()
        return sink.total.value

    return asyncio.run(main())


def wide_chain(nodes: int) -> int:
    """Build and run a long chain."""

    def build(source: Any) -> Any:
        for _ in range(nodes - 2):
            source = source.map_async(work.add_one_async)
        return source

    return _push(range(10), 10, build)


def wide_branches(nodes: int) -> int:
    """Build and run many branches of one source, and their join."""

    def build(source: Any) -> Any:
        first, *others = (source.map_async(work.add_one_async) for _ in range(nodes - 3))
        return first.zip(*others, maxsize=100).map(sum)

    return _push(range(10), 10, build)


def flat_map(items: int) -> int:
    """Make ten items of each."""
    return _push(range(items // 10), items, lambda source: source.map(work.ten).flatten())


def io(items: int, *, concurrency: int = 50) -> int:
    """Sleep in three stages, the results in order."""

    def build(source: Any) -> Any:
        for _ in range(3):
            source = source.map_async(work.nap, parallelism=concurrency)
        return source

    return _push(range(items), items, build)


def memory(items: int) -> int:
    """Let a source run against a slow stage."""
    return _push(work.dicts(items), items, lambda source: source.map_async(work.slow_field))
