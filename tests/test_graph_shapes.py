"""A catalogue of graph shapes, in sentences, each in every way that a step can run."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import portable
import pytest
from running import ended, graph, node, pair, really_ended

from pipelines import SKIP, Plumber, Route, RunReport, StepError
from pipelines.errors import JoinError

#: Makes a node of a plain function.
Make = Callable[..., dict[str, Any]]


def _sync(function: Any, **properties: Any) -> dict[str, Any]:
    return node(function, **properties)


def _async(function: Any, **properties: Any) -> dict[str, Any]:
    async def call(*values: Any) -> Any:
        await asyncio.sleep(sum(map(ord, str(values))) * 7919 % 11 / 1000)
        return function(*values)

    return node(call, **properties)


def _serial(function: Any, **properties: Any) -> dict[str, Any]:
    return _async(function, concurrency=1, **properties)


def _thread(function: Any, **properties: Any) -> dict[str, Any]:
    return node(function, executor="thread", concurrency=3, **properties)


def _process(function: Any, **properties: Any) -> dict[str, Any]:
    return node(function, executor="process", concurrency=2, **properties)


MAKERS: dict[str, Make] = {
    "sync": _sync,
    "async": _async,
    "serial": _serial,
    "thread": _thread,
    "process": _process,
}
IN_LOOP = ("sync", "async", "serial", "thread")
EVERYWHERE = tuple(MAKERS)

everywhere = pytest.mark.parametrize("mode", EVERYWHERE)
in_loop = pytest.mark.parametrize("mode", IN_LOOP)


def go(mode: str, document: dict[str, Any]) -> RunReport:
    """Run a graph whose steps run in a way."""
    end = really_ended if mode in ("thread", "process") else ended
    report = end(Plumber(document).run())
    assert all(each.balanced for each in report.nodes.values())
    assert all(each.state == "done" for each in report.nodes.values())
    return report


@everywhere
def test_a_line_passes_everything_on_in_order(mode: str) -> None:
    """Items go through neighbouring nodes one after another and come out in order."""
    make, out = MAKERS[mode], list[int]()
    document = graph(
        "s > a; a > b; b > o",
        s=range(100),
        a=make(portable.double),
        b=make(portable.same),
        o=out.append,
    )
    report = go(mode, document)
    assert out == [2 * n for n in range(100)]
    assert [report.nodes[name].received for name in "sabo"] == [100] * 4


@in_loop
def test_a_fan_out_gives_every_branch_everything(mode: str) -> None:
    """Each node behind a fan-out gets every item, in order."""
    make, outs = MAKERS[mode], [list[int]() for _ in range(3)]
    document = graph(
        "s > a; a > x y z",
        s=range(50),
        a=make(portable.double),
        x=outs[0].append,
        y=outs[1].append,
        z=outs[2].append,
    )
    go(mode, document)
    assert outs == [[2 * n for n in range(50)]] * 3


@in_loop
def test_a_merge_takes_everything_from_every_branch(mode: str) -> None:
    """A node that does not aggregate gets each item of each branch once, each branch in order."""
    make, out = MAKERS[mode], list[int]()
    document = graph(
        "s > a b; a > m; b > m; m > o",
        s=range(50),
        a=make(portable.same),
        b=make(portable.double),
        m=make(portable.same, aggregate_inputs=False),
        o=out.append,
    )
    report = go(mode, document)
    assert Counter(out) == Counter([*range(50), *range(0, 100, 2)])
    assert report.nodes["m"].received == 100
    odd = [n for n in out if n % 2]
    assert odd == sorted(odd)


@everywhere
def test_a_diamond_pairs_what_belongs_together(mode: str) -> None:
    """A join gets, for each item, one value from each branch, in the order of its edges."""
    make, out = MAKERS[mode], list[Any]()
    document = graph(
        "s > a b; a > j; b > j; j > o",
        s=range(100),
        a=make(portable.same),
        b=make(portable.double),
        j=pair,
        o=out.append,
    )
    go(mode, document)
    assert out == [(n, 2 * n) for n in range(100)]


@in_loop
def test_a_join_with_its_own_source_pairs_before_and_after(mode: str) -> None:
    """A node and what it was made from can be joined: a branch may be a bare edge."""
    make, out = MAKERS[mode], list[Any]()
    document = graph(
        "s > a j; a > j; j > o", s=range(100), a=make(portable.double), j=pair, o=out.append
    )
    go(mode, document)
    assert out == [(n, 2 * n) for n in range(100)]


@in_loop
def test_the_seeds_nested_diamond(mode: str) -> None:
    """The graph of the seed's own tests, aggregated: a join inside the branch of another join."""
    make, out = MAKERS[mode], list[Any]()
    document = graph(
        "inp > n1; n1 > n2 n3; n2 > n3 n4; n3 > n4; n4 > o",
        inp=range(100),
        n1=make(portable.same),
        n2=make(portable.double),
        n3=make(portable.add),
        n4=make(pair),
        o=out.append,
    )
    go(mode, document)
    assert out == [(2 * n, 3 * n) for n in range(100)]


@everywhere
def test_a_filter_inside_a_branch_drops_the_row(mode: str) -> None:
    """Where a branch skips an item, the join drops that row, counts it, and pairs the others."""
    make, out = MAKERS[mode], list[Any]()
    document = graph(
        "s > a b; a > j; b > j; j > o",
        s=range(60),
        a=make(portable.even),
        b=make(portable.same),
        j=pair,
        o=out.append,
    )
    report = go(mode, document)
    assert out == [(n, n) for n in range(0, 60, 2)]
    assert report.nodes["j"].dropped == 30
    assert report.nodes["a"].skipped == 30


@in_loop
def test_a_switch_sends_each_item_one_way(mode: str) -> None:
    """A `Route` sends an item to the branch it names only; a merge brings the branches together."""
    make, out, odd = MAKERS[mode], list[Any](), list[int]()
    document = graph(
        "s > r; r > odd even; odd > m; even > m; m > o",
        s=range(60),
        r=make(portable.by_parity),
        odd=make(lambda n: odd.append(n) or n),
        even=make(portable.same),
        m=make(portable.same, aggregate_inputs=False),
        o=out.append,
    )
    report = go(mode, document)
    assert sorted(out) == list(range(60))
    assert sorted(odd) == list(range(1, 60, 2))
    assert (report.nodes["odd"].received, report.nodes["even"].received) == (30, 30)


@everywhere
def test_a_generator_makes_several_of_one(mode: str) -> None:
    """What a step yields goes on value by value, in the items' order, none to many for one item."""
    if mode in ("async", "serial"):
        make = _async_thrice(1 if mode == "serial" else 5)
    else:
        make = MAKERS[mode](portable.thrice)
    out: list[int] = []
    report = go(mode, graph("s > g; g > o", s=range(40), g=make, o=out.append))
    assert out == [n for n in range(40) for _ in range(3)]
    counts = report.nodes["g"]
    assert (counts.received, counts.passed_on, counts.emitted) == (40, 40, 120)


def _async_thrice(concurrency: int) -> dict[str, Any]:
    async def thrice(value: int) -> AsyncIterator[int]:
        for _ in range(3):
            yield value

    return node(thrice, concurrency=concurrency)


@everywhere
def test_an_empty_source_ends_the_graph(mode: str) -> None:
    """Without any item every node ends, joins and batches too."""
    make, out = MAKERS[mode], list[Any]()
    document = graph(
        "s > a b; a > j; b > j; j > t; t > o",
        s=(),
        a=make(portable.same),
        b=make(portable.same),
        j=pair,
        t=node(portable.same, batch={"size": 3}),
        o=out.append,
    )
    report = go(mode, document)
    assert out == []
    assert report.reason == "done"
    assert {each.received for each in report.nodes.values()} == {0}


@in_loop
def test_one_item_goes_through(mode: str) -> None:
    """A single item comes out, also where a node waits for more."""
    make, out = MAKERS[mode], list[Any]()
    document = graph(
        "s > a; a > t; t > o",
        s=[7],
        a=make(portable.same),
        t=node(portable.same, batch={"size": 3}),
        o=out.append,
    )
    go(mode, document)
    assert out == [[7]]


#: Sources that never end, to be released by the end of the node behind them.
def _count() -> Iterator[int]:
    yield from itertools.count()


async def _count_async() -> AsyncIterator[int]:
    for number in itertools.count():
        yield number


ENDLESS: dict[str, dict[str, Any]] = {
    "generator": node(_count),
    "iterator": node(itertools.count),
    "async generator": node(_count_async),
    "thread": node(_count, executor="thread"),
    "paced": node(_count, rate_limit="100000/s"),
}


@pytest.mark.parametrize("kind", ENDLESS)
@in_loop
def test_an_early_end_releases_the_producers(mode: str, kind: str) -> None:
    """A join that drops what is missing ends with its shortest input, and all before it with it."""
    make, out = MAKERS[mode], list[Any]()
    document = graph(
        "endless > a; a > b; b > j; short > j; j > o",
        endless=ENDLESS[kind],
        a=make(portable.same),
        b=make(portable.same),
        short=range(150),
        j=node(pair, join={"on_missing": "drop"}),
        o=out.append,
    )
    real = "thread" if kind in ("thread", "paced") else mode
    report = go(real, document)
    assert out == [(n, n) for n in range(150)]
    assert report.reason == "done"


@in_loop
def test_an_early_end_of_one_branch_leaves_the_others(mode: str) -> None:
    """A node whose one consumer has ended goes on for the other ones."""
    make, out, rows = MAKERS[mode], list[int](), list[Any]()
    document = graph(
        "s > a; a > j o; short > j; j > p",
        s=range(500),
        a=make(portable.same),
        short=range(3),
        j=node(pair, join={"on_missing": "drop"}),
        o=out.append,
        p=rows.append,
    )
    go(mode, document)
    assert rows == [(0, 0), (1, 1), (2, 2)]
    assert out == list(range(500))


@in_loop
def test_a_slow_sink_slows_everything_and_loses_nothing(mode: str) -> None:
    """Behind small buffers a slow sink gets every item, in order."""
    out: list[int] = []

    async def slow(value: int) -> None:
        await asyncio.sleep(0.0001)
        out.append(value)

    document = graph(
        "s > a; a > o",
        s=range(100),
        a=MAKERS[mode](portable.double, buffer_size=2),
        o=node(slow, buffer_size=1),
    )
    go(mode, document)
    assert out == [2 * n for n in range(100)]


@everywhere
def test_a_failing_step_ends_the_run_with_its_error(mode: str) -> None:
    """The caller gets the step's error, with node, item and cause, from wherever it ran."""
    out: list[int] = []
    document = graph(
        "s > a; a > o",
        s=itertools.count,
        a=MAKERS[mode](portable.fails_on_three),
        o=out.append,
    )
    end = really_ended if mode in ("thread", "process") else ended
    plumber = Plumber(document)
    with pytest.raises(StepError, match=r"node 'a' failed on item 3: ValueError: no 3") as caught:
        end(plumber.run())
    assert (caught.value.node, caught.value.item, caught.value.attempt) == ("a", 3, 1)
    assert isinstance(caught.value.cause, ValueError)
    assert plumber.report is not None
    assert plumber.report.nodes["a"].failed == 1
    assert out == [0, 1, 2][: len(out)]
    assert all(each.balanced for each in plumber.report.nodes.values())


@pytest.mark.parametrize("on_missing", [None, "drop", "none", "fail"])
def test_two_sources_of_one_length_are_zipped(on_missing: str | None) -> None:
    """Independent sources are paired by position, whatever would become of a missing item."""
    out: list[Any] = []
    join = {} if on_missing is None else {"on_missing": on_missing}
    document = graph(
        "s > j; t > j; j > o", s=range(250), t="x" * 250, j=node(pair, join=join), o=out.append
    )
    document["nodes"]["t"] = {"func": ["x"] * 250}
    go("sync", document)
    assert out == [(n, "x") for n in range(250)]


@pytest.mark.parametrize("lengths", [(250, 3), (3, 250), (1, 0), (0, 1), (101, 100)])
@pytest.mark.parametrize("mode", ["sync", "async", "thread"])
def test_two_sources_of_unequal_length_fail(mode: str, lengths: tuple[int, int]) -> None:
    """Without a word about missing items a stream that is longer than its partner is an error."""
    make = MAKERS[mode]
    document = graph(
        "s > a; a > j; t > b; b > j; j > o",
        s=range(lengths[0]),
        t=range(lengths[1]),
        a=make(portable.same),
        b=make(portable.same),
        j=pair,
        o=portable.same,
    )
    shorter = "'b'" if lengths[0] > lengths[1] else "'a'"
    end = really_ended if mode == "thread" else ended
    with pytest.raises(JoinError, match=rf"'j' can't pair its inputs: {shorter} ended while"):
        end(Plumber(document).run())


@pytest.mark.parametrize("lengths", [(250, 3), (3, 250), (1, 0), (0, 1)])
def test_unequal_sources_may_be_cut(lengths: tuple[int, int]) -> None:
    """Under on_missing: drop the zip ends with the shorter source, as Python's does."""
    out: list[Any] = []
    document = graph(
        "s > j; t > j; j > o",
        s=range(lengths[0]),
        t=range(lengths[1]),
        j=node(pair, join={"on_missing": "drop"}),
        o=out.append,
    )
    ended(Plumber(document).run())
    assert out == list(zip(range(lengths[0]), range(lengths[1]), strict=False))


@pytest.mark.parametrize("lengths", [(250, 3), (3, 250), (1, 0), (0, 1)])
def test_unequal_sources_may_be_filled(lengths: tuple[int, int]) -> None:
    """Under on_missing: none the zip goes on with `None`, as `itertools.zip_longest` does."""
    out: list[Any] = []
    document = graph(
        "s > j; t > j; j > o",
        s=range(lengths[0]),
        t=range(lengths[1]),
        j=node(pair, join={"on_missing": "none"}),
        o=out.append,
    )
    ended(Plumber(document).run())
    assert out == list(itertools.zip_longest(range(lengths[0]), range(lengths[1])))


@in_loop
def test_a_wide_graph(mode: str) -> None:
    """Two hundred branches of one source are joined into rows of two hundred."""
    make, out = MAKERS[mode], list[int]()
    if mode == "thread":
        make = _sync
    names = [f"b{index}" for index in range(200)]
    document = graph(
        f"s > {' '.join(names)}; j > o; " + "; ".join(f"{name} > j" for name in names),
        s=range(20),
        j=portable.add,
        o=out.append,
        **{name: make(portable.same) for name in names},
    )
    go(mode, document)
    assert out == [200 * n for n in range(20)]


@in_loop
def test_a_deep_graph(mode: str) -> None:
    """Five hundred nodes in a line pass everything on."""
    make, out = MAKERS[mode], list[int]()
    if mode == "thread":
        make = _sync
    names = [f"d{index}" for index in range(500)]
    line = "; ".join(f"{a} > {b}" for a, b in itertools.pairwise(["s", *names, "o"]))
    document = graph(
        line, s=range(50), o=out.append, **{name: make(lambda n: n + 1) for name in names}
    )
    go(mode, document)
    assert out == list(range(500, 550))


def _once(value: Any) -> Iterator[Any]:
    yield value


def test_a_deep_graph_of_both_kinds() -> None:
    """Sync, async, yielding and batching nodes alternate in one long line."""
    out: list[int] = []
    names = [f"d{index}" for index in range(200)]
    kinds = [
        _sync(portable.same),
        _async(portable.same),
        node(_once),
        node(lambda ns: ns[0], batch={"size": 1}),
        _serial(portable.same),
    ]
    line = "; ".join(f"{a} > {b}" for a, b in itertools.pairwise(["s", *names, "o"]))
    nodes = {name: kinds[index % len(kinds)] for index, name in enumerate(names)}
    go("sync", graph(line, s=range(50), o=out.append, **nodes))
    assert out == list(range(50))


def test_two_graphs_in_one_document() -> None:
    """Parts that no edge connects run side by side."""
    a: list[int] = []
    b: list[int] = []
    go("sync", graph("s > a; t > b", s=range(300), t=range(3), a=a.append, b=b.append))
    assert (a, b) == (list(range(300)), list(range(3)))


def test_several_sources_merge() -> None:
    """Four sources merge into one node, each in its order."""
    out: list[tuple[str, int]] = []
    sources = {name: [(name, n) for n in range(200)] for name in "stuv"}
    document = graph(
        "s > m; t > m; u > m; v > m; m > o",
        m=node(portable.same, aggregate_inputs=False),
        o=out.append,
        **sources,
    )
    go("sync", document)
    for name, items in sources.items():
        assert [each for each in out if each[0] == name] == items


def test_branches_of_different_length_and_kind() -> None:
    """A join pairs branches of one, two and three nodes of all kinds of calls."""
    out: list[Any] = []
    document = graph(
        "s > a c f j; a > b; b > j; c > d; d > e; e > j; f > j; j > o",
        s=range(300),
        a=_async(portable.same, buffer_size=1),
        b=portable.double,
        c=_sync(portable.same, buffer_size=2),
        d=_serial(portable.same),
        e=_async(portable.same, concurrency=50),
        f=_thread(portable.same),
        j=pair,
        o=out.append,
    )
    go("thread", document)
    assert out == [(n, 2 * n, n, n) for n in range(300)]


def test_a_join_of_joins() -> None:
    """Joins may follow each other, and a row may be part of a row."""
    out: list[Any] = []
    document = graph(
        "s > a b c; a > j; b > j k; c > k; j > m; k > m; m > o",
        s=range(200),
        a=_async(portable.same),
        b=portable.double,
        c=_async(lambda n: SKIP if n % 3 == 0 else n),
        j=pair,
        k=_async(pair),
        m=pair,
        o=out.append,
    )
    go("sync", document)
    assert out == [((n, 2 * n), (2 * n, n)) for n in range(200) if n % 3]


def test_routes_into_a_join_leave_gaps() -> None:
    """A row is whole only where an item was sent both ways."""
    out: list[Any] = []

    def choose(value: int) -> Route:
        return Route({"a": value, "b": value} if value % 3 == 0 else {"a": value})

    document = graph(
        "s > r; r > a b; a > j; b > j; j > o",
        s=range(90),
        r=choose,
        a=_async(portable.same),
        b=portable.same,
        j=pair,
        o=out.append,
    )
    report = go("sync", document)
    assert out == [(n, n) for n in range(0, 90, 3)]
    assert report.nodes["j"].dropped == 60


def test_a_single_node_is_a_graph() -> None:
    """A source alone runs to its end; there is nobody to send to."""
    report = go("sync", {"nodes": {"s": {"func": range(10)}}, "graph": {}})
    assert report.nodes["s"].received == 10
