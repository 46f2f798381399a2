"""paipa: nested generators, and steps in threads joined by queues."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

# Its threaded pipeline still asks with the name that Python 3.9 took away.
threading.Thread.isAlive = threading.Thread.is_alive  # type: ignore[attr-defined]

import paipa  # type: ignore[import-not-found]  # noqa: E402

from benchmarks import work  # noqa: E402
from benchmarks.work import Total  # noqa: E402


def chain_sync(items: int) -> int:
    """Nest three generators."""
    return sum(paipa.combine_pipeline(range(items), [work.add_one_each] * 3))


def generators(items: int) -> int:
    """Nest three generators."""
    return chain_sync(items)


def flat_map(items: int) -> int:
    """Nest a generator that yields ten for one."""

    def expand(values: Iterable[int]) -> Iterable[int]:
        for value in values:
            yield from work.ten(value)

    return sum(paipa.combine_pipeline(range(items // 10), [expand]))


def _threads(values: Iterable[Any], steps: list[Callable[[Any], Any]], workers: int) -> int:
    total = Total()
    parts = [(paipa.funcstep(step), workers) for step in steps]
    pipeline = paipa.Pipeline([*parts, (paipa.funcstep(total.add), 1)])
    pipeline.put_iterable(values)
    pipeline.run()
    return total.value


def chain_threads(items: int) -> int:
    """Run three steps of one thread each."""
    return _threads(range(items), [work.add_one] * 3, 1)


def io(items: int, *, concurrency: int = 50) -> int:
    """Sleep in three stages of threads, the results in no order."""
    return _threads(range(items), [work.nap_sync] * 3, concurrency)


def memory(items: int) -> int:
    """Let a source run against a slow stage."""
    return _threads(work.dicts(items), [work.slow_field_sync], 1)
