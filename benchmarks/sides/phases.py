"""What a graph costs before and after its items: a chain, phase by phase.

Each function times its phase alone and hands back the number of nodes as its result.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

from benchmarks import work
from benchmarks.work import Figure
from pipelines import Plumber, check

_ITEMS = 10


def _document(nodes: int, source: Any, sink: Any) -> dict[str, Any]:
    names = [f"node{number}" for number in range(nodes)]
    step = {"func": work.add_one_async, "properties": {"concurrency": 1}}
    specs = dict.fromkeys(names, step)
    specs |= {names[0]: {"func": source}, names[-1]: {"func": sink}}
    links = itertools.pairwise(names)
    return {"nodes": specs, "graph": {name: [follower] for name, follower in links}}


def _trivial(nodes: int) -> dict[str, Any]:
    return _document(nodes, range(_ITEMS), lambda value: None)


def validate(nodes: int) -> Figure:
    """Find the faults of a graph that has none."""
    document = _trivial(nodes)
    began = time.perf_counter()
    problems = check(document)
    taken = time.perf_counter() - began
    assert not problems
    return Figure(nodes, taken)


def build(nodes: int) -> Figure:
    """Make a `Plumber`, which validates too."""
    document = _trivial(nodes)
    began = time.perf_counter()
    plumber = Plumber(document)
    taken = time.perf_counter() - began
    return Figure(len(plumber.nodes), taken)


def run(nodes: int) -> Figure:
    """Start all nodes, and run ten items through them to the end."""
    plumber = Plumber(_trivial(nodes))
    began = time.perf_counter()
    report = asyncio.run(plumber.run())
    taken = time.perf_counter() - began
    assert report.nodes[f"node{nodes - 1}"].received == _ITEMS
    return Figure(nodes, taken)


def drain(nodes: int) -> Figure:
    """Stop the source of a running graph, and wait until the end has gone through all nodes."""

    async def main() -> float:
        arrived = asyncio.Event()

        async def source() -> AsyncIterator[int]:
            for number in range(_ITEMS):
                yield number
            await asyncio.Event().wait()  # for ever, were there no drain

        def sink(value: int) -> None:
            if value == _ITEMS - 1 + nodes - 2:
                arrived.set()

        plumber = Plumber(_document(nodes, source, sink))
        plumber.create_pipeline()
        await arrived.wait()
        began = time.perf_counter()
        await plumber.drain()
        return time.perf_counter() - began

    return Figure(nodes, asyncio.run(main()))
