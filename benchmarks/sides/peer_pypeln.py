"""pypeln: stages joined by queues, on tasks, threads or processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pypeln  # type: ignore[import-not-found]

from benchmarks import work
from benchmarks.work import Figure, FirstToLast, Total


async def _add_all(stage: Any) -> int:
    total = Total()
    async for value in stage:
        total.add(value)
    return total.value


def chain_async(items: int, *, concurrency: int = 1) -> int:
    """Run three stages of tasks; with more than one worker, in no order."""

    async def main() -> int:
        stage = range(items)
        for _ in range(3):
            stage = pypeln.task.map(work.add_one_async, stage, workers=concurrency, maxsize=100)
        return await _add_all(stage)

    return asyncio.run(main())


def _chain(module: Any, items: int, **options: Any) -> int:
    total = Total()
    stage = range(items)
    for _ in range(3):
        stage = module.map(work.add_one, stage, **options)
    for value in stage:
        total.add(value)
    return total.value


def chain_sync(items: int) -> int:
    """Run three stages that pull from each other."""
    return _chain(pypeln.sync, items)


def chain_threads(items: int) -> int:
    """Run three stages of one thread each."""
    return _chain(pypeln.thread, items, workers=1, maxsize=100)


def merge(items: int) -> int:
    """Merge four sources, then run a stage of tasks."""

    async def main() -> int:
        sources = [pypeln.task.from_iterable(range(k, items, 4), maxsize=100) for k in range(4)]
        merged = pypeln.task.concat(sources, maxsize=100)
        return await _add_all(pypeln.task.map(work.add_one_async, merged, workers=1, maxsize=100))

    return asyncio.run(main())


def wide_chain(nodes: int) -> int:
    """Build and run a long chain."""

    async def main() -> int:
        stage = range(10)
        for _ in range(nodes - 2):
            stage = pypeln.task.map(work.add_one_async, stage, workers=1, maxsize=100)
        return await _add_all(stage)

    return asyncio.run(main())


def flat_map(items: int) -> int:
    """Make ten items of each, in stages that pull from each other."""
    total = Total()
    for value in pypeln.sync.flat_map(work.ten, range(items // 10)):
        total.add(value)
    return total.value


def io(items: int, *, concurrency: int = 50) -> int:
    """Sleep in three stages, the results in no order."""

    async def main() -> int:
        stage = range(items)
        for _ in range(3):
            stage = pypeln.task.map(work.nap, stage, workers=concurrency, maxsize=100)
        return await _add_all(stage)

    return asyncio.run(main())


def memory(items: int) -> int:
    """Let a source run against a slow stage, with a bound of 100 asked for."""

    async def main() -> int:
        source = work.dicts(items)
        return await _add_all(pypeln.task.map(work.slow_field, source, workers=1, maxsize=100))

    return asyncio.run(main())


def _cpu(items: int, step: Callable[[int], int]) -> Figure:
    total, clock = Total(), FirstToLast()
    source = clock.source(items)
    for value in pypeln.process.map(step, source, workers=2, maxsize=100):
        total.add(value)
    return clock.figure(total.value)


def cpu_4ms(items: int) -> Figure:
    """Compute in two processes, the results in no order."""
    return _cpu(items, work.spin_4ms)


def cpu_30us(items: int) -> Figure:
    """Compute a little for each of many items in two processes, the results in no order."""
    return _cpu(items, work.spin_30us)
