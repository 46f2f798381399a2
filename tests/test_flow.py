"""How items flow: back-pressure, concurrency, order, fairness, batches, and runs that stall."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import portable
import pytest
from counting import cost
from running import ended, graph, later, node, pair, really_ended, run, same, until

from pipelines import Later, Plumber
from pipelines.errors import StalledError
from pipelines.schedule import Schedule


class Gauge:
    """Counts what is between two places of a graph, and the most that there ever was."""

    def __init__(self) -> None:
        self.entered = self.left = self.most = 0

    def enter(self) -> None:
        """Count one more."""
        self.entered += 1
        self.most = max(self.most, self.entered - self.left)

    def leave(self) -> None:
        """Count one less."""
        self.left += 1


# Back-pressure.

#: How a node between source and sink may run, and how many items it may have in flight.
MIDDLES: dict[str, tuple[Callable[[], dict[str, Any]], int]] = {
    "sync": (lambda: node(same), 1),
    "serial": (lambda: node(later, concurrency=1), 1),
    "pool": (lambda: node(later, concurrency=6), 6),
    "unordered": (lambda: node(later, concurrency=6, ordered=False), 6),
    "generator": (lambda: node(portable.fails_then_yields), 1),
    "thread": (lambda: node(same, executor="thread", concurrency=2), 2),
}


@pytest.mark.parametrize("buffer", [1, 2, 5, 32])
@pytest.mark.parametrize("middle", MIDDLES)
@pytest.mark.parametrize("source_is_async", [False, True])
def test_a_source_is_never_far_ahead(middle: str, buffer: int, source_is_async: bool) -> None:
    """Between source and sink lie at most what the edges hold and what is in flight."""
    gauge = Gauge()

    def count() -> Iterator[int]:
        for number in range(4, 300):
            gauge.enter()
            yield number

    async def count_async() -> AsyncIterator[int]:
        for number in count():
            yield number

    async def sink(value: int) -> None:
        await asyncio.sleep(0)
        gauge.leave()

    make, in_flight = MIDDLES[middle]
    step = make()
    step["properties"] |= {"buffer_size": buffer}
    document = graph(
        "s > a; a > o",
        s=count_async if source_is_async else count,
        a=step,
        o=node(sink, concurrency=1, buffer_size=buffer),
    )
    end = really_ended if middle == "thread" else ended
    end(Plumber(document).run())
    assert gauge.left == 296
    # Two edges, the calls of both nodes, and the one that the source has in hand.
    assert gauge.most <= 2 * max(buffer, in_flight) + in_flight + 2


def test_a_line_of_plain_functions_is_never_far_ahead() -> None:
    """Fused nodes hold no more than the queues between them would."""
    gauge = Gauge()

    def count() -> Iterator[int]:
        for number in range(1000):
            gauge.enter()
            yield number

    async def sink(value: int) -> None:
        await asyncio.sleep(0.001)
        gauge.leave()

    tight = {"buffer_size": 2}
    document = graph(
        "s > a; a > b; b > o",
        s=count,
        a=node(same, **tight),
        b=node(same, **tight),
        o=node(sink, **tight),
    )
    run(document)
    assert gauge.most <= 3 * 2 + 2


def test_a_slow_branch_holds_the_others() -> None:
    """A fan-out goes as fast as its slowest branch, and nothing grows meanwhile."""
    gauge = Gauge()

    def count() -> Iterator[int]:
        for number in range(300):
            gauge.enter()
            yield number

    async def slow(value: int) -> None:
        await asyncio.sleep(0.01)
        gauge.leave()

    out: list[int] = []
    document = graph(
        "s > x y", s=count, x=node(out.append, buffer_size=10), y=node(slow, buffer_size=10)
    )
    run(document)
    assert len(out) == 300
    assert gauge.most <= 12


@pytest.mark.parametrize("first", ["fast", "slow"])
def test_a_join_of_a_slow_and_a_fast_branch_is_bounded(first: str) -> None:
    """The fast branch of a diamond does not run ahead further than its queue is long."""
    gauge = Gauge()

    def note(value: int) -> int:
        gauge.enter()
        return value

    async def slow(value: int) -> int:
        await asyncio.sleep(0.01)
        return value

    def row(a: int, b: int) -> None:
        assert a == b
        gauge.leave()

    order = "f t" if first == "fast" else "t f"
    document = graph(
        f"s > {order}; f > j; t > j",
        s=range(200),
        f=node(note, buffer_size=5),
        t=node(slow, concurrency=1, buffer_size=5),
        j=node(row, buffer_size=5),
    )
    run(document)
    assert gauge.most <= 5 + 5 + 2


def _dropping(when_full: str, out: list[int]) -> dict[str, Any]:
    async def slow(value: int) -> None:
        await asyncio.sleep(1)
        out.append(value)

    document = graph("s > o p", s=range(1000), o=node(slow, concurrency=1), p=same)
    document["graph"]["s"] = [{"to": "o", "buffer_size": 10, "when_full": when_full}, "p"]
    return document


def test_drop_newest_keeps_what_came_first() -> None:
    """An edge that drops the newest holds nothing up, keeps the first, and counts the others."""
    out: list[int] = []
    report = run(_dropping("drop_newest", out))
    assert out == sorted(set(out))
    assert set(range(10)) <= set(out)
    assert report.nodes["p"].received == 1000
    assert report.edges["s", "o"].dropped == 1000 - len(out)
    assert report.nodes["s"].dropped == 1000 - len(out)
    assert len(out) < 200


def test_drop_oldest_keeps_what_came_last() -> None:
    """An edge that drops the oldest ends with the newest."""
    out: list[int] = []
    report = run(_dropping("drop_oldest", out))
    assert out == sorted(set(out))
    assert set(range(990, 1000)) <= set(out)
    assert report.edges["s", "o"].dropped == 1000 - len(out)


@pytest.mark.parametrize("when_full", ["drop_newest", "drop_oldest"])
@pytest.mark.parametrize("kind", ["sync", "pool", "generator", "batch"])
def test_a_node_whose_edges_all_drop_never_waits(kind: str, when_full: str) -> None:
    """Where no edge blocks, a node goes on as fast as it can, and its counts balance."""
    out: list[Any] = []
    step = {
        "sync": node(same),
        "pool": node(later),
        "generator": node(portable.thrice),
        "batch": node(same, batch={"size": 3}),
    }[kind]

    async def slow(value: Any) -> None:
        await asyncio.sleep(1)
        out.append(value)

    document = graph("s > a; a > o", s=range(300), a=step, o=node(slow, concurrency=1))
    document["graph"]["a"] = [{"to": "o", "buffer_size": 5, "when_full": when_full}]
    report = run(document, within=1000)
    sent = {"generator": 900, "batch": 100}.get(kind, 300)
    assert report.edges["a", "o"].dropped == sent - len(out)
    assert report.nodes["a"].received == 300
    assert 5 <= len(out) < 300


@pytest.mark.parametrize("middle", [name for name in MIDDLES if name != "thread"])
def test_buffer_one(middle: str) -> None:
    """Edges that hold one item pass everything on, in order where the node keeps it."""
    out: list[int] = []
    step = MIDDLES[middle][0]()
    step["properties"] |= {"buffer_size": 1}
    document = graph(
        "s > a; a > b; b > o",
        s=range(4, 200),
        a=step,
        b=node(later, buffer_size=1, concurrency=3),
        o=node(out.append, buffer_size=1),
    )
    run(document)
    assert (sorted(out) if middle == "unordered" else out) == list(range(4, 200))


# Memory.


def _peak(count: int, document: Callable[[int], dict[str, Any]]) -> int:
    """Return how many bytes a run needed at most, above its start."""
    plumber = Plumber(document(count))
    gc.collect()
    tracemalloc.start()
    try:
        ended(plumber.run(), within=1e9)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def _quick(value: Any) -> Any:
    return value


def _chain(count: int) -> dict[str, Any]:
    return graph(
        "s > a; a > b; b > c; c > o",
        s=lambda: ({"n": n} for n in range(count)),
        a=same,
        b=node(_quick, concurrency=1),
        c=_quick,
        o=same,
    )


def _diamond(count: int) -> dict[str, Any]:
    return graph(
        "s > a b; a > j; b > j; j > o",
        s=lambda: ({"n": n} for n in range(count)),
        a=_quick,
        b=same,
        j=pair,
        o=same,
    )


@pytest.mark.parametrize("shape", [_chain, _diamond])
def test_memory_does_not_grow_with_items(shape: Any) -> None:
    """Ten times the items need no more memory."""
    _peak(100, shape)  # whatever is made once
    few, many = _peak(2_000, shape), _peak(20_000, shape)
    assert many < few * 1.2 + 50_000


def test_a_million_items() -> None:
    """A million items go through a short line, and are all counted."""
    report = run(
        graph("s > a; a > o", s=lambda: iter(range(1_000_000)), a=_same_fast, o=_same_fast)
    )
    assert report.nodes["o"].received == 1_000_000


def _same_fast(value: Any) -> Any:
    return value


# Concurrency.


class Flight:
    """An async step that counts its calls in flight."""

    def __init__(self, seconds: Callable[[int], float] = lambda value: 1) -> None:
        self.seconds = seconds
        self.now = self.most = 0

    async def fly(self, value: int) -> int:
        """Be in flight for a while."""
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.seconds(value))
        self.now -= 1
        return value


def _varied(value: int) -> float:
    return value * 7919 % 13 / 10


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("buffer", [1, 10, 100])
@pytest.mark.parametrize("concurrency", [1, 2, 7, 64])
def test_concurrency_is_reached_and_never_passed(
    concurrency: int, buffer: int, ordered: bool
) -> None:
    """With enough work exactly `concurrency` calls are in flight, whatever the buffers."""
    flight = Flight()
    out: list[int] = []
    document = graph(
        "s > f; f > o",
        s=range(300),
        f=node(flight.fly, concurrency=concurrency, ordered=ordered, buffer_size=buffer),
        o=node(out.append, buffer_size=buffer),
    )
    run(document, within=1e4)
    assert flight.most == concurrency
    assert sorted(out) == list(range(300))
    if ordered:
        assert out == list(range(300))


@pytest.mark.parametrize("buffer", [1, 100])
@pytest.mark.parametrize("concurrency", [2, 7, 64])
def test_order_is_kept_whatever_a_call_takes(concurrency: int, buffer: int) -> None:
    """Results that are ready early wait for their turn, within the same bound."""
    flight = Flight(_varied)
    out: list[int] = []
    document = graph(
        "s > f; f > o",
        s=range(300),
        f=node(flight.fly, concurrency=concurrency, buffer_size=buffer),
        o=node(out.append, buffer_size=buffer),
    )
    run(document, within=1e4)
    assert out == list(range(300))
    assert concurrency * 0.9 <= flight.most <= concurrency


@pytest.mark.parametrize("source", ["trickle", "bursts", "put"])
def test_concurrency_is_reached_with_trickling_input(source: str) -> None:
    """Items that come one by one, faster than a call takes, get a call each at once."""
    flight = Flight(lambda value: 100)
    gap = 0.01

    async def trickle() -> AsyncIterator[int]:
        for number in range(20):
            yield number
            await asyncio.sleep(gap)

    async def bursts() -> AsyncIterator[int]:
        for number in range(20):
            yield number
            if number % 5 == 4:
                await asyncio.sleep(1)

    async def main() -> None:
        sources: dict[str, Any] = {"trickle": trickle, "bursts": bursts, "put": {}}
        step = node(flight.fly, concurrency=10)
        async with Plumber(graph("s > f; f > o", s=sources[source], f=step, o=same)) as plumber:
            for number in range(20 if source == "put" else 0):
                await plumber.put("s", number)
                await asyncio.sleep(gap)
            await asyncio.sleep(50)
            assert flight.now == 10
            assert plumber.snapshot().nodes["f"].in_flight == 10

    ended(main(), within=1e4)


def test_concurrency_goes_on_after_a_pause() -> None:
    """A pool whose workers have all been idle reaches its concurrency again."""
    flights: list[int] = []
    flight = Flight()

    async def bursts() -> AsyncIterator[int]:
        for burst in range(5):
            flight.most = 0
            for number in range(30):
                yield burst * 30 + number
            await asyncio.sleep(60)
            flights.append(flight.most)

    document = graph("s > f; f > o", s=bursts, f=node(flight.fly, concurrency=8), o=same)
    run(document, within=1e4)
    assert flights == [8] * 5


def test_the_default_concurrency() -> None:
    """Sixteen for an async node that passes items on; one for a sink: its effects stay in order."""
    inner, sink = Flight(), Flight()
    run(graph("s > f; f > o", s=range(100), f=inner.fly, o=sink.fly), within=1e4)
    assert (inner.most, sink.most) == (16, 1)


@pytest.mark.parametrize("executor", ["thread"])
def test_concurrency_in_threads(executor: str) -> None:
    """As many threads call at once as asked for, never more."""
    barrier = threading.Barrier(4)
    now: list[int] = []
    most: list[int] = []

    def meet(value: int) -> int:
        now.append(value)
        most.append(len(now))
        barrier.wait(10)  # broken, and so an error, if four never come together
        now.remove(value)
        return value

    step = node(meet, executor=executor, concurrency=4)
    really_ended(Plumber(graph("s > f; f > o", s=range(40), f=step, o=same)).run())
    assert max(most) == 4


@pytest.mark.parametrize("concurrency", [1, 3, 50])
def test_generators_keep_order_too(concurrency: int) -> None:
    """The values of one item stay together, in the items' order."""
    out: list[Any] = []

    async def several(value: int) -> AsyncIterator[tuple[int, int]]:
        for number in range(value % 5):
            await asyncio.sleep(_varied(value + number))
            yield (value, number)

    document = graph(
        "s > g; g > o",
        s=range(100),
        g=node(several, concurrency=concurrency),
        o=node(out.append, buffer_size=2),
    )
    run(document, within=1e4)
    assert out == [(value, number) for value in range(100) for number in range(value % 5)]


def test_polling_calls_hold_no_worker() -> None:
    """Items that were put off leave their worker to others; so many may wait, and no more."""
    polls: dict[int, int] = {}
    waiting: list[int] = []

    async def poll(value: int) -> Any:
        polls[value] = polls.get(value, 0) + 1
        waiting.append(sum(count < 3 for count in polls.values()))
        return Later(10) if polls[value] < 3 else value

    step = node(poll, concurrency=2, ordered=False, waiting_limit=50)
    out: list[int] = []
    run(graph("s > f; f > o", s=range(400), f=step, o=out.append), within=1e4)
    assert sorted(out) == list(range(400))
    assert 40 <= max(waiting) <= 52


# Cost.


COSTED: dict[str, Callable[[], dict[str, Any]]] = {
    "sync": lambda: node(same),
    "serial": lambda: node(_quick, concurrency=1),
    "pool": lambda: node(_quick, concurrency=16),
    "sleeping pool": lambda: node(_nap, concurrency=16),
    "generator": lambda: node(portable.fails_then_yields),
    "async generator": lambda: node(_quick_generator, concurrency=8),
    "batch": lambda: node(same, batch={"size": 10}),
    "flaky": lambda: node(_nap, retry={"attempts": 3}, timeout="10s"),
}


async def _nap(value: Any) -> Any:
    await asyncio.sleep(0.001)
    return value


async def _quick_generator(value: Any) -> AsyncIterator[Any]:
    yield value


@pytest.mark.parametrize("kind", COSTED)
def test_tasks_do_not_grow_with_items(kind: str) -> None:
    """A run makes as many tasks for a thousand items as for a hundred."""
    few, _ = cost(graph("s > f; f > o", s=range(4, 100), f=COSTED[kind](), o=same))
    many, _ = cost(graph("s > f; f > o", s=range(4, 1000), f=COSTED[kind](), o=same))
    assert many <= few + 1


@pytest.mark.parametrize("kind", ["sync", "serial", "pool", "generator", "async generator"])
def test_few_wakeups_at_full_buffers(kind: str) -> None:
    """Where nothing suspends, the loop turns far less often than there are items."""
    document = graph(
        "s > a; a > f; f > b; b > o",
        s=range(4, 20_000),
        a=node(_quick, concurrency=1),
        f=COSTED[kind](),
        b=node(_quick, concurrency=1),
        o=same,
    )
    # On a machine that does something else meanwhile the loop turns more often: the best of three.
    callbacks = min(cost(document)[1] for _ in range(3))
    assert callbacks < 20_000 * 4 * 0.1


@pytest.mark.parametrize("concurrency", [1, 16])
def test_a_wide_join_wakes_once_a_row(concurrency: int) -> None:
    """A join of many branches is not woken for each of them."""
    names = [f"b{index}" for index in range(50)]
    document = graph(
        f"s > {' '.join(names)}; j > o; " + "; ".join(f"{name} > j" for name in names),
        s=range(400),
        j=portable.add,
        o=same,
        **{name: node(_quick, concurrency=concurrency) for name in names},
    )
    _, callbacks = cost(document)
    assert callbacks < 50 * 400 * 0.5


# Fairness.


def _spin(seconds: float) -> None:
    until_then = time.thread_time() + seconds
    while time.thread_time() < until_then:
        pass


def _busy(value: Any) -> Any:
    _spin(0.0005)
    return value


async def _busy_async(value: Any) -> Any:
    _spin(0.0005)
    return value


def _busy_generator(value: Any) -> Iterator[Any]:
    for _ in range(20):
        _spin(0.0005)
        yield value


def _busy_source() -> Iterator[int]:
    for number in range(300):
        _spin(0.0005)
        yield number


BUSY: dict[str, dict[str, Any]] = {
    "line": graph("s > a; a > b", s=range(300), a=_busy, b=_busy),
    "serial": graph(
        "s > a; a > b", s=range(300), a=node(_busy_async, concurrency=1), b=_busy_async
    ),
    "pool": graph("s > a; a > b", s=range(300), a=node(_busy_async, concurrency=16), b=same),
    "pools": graph(
        "s > a; a > b; b > c",
        s=range(150),
        a=node(_busy_async, concurrency=16),
        b=node(_busy_async, concurrency=16),
        c=same,
    ),
    "generator": graph("s > a; a > b", s=range(30), a=_busy_generator, b=same),
    "source": graph("s > a", s=_busy_source, a=same),
    "fan-out": graph("s > a b c d", s=range(100), a=_busy, b=_busy, c=_busy_async, d=_busy),
    "batch": graph("s > a", s=range(600), a=node(_busy, batch={"size": 2})),
}


@pytest.mark.parametrize("kind", BUSY)
def test_the_loop_stays_alive(kind: str) -> None:
    """However busy the nodes are, another task gets its turn after a few milliseconds."""
    gaps: list[float] = []

    async def heartbeat() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            gaps.append(now - last)
            last = now

    async def main() -> None:
        beating = asyncio.create_task(heartbeat())
        await Plumber(BUSY[kind]).run()
        beating.cancel()
        await asyncio.wait([beating])

    really_ended(main(), within=20)
    assert max(gaps) < 0.03  # 10 ms are promised; the rest is for a machine that is shared
    assert len(gaps) > 10


# Runs that can't go on.


def _one_in_a_thousand(value: int) -> Iterator[int]:
    if value % 1000 == 0:
        yield value


def _crossed(count: int = 100_000, **properties: Any) -> dict[str, Any]:
    """Return a graph in which two joins wait for each other's source for ever."""
    drop = {"join": {"on_missing": "drop"}, **properties}
    return graph(
        "a > ga j; b > i gb; ga > i; gb > j",
        a=range(count),
        b=range(count),
        ga=node(_one_in_a_thousand, **properties),
        gb=node(_one_in_a_thousand, **properties),
        i=node(pair, **drop),
        j=node(pair, **drop),
    )


@pytest.mark.parametrize("kind", ["sync", "async", "seed", "thread"])
def test_a_run_that_is_stuck_ends(kind: str) -> None:
    """Where each node waits for another one the run ends at once, naming nodes and edges."""
    document = _crossed()
    for name in "ab":
        document["nodes"][name] = {
            "sync": node(range(100_000)),
            "async": node(_numbers),
            "seed": {"coro": _numbers_seed},
            "thread": node(_numbers_sync, executor="thread"),
        }[kind]
    with pytest.raises(StalledError) as caught:
        really_ended(Plumber(document).run())
    text = str(caught.value)
    assert "'a' waits for room on a -> j (100/100)" in text
    assert "'i' waits for an item on ga -> i" in text
    assert "buffer_size" in text


async def _numbers() -> AsyncIterator[int]:
    for number in range(100_000):
        yield number


async def _numbers_seed(self: Any, output_q: Any) -> None:
    for number in range(100_000):
        await output_q.put(number)


def _numbers_sync() -> Iterator[int]:
    yield from range(100_000)


def test_a_larger_buffer_helps_as_it_says() -> None:
    """The same graph ends well where the buffers are large enough."""
    assert run(_crossed(5000, buffer_size=5000)).ok


def test_the_exits_of_a_stuck_run() -> None:
    """Steps are exited after it as after any failure."""
    exits: list[Any] = []

    class Kept:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *raised: object) -> None:
            exits.append(raised[0])

        def __call__(self, *values: Any) -> Any:
            return values

    document = _crossed()
    document["nodes"]["i"]["func"] = Kept
    with pytest.raises(StalledError):
        run(document)
    assert exits == [StalledError]


WAITING: dict[str, Callable[[], dict[str, Any]]] = {
    "timer": lambda: node(_sleeps, concurrency=1),
    "pool": lambda: node(_sleeps, concurrency=3),
    "later": lambda: node(_puts_off_once()),
    "retry": lambda: node(_fails_once(), retry={"attempts": 2, "backoff": "5s", "jitter": False}),
    "pool retry": lambda: node(
        _fails_once(), ordered=False, retry={"attempts": 2, "backoff": "5s", "jitter": False}
    ),
    "batch": lambda: node(same, batch={"size": 1000, "timeout": "3s"}),
    "generator": lambda: node(_sleeps_generator, concurrency=3),
}


async def _sleeps(value: Any) -> Any:
    await asyncio.sleep(5)
    return value


async def _sleeps_generator(value: Any) -> AsyncIterator[Any]:
    await asyncio.sleep(5)
    yield value


def _puts_off_once() -> Any:
    seen: set[int] = set()

    def put_off(value: int) -> Any:
        if value in seen:
            return value
        seen.add(value)
        return Later(5)

    return put_off


def _fails_once() -> Any:
    seen: set[int] = set()

    def fail(value: int) -> int:
        if value in seen:
            return value
        seen.add(value)
        raise OSError

    return fail


@pytest.mark.parametrize("kind", WAITING)
@pytest.mark.parametrize("source", ["range", "slow", "seed", "held open"])
def test_waiting_for_time_is_no_stall(kind: str, source: str) -> None:
    """A run that waits for a timer, a call or the world outside is not stuck."""

    async def slow() -> AsyncIterator[int]:
        for number in range(5):
            await asyncio.sleep(20)
            yield number

    async def slow_seed(self: Any, output_q: Any) -> None:
        async for number in slow():
            await output_q.put(number)

    sources: dict[str, Any] = {
        "range": range(5),
        "slow": slow,
        "seed": {"coro": slow_seed},
        "held open": node(range(5)),
    }
    out: list[Any] = []
    document = graph(
        "s > f; f > o", s=sources[source], f=WAITING[kind](), o=node(out.append, buffer_size=1)
    )

    async def main() -> None:
        if source != "held open":
            await Plumber(document).run()
            return
        async with Plumber(document):
            await asyncio.sleep(100)

    ended(main(), within=1e4)
    flat = [n for each in out for n in (each if isinstance(each, list) else [each])]
    assert sorted(flat) == list(range(5))


# Stopping where nothing moves.


@pytest.mark.parametrize("source", ["async", "seed", "thread"])
@pytest.mark.parametrize("steps", range(8))
def test_a_drain_of_a_source_that_waits_for_room(source: str, steps: int) -> None:
    """A drain at the moment when a full edge is emptied is a drain, and no stall."""

    async def main() -> None:
        sources: dict[str, Any] = {
            "async": node(_numbers),
            "seed": {"coro": _numbers_seed},
            "thread": node(_numbers_sync, executor="thread"),
        }
        gate = asyncio.Event()

        async def hold(value: int) -> int:
            await gate.wait()
            return value

        document = graph(
            "s > a; a > o",
            s=sources[source],
            a=node(hold, concurrency=1, buffer_size=3),
            o=node(same, buffer_size=3),
        )
        plumber = Plumber(document)
        plumber.create_pipeline()
        await until(lambda: plumber.snapshot().nodes["s"].state == "blocked")
        gate.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        report = await plumber.drain()
        assert report.ok
        assert report.nodes["o"].received == report.nodes["s"].received

    really_ended(main())


# Batches and rates.


def test_batches_by_size() -> None:
    """A step with a batch gets lists of its size; the last one may be shorter."""
    out: list[Any] = []
    report = run(graph("s > b; b > o", s=range(10), b=node(same, batch={"size": 4}), o=out.append))
    assert out == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    counts = report.nodes["b"]
    assert (counts.received, counts.passed_on, counts.emitted) == (10, 10, 3)


def test_batches_by_time() -> None:
    """A list goes on once its first item has waited for the time-out."""
    seen: list[tuple[float, Any]] = []

    async def source() -> AsyncIterator[int]:
        for number, pause in enumerate([0.0, 0.4, 0.4, 0.4, 5.0, 0.1]):
            await asyncio.sleep(pause)
            yield number

    async def note(values: list[int]) -> None:
        seen.append((asyncio.get_running_loop().time(), values))

    run(graph("s > b", s=source, b=node(note, batch={"size": 10, "timeout": "1s"})))
    assert [values for _, values in seen] == [[0, 1, 2], [3], [4, 5]]
    assert [when for when, _ in seen] == pytest.approx([1.0, 2.2, 6.3], abs=0.05)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_batches_of_slow_calls(concurrency: int) -> None:
    """While a batch is worked on, the next one fills."""
    out: list[Any] = []

    async def slow(values: list[int]) -> list[int]:
        await asyncio.sleep(10)
        return values

    async def source() -> AsyncIterator[int]:
        for number in range(30):
            yield number
            await asyncio.sleep(0.5)

    step = node(slow, batch={"size": 5, "timeout": "1s"}, concurrency=concurrency)
    run(graph("s > b; b > o", s=source, b=step, o=out.append), within=1e4)
    assert list(itertools.chain(*out)) == list(range(30))
    assert all(1 <= len(values) <= 5 for values in out)


def test_a_batch_that_yields() -> None:
    """A generator may turn a list into values again."""
    out: list[int] = []

    def flatten(values: list[int]) -> Iterator[int]:
        yield from values

    run(graph("s > b; b > o", s=range(10), b=node(flatten, batch={"size": 3}), o=out.append))
    assert out == list(range(10))


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_a_batch_elsewhere(executor: str) -> None:
    """Lists travel to threads and processes."""
    out: list[Any] = []
    step = node(portable.same, batch={"size": 4}, executor=executor, concurrency=2)
    really_ended(Plumber(graph("s > b; b > o", s=range(10), b=step, o=out.append)).run())
    assert out == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


RATED: dict[str, dict[str, Any]] = {
    "pool": node(_quick, concurrency=4),
    "serial": node(_quick, concurrency=1),
    "sync": node(same),
    "generator": node(portable.fails_then_yields),
    "batch": node(same, batch={"size": 1}),
}


@pytest.mark.parametrize("kind", [*RATED, "source"])
def test_a_rate_is_kept(kind: str) -> None:
    """Calls are spaced evenly: none comes sooner than its place in time, and none much later."""
    times: list[float] = []

    def note(value: Any) -> None:
        times.append(asyncio.get_running_loop().time())

    rate = {"rate_limit": "10/s"}
    if kind == "source":
        document = graph("s > o", s=node(range(4, 25), **rate), o=note)
    else:
        step = RATED[kind] | {"properties": RATED[kind]["properties"] | rate}
        document = graph("s > f; f > o", s=range(4, 25), f=step, o=note)
    run(document, within=1e4)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert gaps == pytest.approx([0.1] * 20, abs=0.02)


def test_a_rate_makes_up_for_nothing() -> None:
    """After a pause calls are spaced as before, not in a burst."""
    times: list[float] = []

    async def source() -> AsyncIterator[int]:
        yield 0
        await asyncio.sleep(10)
        for number in range(1, 5):
            yield number

    async def note(value: Any) -> None:
        times.append(asyncio.get_running_loop().time())

    run(graph("s > o", s=source, o=node(note, rate_limit="1/s")))
    assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx([10, 1, 1, 1], abs=0.1)


# The account of who waits.


def test_a_run_counts_itself_out() -> None:
    """When a run has ended nobody is left in the account of who works and who waits."""
    plumber = Plumber(graph("s > a b; a > j; b > j", s=range(300), a=later, b=same, j=pair))
    ended(plumber.run())
    schedules = {id(each.schedule): each.schedule for each in plumber.nodes}
    (schedule,) = schedules.values()
    assert isinstance(schedule, Schedule)
    assert schedule.busy == 0
