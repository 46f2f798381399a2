"""This library, through what a user sees of it: a graph as a dict, and `Plumber`."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from benchmarks import work
from benchmarks.work import Figure, FirstToLast, Total
from pipelines import Plumber

Document = dict[str, Any]


def _run(document: Document) -> None:
    report = asyncio.run(Plumber(document).run())
    assert report.ok


def _line(
    source: Any, steps: list[Callable[..., Any]], sink: Callable[..., Any], **properties: Any
) -> Document:
    """Return a chain: the properties hold for each of the steps between source and sink."""
    middle = {
        f"step{number}": {"func": step, "properties": properties}
        for number, step in enumerate(steps)
    }
    names = ["source", *middle, "sink"]
    return {
        "nodes": {"source": {"func": source}, **middle, "sink": {"func": sink}},
        "graph": {name: [follower] for name, follower in itertools.pairwise(names)},
    }


def chain_async(
    items: int, *, concurrency: int = 1, buffer: int = 100, trickling: bool = False
) -> int:
    """Run a source, three coroutine functions and a sink."""
    total = Total()
    source = (lambda: work.trickle(items)) if trickling else range(items)
    document = _line(source, [work.add_one_async] * 3, total.add, concurrency=concurrency)
    _run({**document, "defaults": {"buffer_size": buffer}})
    return total.value


def chain_sync(items: int) -> int:
    """Run a source, three plain functions and a sink."""
    total = Total()
    _run(_line(range(items), [work.add_one] * 3, total.add))
    return total.value


def diamond(items: int) -> int:
    """Run two branches and join them by position."""
    total = Total()
    one = {"concurrency": 1}
    _run(
        {
            "nodes": {
                "source": {"func": range(items)},
                "left": {"func": work.add_one_async, "properties": one},
                "right": {"func": work.twice, "properties": one},
                "join": {"func": work.multiply},
                "sink": {"func": total.add},
            },
            "graph": {
                "source": ["left", "right"],
                "left": ["join"],
                "right": ["join"],
                "join": ["sink"],
            },
        }
    )
    return total.value


def merge(items: int) -> int:
    """Run four sources into one step."""
    total = Total()
    sources = {f"source{k}": {"func": range(k, items, 4)} for k in range(4)}
    one = {"aggregate_inputs": False, "concurrency": 1}
    _run(
        {
            "nodes": {
                **sources,
                "merge": {"func": work.add_one_async, "properties": one},
                "sink": {"func": total.add},
            },
            "graph": {**{name: ["merge"] for name in sources}, "merge": ["sink"]},
        }
    )
    return total.value


def flat_map(items: int) -> int:
    """Make ten items of each."""
    total = Total()
    _run(_line(range(items // 10), [work.ten], total.add))
    return total.value


def io(items: int, *, concurrency: int = 50, jitter: bool = False, ordered: bool = True) -> int:
    """Sleep in three stages."""
    total = Total()
    step = work.uneven_nap if jitter else work.nap
    _run(_line(range(items), [step] * 3, total.add, concurrency=concurrency, ordered=ordered))
    return total.value


def memory(items: int) -> int:
    """Let a source run against a slow stage."""
    total = Total()
    _run(_line(lambda: work.dicts(items), [work.slow_field], total.add, concurrency=1))
    return total.value


def _cpu(items: int, step: Callable[[int], int]) -> Figure:
    total, clock = Total(), FirstToLast()
    document = _line(
        lambda: clock.source(items), [step], total.add, executor="process", concurrency=2
    )
    _run(document)
    return clock.figure(total.value)


def cpu_4ms(items: int) -> Figure:
    """Compute in two processes."""
    return _cpu(items, work.spin_4ms)


def cpu_30us(items: int) -> Figure:
    """Compute a little for each of many items in two processes."""
    return _cpu(items, work.spin_30us)


def _wide_chain(nodes: int, source: Any, sink: Callable[..., Any], **properties: Any) -> Document:
    return _line(source, [work.add_one_async] * (nodes - 2), sink, **properties)


def wide_chain(nodes: int, *, items: int = 10, concurrency: int | None = 1) -> int:
    """Validate, build and run a long chain."""
    total = Total()
    properties = {} if concurrency is None else {"concurrency": concurrency}
    _run(_wide_chain(nodes, range(items), total.add, **properties))
    return total.value


def wide_branches(nodes: int, *, items: int = 10) -> int:
    """Validate, build and run many branches of one source, and their join."""
    total = Total()
    step = {"func": work.add_one_async, "properties": {"concurrency": 1}}
    branches = {f"branch{number}": step for number in range(nodes - 3)}
    _run(
        {
            "nodes": {
                "source": {"func": range(items)},
                **branches,
                "join": {"func": lambda *values: sum(values)},
                "sink": {"func": total.add},
            },
            "graph": {
                "source": list(branches),
                **{name: ["join"] for name in branches},
                "join": ["sink"],
            },
        }
    )
    return total.value


def gap(items: int) -> Figure:
    """Keep the loop busy with two nodes of a millisecond each."""
    total = Total()
    document = _line(range(items), [work.hold_1ms] * 2, total.add)

    async def main() -> Figure:
        return await work.longest_gap(Plumber(document).run())

    figure = asyncio.run(main())
    return Figure(total.value, figure.value)


def idle(items: int, *, features: tuple[str, ...] = (), concurrency: int = 1) -> int:
    """Run the chain with features switched on that have nothing to do."""
    total = Total()
    known: dict[str, dict[str, Any]] = {
        "retry": {"retry": {"attempts": 3}},
        "timeout": {"timeout": "10s"},
        "dead_letter": {"on_error": "dead_letter"},
    }
    properties: dict[str, Any] = {"concurrency": concurrency}
    for feature in features:
        properties |= known[feature]
    document = _line(range(items), [work.add_one_async] * 3, total.add, **properties)
    letters: list[Any] = []
    if "dead_letter" in features:
        document["dead_letter"] = {"func": letters.append}
    _run(document)
    assert not letters
    return total.value


def generators(items: int) -> int:
    """Run nested generators through the front end for them."""
    from pipelines.frontends.generators import combine_pipeline

    return sum(combine_pipeline(range(items), [work.add_one_each] * 3))


def sleeps(calls: int) -> Figure:
    """Keep many sleeps in flight."""
    flight = work.Flight(calls)
    document = _line(range(flight.items), [flight.nap], flight.land, concurrency=calls)
    return flight.figure(lambda: _run(document))
