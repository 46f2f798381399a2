"""bytewax: a dataflow engine in Rust that calls plain Python functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import bytewax.operators as op  # type: ignore[import-not-found]
from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
from bytewax.inputs import (  # type: ignore[import-not-found]
    DynamicSource,
    StatelessSourcePartition,
)
from bytewax.outputs import (  # type: ignore[import-not-found]
    DynamicSink,
    StatelessSinkPartition,
)
from bytewax.testing import run_main  # type: ignore[import-not-found]

from benchmarks import work
from benchmarks.work import Total

_BATCH = 100


class _Batches(StatelessSourcePartition):  # type: ignore[misc]
    def __init__(self, values: Iterator[Any], size: int) -> None:
        self._values = values
        self._size = size

    def next_batch(self) -> list[Any]:
        if not (batch := list(islice(self._values, self._size))):
            raise StopIteration
        return batch


class _Source(DynamicSource):  # type: ignore[misc]
    def __init__(self, values: Iterable[Any], size: int) -> None:
        self._values = iter(values)
        self._size = size

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Batches:
        return _Batches(self._values, self._size)


class _AddAll(StatelessSinkPartition):  # type: ignore[misc]
    def __init__(self, add: Callable[[Any], None]) -> None:
        self._add = add

    def write_batch(self, items: list[Any]) -> None:
        for item in items:
            self._add(item)


class _Sink(DynamicSink):  # type: ignore[misc]
    def __init__(self, add: Callable[[Any], None]) -> None:
        self._add = add

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _AddAll:
        return _AddAll(self._add)


def _run(build: Callable[[Any], Any], add: Callable[[Any], None]) -> None:
    flow = Dataflow("flow")
    op.output("sink", build(flow), _Sink(add))
    run_main(flow)


def _line(values: Iterable[Any], steps: list[Callable[[Any], Any]], batch: int = _BATCH) -> int:
    total = Total()

    def build(flow: Any) -> Any:
        stream = op.input("source", flow, _Source(values, batch))
        for number, step in enumerate(steps):
            stream = op.map(f"step{number}", stream, step)
        return stream

    _run(build, total.add)
    return total.value


def chain_sync(items: int, *, batch: int = _BATCH) -> int:
    """Map three plain functions."""
    return _line(range(items), [work.add_one] * 3, batch)


def diamond(items: int) -> int:
    """Join two branches by a key, which here is the number itself."""
    total = Total()

    def build(flow: Any) -> Any:
        source = op.input("source", flow, _Source(range(items), _BATCH))
        left = op.map("left", source, lambda value: (str(value), value + 1))
        right = op.map("right", source, lambda value: (str(value), 2 * value))
        joined = op.join("join", left, right)
        return op.map("multiply", joined, lambda pair: work.multiply(*pair[1]))

    _run(build, total.add)
    return total.value


def merge(items: int) -> int:
    """Merge four sources into one plain function."""
    total = Total()

    def build(flow: Any) -> Any:
        sources = [
            op.input(f"source{k}", flow, _Source(range(k, items, 4), _BATCH)) for k in range(4)
        ]
        return op.map("step", op.merge("merge", *sources), work.add_one)

    _run(build, total.add)
    return total.value


def wide_chain(nodes: int) -> int:
    """Build and run a long chain."""
    return _line(range(10), [work.add_one] * (nodes - 2))


def flat_map(items: int) -> int:
    """Make ten items of each."""
    total = Total()

    def build(flow: Any) -> Any:
        source = op.input("source", flow, _Source(range(items // 10), _BATCH))
        return op.flat_map("ten", source, work.ten)

    _run(build, total.add)
    return total.value


def memory(items: int) -> int:
    """Let a source run against a slow stage."""
    return _line(work.dicts(items), [work.slow_field_sync])
