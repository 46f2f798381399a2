"""What is measured, who takes part in it, and what must hold: the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.model import OURS, Flat, Growth, Side, Unit, Workload
from benchmarks.stats import above, costs, faster, most

__all__ = ["GROWTHS", "WORKLOADS"]

_NS_PER_ITEM = Unit("ns/item", 1e9, per_item=True)
_US_PER_NODE = Unit("µs/node", 1e6, per_item=True)
_US_PER_CALL = Unit("CPU µs/call", 1e6)  # measured by the side itself
_MILLISECONDS = Unit("ms", 1e3)
_OWN_MILLISECONDS = Unit("ms")  # measured by the side itself
_SECONDS = Unit("s")
_MEGABYTES = Unit("MB")

_FIFTY: dict[str, Any] = {"concurrency": 50}
_IN_NO_ORDER = "results in no order"

_FLOOR = Side("floor", "floor")
_RAW = Side("raw", "raw")
_RAW_LESS = Side("raw", "raw", items=100_000)
_RAW_50 = Side("raw, 50 workers", "raw", params=_FIFTY, note=_IN_NO_ORDER)


def _ours(name: str = OURS, note: str = "", **params: Any) -> Side:
    return Side(name, "ours", params=params, note=note)


def _seed(items: int | None = None, note: str = "memory not bounded") -> Side:
    return Side("seed", "seed", items=items, note=note)


def _peer(
    name: str, items: int | None = None, call: str | None = None, note: str = "", **params: Any
) -> Side:
    module = f"peer_{name.split('.', maxsplit=1)[0].split(maxsplit=1)[0]}"
    return Side(name, module, call, items, params, note, peer=True)


def _sum_plus(added: int) -> Callable[[int], int]:
    """Return what the first numbers sum up to, each with so much added."""
    return lambda items: items * (items - 1) // 2 + added * items


_W1 = (
    Workload(
        "w1-async",
        "W1 async: a source, three coroutine functions, a sink",
        "chain_async",
        200_000,
        (
            _ours(),
            _FLOOR,
            _RAW_LESS,
            _peer("aiostream", 10_000),
            _seed(30_000),
            _peer("streamz", 5_000),
            _peer("pypeln.task", 5_000),
        ),
        _sum_plus(3),
        _NS_PER_ITEM,
        claims=(
            faster(OURS, "raw", 4, 5.5),
            costs(OURS, "floor", 2.5, 1.7),
            faster(OURS, "aiostream", 20),
            faster(OURS, "seed", 40),
            faster(OURS, "pypeln.task", 90),
        ),
        cannot={
            "bytewax": "it calls plain functions only",
            "paipa": "it calls plain functions only",
        },
    ),
    Workload(
        "w1-50",
        "W1 async with 50 calls at once, results in order",
        "chain_async",
        200_000,
        (
            _ours(**_FIFTY),
            replace(_RAW_50, items=100_000),
            _peer("aiostream", 3_000, **_FIFTY),
            _peer("streamz", 3_000, **_FIFTY),
            _peer("pypeln.task", 3_000, note=_IN_NO_ORDER, **_FIFTY),
        ),
        _sum_plus(3),
        _NS_PER_ITEM,
        claims=(faster(OURS, "raw, 50 workers", 4, 5.5),),
        cannot={"seed": "nothing limits its calls in flight"},
    ),
    Workload(
        "w1-sync",
        "W1 sync: a source, three plain functions, a sink",
        "chain_sync",
        200_000,
        (
            _ours(),
            _FLOOR,
            _peer("paipa generators", note="generators, pulled by the caller; no queue, no graph"),
            _peer("bytewax", note="batches of 100"),
            _RAW_LESS,
            _peer("pypeln.sync", 20_000, note="generators, pulled by the caller"),
            _peer("aiostream", 20_000),
            _peer("streamz", 10_000),
            _peer("pypeln.thread", 5_000, call="chain_threads"),
            _peer("paipa threads", 1_000, call="chain_threads"),
        ),
        _sum_plus(3),
        _NS_PER_ITEM,
        claims=(faster(OURS, "raw", 8, 14), faster(OURS, "bytewax", 1.1, 2)),
        cannot={"seed": "it calls coroutine functions only"},
        rounds=3,
    ),
    Workload(
        "w1-buffer-1",
        "W1 async with room for one item on each edge",
        "chain_async",
        20_000,
        (_ours(buffer=1), Side("raw", "raw", params={"buffer": 1})),
        _sum_plus(3),
        _NS_PER_ITEM,
        claims=(faster(OURS, "raw", 1, 1.2),),
    ),
    Workload(
        "w1-trickle",
        "W1 async behind a source that suspends at every item",
        "chain_async",
        20_000,
        (
            _ours(trickling=True),
            Side("raw", "raw", params={"trickling": True}),
            _peer("aiostream", 5_000, call="trickle"),
        ),
        _sum_plus(3),
        _NS_PER_ITEM,
        claims=(faster(OURS, "raw", 1, 1.2),),
        rounds=3,
    ),
)


def _products(items: int) -> int:
    return sum((number + 1) * 2 * number for number in range(items))


_SHAPES = (
    Workload(
        "w2",
        "W2: a source, two async branches, their join by position, a sink",
        "diamond",
        200_000,
        (
            _ours(),
            _FLOOR,
            _RAW_LESS,
            _peer("bytewax", 20_000, note="plain functions; joins by a key, not by position"),
            _peer("aiostream", 5_000, note="two sources, as it has no fan-out"),
            _peer("streamz", 5_000),
            _seed(60_000, note="mispairs where branches take unequally long"),
        ),
        _products,
        _NS_PER_ITEM,
        claims=(faster(OURS, "raw", 5, 6.5), faster(OURS, "seed", 50)),
        cannot={"pypeln": "no join", "paipa": "no join"},
    ),
    Workload(
        "merge",
        "Four sources merged into one async step, a sink",
        "merge",
        200_000,
        (
            _ours(),
            _FLOOR,
            _RAW,
            _peer("bytewax", note="a plain function"),
            _peer("aiostream", 5_000),
            _seed(20_000),
            _peer("streamz", 5_000),
            _peer("pypeln.task", 3_000),
        ),
        _sum_plus(1),
        _NS_PER_ITEM,
        claims=(faster(OURS, "raw", 3, 5),),
        cannot={"paipa": "one source only"},
        rounds=2,
    ),
    Workload(
        "flat-map",
        "A source, a step that yields ten items for each, a sink",
        "flat_map",
        200_000,
        (
            _ours(),
            _FLOOR,
            _RAW,
            _peer("paipa generators", note="generators, pulled by the caller; no queue, no graph"),
            _peer("bytewax", note="batches of 100"),
            _peer("pypeln.sync", note="generators, pulled by the caller"),
            _peer("aiostream", 20_000),
            _peer("streamz", 20_000),
        ),
        _sum_plus(0),
        _NS_PER_ITEM,
        claims=(faster(OURS, "raw", 3, 5),),
        cannot={"seed": "one result for each item"},
        rounds=2,
    ),
)

_IO = (
    Workload(
        "w3",
        "W3: 2,000 items, three sleeps of 5 ms, 50 at once, results in order",
        "io",
        2_000,
        (
            _ours(),
            Side("floor", "floor", note="150 tasks that only sleep"),
            _RAW_50,
            _peer("streamz", note="51 in flight", **_FIFTY),
            _peer("pypeln.task", note=_IN_NO_ORDER),
            _peer("paipa threads", call="io", note=f"150 threads, {_IN_NO_ORDER}"),
            _peer("aiostream"),
        ),
        _sum_plus(3),
        _SECONDS,
        claims=(costs(OURS, "floor", 1.12, 1.05),),
        cannot={
            "seed": "all items are in flight at once",
            "bytewax": "it calls plain functions only",
        },
        warm=100,
        times=1,
        scales=False,
    ),
    Workload(
        "w3-jitter",
        "W3 with sleeps of 1 to 9 ms",
        "io",
        2_000,
        (
            _ours(jitter=True),
            _ours("pipelines, unordered", jitter=True, ordered=False),
            Side("raw, 50 workers", "raw", params={"jitter": True, **_FIFTY}, note=_IN_NO_ORDER),
        ),
        _sum_plus(3),
        _SECONDS,
        claims=(costs(OURS, "pipelines, unordered", 1.08, 1.03),),
        warm=100,
        times=1,
        scales=False,
    ),
)

_MEMORY = (
    Workload(
        "w4",
        "W4: a million dicts, a stage slower than the source: peak memory above the start",
        "memory",
        1_000_000,
        (
            _ours(),
            Side("pipelines, 100 k", "ours", items=100_000),
            Side("raw", "raw", items=100_000, note="100 k items"),
            _peer("aiostream", 10_000, note="10 k items"),
            _peer("streamz", 10_000, note="10 k items"),
            _peer("bytewax", 20_000, note="20 k items"),
            _peer("paipa threads", 2_000, call="memory", note="2 k items"),
            _peer("pypeln.task", 5_000, note="5 k items; grows with them, though maxsize=100"),
            _seed(20_000, note="20 k items; grows with them"),
        ),
        _sum_plus(0),
        _MEGABYTES,
        claims=(
            most(OURS, 5, 1, "MB"),
            most("pipelines, 100 k", 5, 1, "MB"),
            above(OURS, "pipelines, 100 k", 1, 0.2, "MB"),
        ),
        measure="memory",
        warm=100,
        times=1,
    ),
)

_NOT_ELSEWHERE = dict.fromkeys(
    ("aiostream", "streamz", "seed", "paipa"), "no step in a process of its own"
)

_CPU = (
    Workload(
        "w5-4ms",
        "W5: 300 items of 4 ms of computing, two processes",
        "cpu_4ms",
        300,
        (_ours(), _FLOOR, _RAW, _peer("pypeln.process", note=_IN_NO_ORDER)),
        _sum_plus(0),
        _SECONDS,
        claims=(costs(OURS, "floor", 1.2, 1.05),),
        cannot=_NOT_ELSEWHERE,
        cores=2,
        warm=0,
        times=1,
        scales=False,
    ),
    Workload(
        "w5-30us",
        "W5: 60,000 items of 30 µs of computing, two processes",
        "cpu_30us",
        60_000,
        (
            _ours(),
            _FLOOR,
            Side("raw", "raw", items=5_000, note="an executor call for each item"),
            _peer("pypeln.process", 1_000, note=_IN_NO_ORDER),
        ),
        _sum_plus(0),
        _NS_PER_ITEM,
        claims=(faster(OURS, "raw", 6, 9),),
        cannot=_NOT_ELSEWHERE,
        cores=2,
        warm=0,
        times=1,
        scales=False,
    ),
)

_WIDE = (
    Workload(
        "w6-chain",
        "W6: 1,000 nodes in a chain, 10 items: validate, build, run, drain",
        "wide_chain",
        1_000,
        (
            _ours(),
            _ours("pipelines, as written", "16 calls at once, as nobody said otherwise"),
            Side("raw", "raw", note="build and run"),
            _peer("bytewax", note="plain functions"),
            _peer("pypeln.task"),
            _peer("streamz"),
            _seed(),
        ),
        lambda nodes: 45 + 10 * (nodes - 2),
        _MILLISECONDS,
        claims=(costs(OURS, "raw", 4, 2),),
        cannot=dict.fromkeys(("aiostream", "paipa"), "nested deeper than Python's stack"),
        warm=10,
        scales=False,
    ),
    Workload(
        "w6-branches",
        "W6: 1,000 branches and their join, 10 items: validate, build, run, drain",
        "wide_branches",
        1_000,
        (_ours(), Side("raw", "raw", note="build and run"), _peer("streamz"), _seed()),
        lambda nodes: 55 * (nodes - 3),
        _MILLISECONDS,
        claims=(costs(OURS, "raw", 4, 2),),
        cannot={
            **dict.fromkeys(("aiostream", "pypeln", "paipa"), "no join of many branches"),
            "bytewax": "it joins by a key, not by position",
        },
        warm=10,
        scales=False,
    ),
)

_FEATURES = ("retry", "timeout", "dead_letter")
_EACH_FEATURE = tuple(_ours(f"with {feature}", features=(feature,)) for feature in _FEATURES)

_MANNERS = (
    Workload(
        "gap",
        "The longest time that another task waits: two nodes of 1 ms plain functions, CPU time",
        "gap",
        300,
        (_ours(), _RAW, _seed(note=""), _peer("aiostream")),
        _sum_plus(2),
        _OWN_MILLISECONDS,
        claims=(most(OURS, 10, 8, "ms"),),
        warm=20,
        times=1,
        scales=False,
    ),
    Workload(
        "idle",
        "W1 async with features switched on that have nothing to do",
        "idle",
        50_000,
        (
            _ours(),
            *_EACH_FEATURE,
            _ours("with all three", features=_FEATURES),
            _ours("50 calls", **_FIFTY),
            _ours("50 calls, all three", features=_FEATURES, **_FIFTY),
        ),
        _sum_plus(3),
        _NS_PER_ITEM,
        claims=(
            *(costs(side.name, OURS, 1.5, 1.2) for side in _EACH_FEATURE),
            costs("with all three", OURS, 1.5, 1.2),
            costs("50 calls, all three", "50 calls", 1.5, 1.2),
        ),
    ),
    Workload(
        "startup",
        "Whole processes, from start to end",
        "bare",
        1,
        (
            Side("bare Python", "startup", "bare"),
            Side("import asyncio", "startup", "import_asyncio"),
            Side("import pipelines", "startup", "import_pipelines"),
            Side("plumber --help", "startup", "show_help"),
            Side("plumber run", "startup", "run_three_nodes", note="a file of three trivial nodes"),
        ),
        lambda count: 0,
        _OWN_MILLISECONDS,
        claims=(
            above("import pipelines", "bare Python", 100, 60, "ms"),
            above("plumber --help", "bare Python", 300, 150, "ms"),
            above("plumber run", "bare Python", 500, 350, "ms"),
        ),
        warm=1,
        times=3,
        scales=False,
    ),
    Workload(
        "generators",
        "Three nested generators: the front end, and by hand",
        "generators",
        200_000,
        (_ours(), Side("floor", "floor", note="nested by hand"), _peer("paipa generators")),
        _sum_plus(3),
        _NS_PER_ITEM,
        claims=(costs(OURS, "floor", 1.1, 1.02),),
        rounds=3,
    ),
)

WORKLOADS: tuple[Workload, ...] = (
    *_W1,
    *_SHAPES,
    *_IO,
    *_MEMORY,
    *_CPU,
    *_WIDE,
    *_MANNERS,
)

_PHASES = ("validate", "build", "run", "drain")

GROWTHS = (
    Growth(
        Workload(
            "growth-items",
            "As items grow: W1",
            "chain_async",
            0,
            (
                _ours("async"),
                Side("sync", "ours", "chain_sync"),
            ),
            _sum_plus(3),
            _NS_PER_ITEM,
        ),
        "items",
        (10_000, 100_000, 1_000_000, 10_000_000),
        (Flat("async", 100_000, 1.25, 1.1), Flat("sync", 100_000, 1.25, 1.1)),
        megabytes=2.0,
    ),
    Growth(
        Workload(
            "growth-nodes",
            "As nodes grow: a chain, 10 items",
            "",
            0,
            tuple(Side(phase, "phases", phase) for phase in _PHASES),
            lambda nodes: nodes,
            _US_PER_NODE,
            warm=10,
        ),
        "nodes",
        (10, 100, 1_000, 10_000),
        tuple(Flat(phase, 1_000, 1.5, 1.2) for phase in _PHASES),
        rounds=5,
    ),
    Growth(
        Workload(
            "growth-calls",
            "As calls in flight grow: sleeps",
            "sleeps",
            0,
            (_ours(), Side("bare tasks", "floor", note="one for each sleep")),
            lambda calls: calls,
            _US_PER_CALL,
            warm=10,
            times=1,
        ),
        "calls in flight",
        (1, 10, 100, 1_000, 10_000),
        (Flat(OURS, 100, 1.5, 1.2),),
    ),
)
