"""Counts, not clocks: tasks and wake-ups do not grow with items, and calls keep to their bound.

`test_flow` counts for each kind of node by itself; here it is whole graphs, and every kind of call.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import portable
import pytest
from counting import Flight, cost
from running import graph, node, really_run, run, same

from pipelines import Later
from pipelines.processes import ProcessExecutor


async def _quick(value: Any) -> Any:
    return value


def _add(*values: int) -> int:
    return sum(values)


def _ten(value: Any) -> Iterator[Any]:
    yield from [value] * 10


async def _numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


def _seed_source(count: int) -> dict[str, Any]:
    async def source(self: Any, output_q: Any) -> None:
        for number in range(count):
            await output_q.put(number)

    return {"coro": source}


async def _seed_step(self: Any, q_elt: tuple[Any, ...]) -> Any:
    return q_elt[0]


def _one() -> dict[str, Any]:
    return node(_quick, concurrency=1)


def _many() -> dict[str, Any]:
    return node(_quick, concurrency=16)


def _diamond(count: int) -> dict[str, Any]:
    return graph(
        "s > a b; a > j; b > j; j > o", s=range(count), a=_one(), b=_many(), j=_add, o=same
    )


def _merge(count: int) -> dict[str, Any]:
    sources = {f"s{k}": range(k, count, 4) for k in range(4)}
    edges = "; ".join(f"{name} > m" for name in sources)
    step = node(_quick, aggregate_inputs=False, concurrency=1)
    return graph(f"{edges}; m > o", m=step, o=same, **sources)


def _fan_out(count: int) -> dict[str, Any]:
    return graph("s > a b c d", s=range(count), a=_one(), b=_many(), c=same, d=_many())


def _flat_map(count: int) -> dict[str, Any]:
    return graph("s > f; f > a; a > o", s=range(count // 10), f=_ten, a=_one(), o=same)


def _from_async(count: int) -> dict[str, Any]:
    return graph("s > a; a > b; b > o", s=lambda: _numbers(count), a=_one(), b=_many(), o=same)


def _seed(count: int) -> dict[str, Any]:
    step = {"coro": _seed_step}
    return graph("s > a; a > b; b > o", s=_seed_source(count), a=step, b=step, o=same)


def _deep(count: int) -> dict[str, Any]:
    names = [f"a{index}" for index in range(20)]
    edges = "; ".join(f"{name} > {after}" for name, after in itertools.pairwise(names))
    return graph(f"s > a0; {edges}; a19 > o", s=range(count), o=same, **{n: _one() for n in names})


def _guarded(count: int) -> dict[str, Any]:
    guards = {"retry": {"attempts": 3}, "timeout": "10s", "on_error": "skip"}
    step = node(_quick, concurrency=1, **guards)
    pool = node(_quick, concurrency=16, **guards)
    return graph("s > a; a > b; b > o", s=range(count), a=step, b=pool, o=same)


SHAPES = [_diamond, _merge, _fan_out, _flat_map, _from_async, _seed, _deep, _guarded]


@pytest.mark.parametrize("shape", SHAPES)
def test_tasks_do_not_grow_with_items(shape: Callable[[int], dict[str, Any]]) -> None:
    """Ten times the items are run by the same tasks."""
    few, _ = cost(shape(400))
    many, _ = cost(shape(4000))
    assert many <= few + 2


@pytest.mark.parametrize("shape", SHAPES)
def test_few_wakeups_at_full_buffers(shape: Callable[[int], dict[str, Any]]) -> None:
    """Where nothing suspends, the loop turns less than once for ten items, all nodes together."""
    count = 8000
    document = shape(count)
    share = max(1, len(document["nodes"]) / 6)  # the long chain has more nodes to wake
    # On a machine that does something else meanwhile the loop turns more often: the best of three.
    assert min(cost(document)[1] for _ in range(3)) < 0.1 * count * share


# Calls in flight.


def _ordered(flight: Flight) -> dict[str, Any]:
    return node(flight.fly)


def _unordered(flight: Flight) -> dict[str, Any]:
    return node(flight.fly, ordered=False)


def _yielding(flight: Flight) -> dict[str, Any]:
    async def several(value: int) -> AsyncIterator[int]:
        with flight:
            yield value
            await asyncio.sleep(0.5)
            yield value

    return node(several)


def _batched(flight: Flight) -> dict[str, Any]:
    return node(flight.fly, batch={"size": 3})


def _failing(flight: Flight) -> dict[str, Any]:
    tried: set[int] = set()

    async def fail_once(value: int) -> int:
        await flight.fly(value)
        if value % 3 == 0 and value not in tried:
            tried.add(value)
            raise OSError
        return value

    return node(fail_once, retry={"attempts": 2, "backoff": 0.2})


def _late(flight: Flight) -> dict[str, Any]:
    async def hang_at_times(value: int) -> int:
        with flight:
            await asyncio.sleep(50 if value % 7 == 0 else 0.5)
        return value

    return node(hang_at_times, timeout=1, on_error="skip")


def _polling(flight: Flight) -> dict[str, Any]:
    put_off: set[int] = set()

    async def poll(value: int) -> Any:
        await flight.fly(value)
        if value in put_off:
            return value
        put_off.add(value)
        return Later(3)

    return node(poll, ordered=False)


def _limited(flight: Flight) -> dict[str, Any]:
    return node(flight.fly, rate_limit="100/s")


FLYING = [_ordered, _unordered, _yielding, _batched, _failing, _late, _polling, _limited]


@pytest.mark.parametrize("concurrency", [1, 3, 20])
@pytest.mark.parametrize("kind", FLYING)
def test_calls_in_flight_keep_to_the_bound(
    kind: Callable[[Flight], dict[str, Any]], concurrency: int
) -> None:
    """Never more than `concurrency` calls are in flight; with work enough there are as many."""
    flight = Flight()
    step = kind(flight)
    step["properties"]["concurrency"] = concurrency
    report = run(graph("s > f; f > o", s=range(1, 200), f=step, o=same), within=1e4)
    assert report.ok
    assert flight.most == concurrency
    assert flight.now == 0


@pytest.mark.parametrize("aggregate", [True, False])
def test_calls_in_flight_behind_several_edges(aggregate: bool) -> None:
    """The bound is the node's, not one for each edge that leads to it."""
    flight = Flight()

    async def fly(*values: int) -> int:
        await flight.fly(values[0])
        return values[0]

    step = node(fly, concurrency=5, aggregate_inputs=aggregate)
    sources = {name: range(100) for name in "abc"}
    run(graph("a > f; b > f; c > f; f > o", f=step, o=same, **sources), within=1e4)
    assert flight.most == 5


def _where(value: int) -> int:
    return os.getpid()


def test_worker_processes_keep_to_the_bound() -> None:
    """There are no more of them than calls are allowed, and each makes one call at a time."""
    seen: list[int] = []
    step = node(_where, executor="process", concurrency=2)
    really_run(graph("s > f; f > o", s=range(200), f=step, o=seen.append))
    assert len(seen) == 200
    assert 1 <= len(set(seen)) <= 2
    assert os.getpid() not in seen


@pytest.mark.parametrize("how", ["edge", "join", "merge"])
def test_worker_processes_get_many_items_a_call(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks grow while the calls are short, whatever the items come from."""
    calls = 0
    exchange = ProcessExecutor.run

    async def counted(self: ProcessExecutor, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        return await exchange(self, *args)

    monkeypatch.setattr(ProcessExecutor, "run", counted)
    step = node(portable.add, executor="process", concurrency=2, aggregate_inputs=how == "join")
    sources = {name: range(4000) for name in ("a" if how == "edge" else "ab")}
    document = graph("; ".join(f"{name} > f" for name in sources) + "; f > o", f=step, o=same)
    document["nodes"] |= {name: {"func": values} for name, values in sources.items()}
    report = really_run(document)
    assert calls < report.nodes["f"].received / 20
