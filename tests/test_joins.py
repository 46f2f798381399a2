"""Joins pair by position, whatever goes missing on the way, in every kind of node and policy."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import portable
import pytest
from running import ended, graph, later, node, pair, really_ended, run, same

from pipelines import SKIP, GraphError, Later, Plumber, Route, StepError
from pipelines.errors import JoinError

COUNT = 60


def skips(value: int) -> Any:
    """Skip multiples of three."""
    return SKIP if value % 3 == 0 else value


def routes_away(value: int) -> Any:
    """Send multiples of three to another node only."""
    return Route("away" if value % 3 == 0 else "j", value)


def routes_nowhere(value: int) -> Any:
    """Send multiples of three nowhere."""
    return Route({}) if value % 3 == 0 else value


def fails(value: int) -> Any:
    """Fail on multiples of three."""
    if value % 3 == 0:
        raise ValueError(value)
    return value


#: What makes an item go missing: the function, and the policy.
CAUSES: dict[str, tuple[Any, dict[str, Any]]] = {
    "skip": (skips, {}),
    "route": (routes_away, {}),
    "empty route": (routes_nowhere, {}),
    "on_error skip": (fails, {"on_error": "skip"}),
    "dead letter": (fails, {"on_error": "dead_letter"}),
    "retry, then skip": (fails, {"on_error": "skip", "retry": {"attempts": 2, "backoff": "1ms"}}),
}

#: How the node runs in which that happens.
WAYS: dict[str, dict[str, Any]] = {
    "sync": {},
    "serial": {"concurrency": 1},
    "pool": {"concurrency": 7},
    "rate": {"rate_limit": "100000/s"},
    "thread": {"executor": "thread", "concurrency": 3},
    "process": {"executor": "process", "concurrency": 2},
}


def step(function: Any, way: str, policy: dict[str, Any]) -> dict[str, Any]:
    """Return a node of a function that runs in a way."""
    if way not in ("serial", "pool"):
        return node(function, **WAYS[way], **policy)

    async def call(value: int) -> Any:
        await asyncio.sleep(value * 7919 % 5 / 1000)
        return function(value)

    return node(call, **WAYS[way], **policy)


def diamond(way: str, cause: str, on_missing: str | None, out: list[Any]) -> dict[str, Any]:
    """Return a diamond in whose one branch multiples of three go missing."""
    document = graph(
        "s > a b; a > j away; b > j; j > o",
        s=range(COUNT),
        a=step(CAUSES[cause][0], way, CAUSES[cause][1]),
        b=later,
        j=node(pair, **({"join": {"on_missing": on_missing}} if on_missing else {})),
        away=same,
        o=out.append,
    )
    return document | {"dead_letter": {"func": same}}


def end_of(way: str) -> Any:
    """Return how to run it."""
    return really_ended if way in ("thread", "process", "rate") else ended


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("way", WAYS)
def test_a_row_with_a_gap_is_dropped(way: str, cause: str) -> None:
    """Whatever made the item go missing, its row is dropped and counted; no other is touched."""
    out: list[Any] = []
    report = end_of(way)(Plumber(diamond(way, cause, None, out)).run())
    assert out == [(n, n) for n in range(COUNT) if n % 3]
    assert report.nodes["j"].dropped == COUNT // 3
    assert report.nodes["j"].received == COUNT - COUNT // 3


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("way", [way for way in WAYS if way != "process"])
def test_a_row_with_a_gap_is_filled(way: str, cause: str) -> None:
    """Under on_missing: none the join gets `None` in its place."""
    out: list[Any] = []
    report = end_of(way)(Plumber(diamond(way, cause, "none", out)).run())
    assert out == [(n if n % 3 else None, n) for n in range(COUNT)]
    assert report.nodes["j"].dropped == 0


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("way", ["sync", "serial", "pool"])
def test_a_row_with_a_gap_fails(way: str, cause: str) -> None:
    """Under on_missing: fail the run ends, and the error names the branch that gave nothing."""
    with pytest.raises(JoinError, match="node 'j' got an incomplete row: nothing came from 'a'"):
        ended(Plumber(diamond(way, cause, "fail", [])).run())


@pytest.mark.parametrize("way", WAYS)
def test_gaps_are_passed_on(way: str) -> None:
    """A node behind the one that skipped keeps the gap in its place."""
    out: list[Any] = []
    document = graph(
        "s > a b; a > c; c > d; d > j; b > j; j > o",
        s=range(COUNT),
        a=skips,
        c=step(portable.same, way, {"buffer_size": 2}),
        d=step(portable.even, way, {"buffer_size": 1}),
        b=later,
        j=pair,
        o=out.append,
    )
    report = end_of(way)(Plumber(document).run())
    assert out == [(n, n) for n in range(COUNT) if n % 3 and n % 2 == 0]
    assert report.nodes["c"].received == 40
    assert report.nodes["d"].received == 40


def test_a_thousand_items_of_which_few_are_left() -> None:
    """Long runs of gaps hold nothing up, behind the smallest buffers."""
    out: list[Any] = []
    document = graph(
        "s > a b; a > c; c > j; b > j; j > o",
        s=range(1000),
        a=node(lambda n: n if n % 100 == 99 else SKIP, buffer_size=1),
        c=node(later, concurrency=20, buffer_size=1),
        b=node(later, concurrency=3, buffer_size=1),
        j=node(pair, buffer_size=1),
        o=out.append,
    )
    run(document, within=1000)
    assert out == [(n, n) for n in range(99, 1000, 100)]


def test_everything_is_skipped() -> None:
    """A branch that gives nothing at all leaves no row."""
    out: list[Any] = []
    document = graph(
        "s > a b; a > j; b > j; j > o",
        s=range(500),
        a=lambda n: SKIP,
        b=later,
        j=pair,
        o=out.append,
    )
    report = run(document)
    assert out == []
    assert report.nodes["j"].dropped == 500


def test_an_item_skipped_before_the_branches_is_no_row() -> None:
    """Where the item went missing before the stream parted, no row is dropped or filled."""
    out: list[Any] = []
    for on_missing in ("drop", "none", "fail"):
        document = graph(
            "s > f; f > a b; a > j; b > j; j > o",
            s=range(COUNT),
            f=skips,
            a=later,
            b=same,
            j=node(pair, join={"on_missing": on_missing}),
            o=out.append,
        )
        report = run(document)
        assert report.nodes["j"].dropped == 0
    assert out == [(n, n) for n in range(COUNT) if n % 3] * 3


@pytest.mark.parametrize("inner", ["drop", "none"])
@pytest.mark.parametrize("outer", ["drop", "none"])
def test_gaps_in_nested_joins(inner: str, outer: str) -> None:
    """A row that an inner join drops is a gap to the outer one; one that it fills is not."""
    out: list[Any] = []
    document = graph(
        "s > a b c; a > i; b > i; i > k; c > k; k > o",
        s=range(COUNT),
        a=node(skips),
        b=node(_skip_fives, concurrency=5),
        i=node(pair, join={"on_missing": inner}),
        c=later,
        k=node(pair, join={"on_missing": outer}),
        o=out.append,
    )
    run(document)
    assert out == [row for n in range(COUNT) for row in _nested(n, inner, outer)]


async def _skip_fives(value: int) -> Any:
    await asyncio.sleep(value * 31 % 7 / 1000)
    return SKIP if value % 5 == 0 else value


def _nested(n: int, inner: str, outer: str) -> Iterator[Any]:
    left, right = (n if n % 3 else None), (n if n % 5 else None)
    row: Any = (left, right)
    if (left is None and right is None) or (inner == "drop" and (left is None or right is None)):
        row = None
    if row is not None or outer == "none":
        yield (row, n)


def test_five_thousand_jittered_pairs() -> None:
    """What a library of this kind got wrong 200 times of 200: jitter in one branch of a diamond."""
    out: list[Any] = []

    async def jitter(value: int) -> int:
        await asyncio.sleep(value * 7919 % 101 / 1000)
        return value

    async def other_jitter(value: int) -> int:
        await asyncio.sleep(value * 104_729 % 47 / 1000)
        return -value

    document = graph(
        "s > a b c; a > j; b > j; c > j; j > o",
        s=range(5000),
        a=node(jitter, concurrency=50),
        b=node(other_jitter, concurrency=50, buffer_size=7),
        c=same,
        j=pair,
        o=out.append,
    )
    run(document, within=1000)
    assert out == [(n, -n, n) for n in range(5000)]


def test_jitter_gaps_and_retries() -> None:
    """The same with skips, failures that are tried again, and items that are put off."""
    out: list[Any] = []
    seen: set[int] = set()

    async def troubled(value: int) -> Any:
        await asyncio.sleep(value * 7919 % 11 / 1000)
        if value in seen:
            return value
        seen.add(value)
        if value % 7 == 0:
            raise OSError
        if value % 11 == 0:
            return Later(0.005)
        return SKIP if value % 5 == 0 else value

    document = graph(
        "s > a b; a > j; b > j; j > o",
        s=range(2000),
        a=node(troubled, concurrency=50, retry={"attempts": 2, "backoff": "3ms"}),
        b=node(later, concurrency=9),
        j=pair,
        o=out.append,
    )
    run(document, within=1000)
    gone = {n for n in range(2000) if n % 5 == 0 and n % 7 and n % 11}
    assert out == [(n, n) for n in range(2000) if n not in gone]


def test_a_batch_of_rows() -> None:
    """A join may take its rows in batches: a list of tuples; gaps are not in them."""
    out: list[Any] = []

    def gather(rows: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return rows

    document = graph(
        "s > a b; a > j; b > j; j > o",
        s=range(COUNT),
        a=skips,
        b=later,
        j=node(gather, batch={"size": 7}),
        o=out.append,
    )
    report = run(document)
    rows = [(n, n) for n in range(COUNT) if n % 3]
    assert out == [rows[i : i + 7] for i in range(0, len(rows), 7)]
    assert report.nodes["j"].received == 40
    assert report.nodes["j"].emitted == len(out)


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_a_join_that_runs_elsewhere(executor: str) -> None:
    """Rows travel to threads and processes as any item does, and stay in order."""
    out: list[Any] = []
    document = graph(
        "s > a b; a > j; b > j; j > o",
        s=range(COUNT),
        a=skips,
        b=later,
        j=node(portable.add, executor=executor, concurrency=2),
        o=out.append,
    )
    really_ended(Plumber(document).run())
    assert out == [2 * n for n in range(COUNT) if n % 3]


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_join_that_yields(concurrency: int) -> None:
    """A join's step may be a generator: one argument per edge."""
    out: list[Any] = []

    async def both(a: int, b: int) -> AsyncIterator[int]:
        await asyncio.sleep(a * 7919 % 5 / 1000)
        yield a
        yield -b

    document = graph(
        "s > a b; a > j; b > j; j > o",
        s=range(COUNT),
        a=skips,
        b=later,
        j=node(both, concurrency=concurrency),
        o=out.append,
    )
    run(document)
    assert out == [x for n in range(COUNT) if n % 3 for x in (n, -n)]


def test_routing_into_branches_of_a_join() -> None:
    """Rows are whole only where an item was sent to all branches of a join."""
    out: list[Any] = []
    document = graph(
        "s > r; r > a b; a > j; b > j; j > o",
        s=range(COUNT),
        r=lambda n: Route({"a": n, "b": n} if n % 3 else {"b": n}),
        a=later,
        b=same,
        j=node(pair, join={"on_missing": "none"}),
        o=out.append,
    )
    report = run(document)
    assert out == [(n if n % 3 else None, n) for n in range(COUNT)]
    assert report.nodes["a"].received == 40


def test_one_edge_needs_gaps_and_another_does_not() -> None:
    """A node with a join on one side gives the other side plain items only."""
    out: list[Any] = []
    plain: list[int] = []
    document = graph(
        "s > a b; a > j p; b > j; j > o",
        s=range(COUNT),
        a=skips,
        b=later,
        j=pair,
        o=out.append,
        p=plain.append,
    )
    report = run(document)
    assert plain == [n for n in range(COUNT) if n % 3]
    assert report.nodes["p"].received == 40
    assert len(out) == 40


def test_a_gap_never_reaches_a_step() -> None:
    """Whatever stands behind a join with gaps gets items only: merges, batches and generators."""
    seen: list[Any] = []

    def note(values: Any) -> Iterator[Any]:
        seen.append(values)
        yield values

    document = graph(
        "s > a b; a > c; c > j m g t; b > j; m > o; g > o; t > o; j > o",
        s=range(COUNT),
        a=skips,
        b=later,
        c=later,
        j=pair,
        m=same,
        g=note,
        t=node(seen.extend, batch={"size": 4}),
        o=node(same, aggregate_inputs=False),
    )
    run(document)
    assert sorted(seen) == sorted([n for n in range(COUNT) if n % 3] * 2)


@pytest.mark.parametrize(
    ("branch", "reason"),
    [
        (node(portable.thrice), "yields any number"),
        (node(same, batch={"size": 2}), "batches"),
        (node(later, ordered=False), "ordered: false"),
    ],
)
def test_a_join_that_could_mispair_is_refused(branch: dict[str, Any], reason: str) -> None:
    """Branches of one source whose streams differ can't be joined; the error names the node."""
    document = graph("s > a b; a > j; b > j; j > o", s=range(3), a=branch, b=same, j=pair, o=same)
    with pytest.raises(GraphError, match=f"'a' {reason}|{reason}") as caught:
        Plumber(document)
    assert "'a'" in str(caught.value)


def test_an_edge_that_drops_is_refused_before_a_join() -> None:
    """So is an edge that gives items up when it is full."""
    document = graph("s > b; a > j; b > j; j > o", s=range(3), a=same, b=same, j=pair, o=same)
    document["graph"]["s"] = [{"to": "a", "when_full": "drop_oldest"}, "b"]
    with pytest.raises(GraphError, match="drops items when it is full"):
        Plumber(document)


def test_unequal_streams_of_generators() -> None:
    """Generators of independent sources are zipped by what they yield."""
    out: list[Any] = []
    document = graph(
        "s > g; t > j; g > j; j > o",
        s=range(50),
        t=range(150),
        g=portable.thrice,
        j=pair,
        o=out.append,
    )
    run(document)
    assert out == [(n, n // 3) for n in range(150)]


@pytest.mark.parametrize(
    "kind", ["async generator", "generator", "pool", "source", "seed", "thread"]
)
def test_a_join_error_is_nobody_elses_failure(kind: str) -> None:
    """An incomplete row fails the run as such, also where the producer's own errors are tolerated.

    The row may be found incomplete at the moment when a producer sends what completes it.
    """

    async def slow() -> AsyncIterator[int]:
        for number in range(20):
            await asyncio.sleep(0.001)
            yield number

    async def slow_seed(self: Any, output_q: Any) -> None:
        async for number in slow():
            await output_q.put(number)

    async def expand(value: int) -> AsyncIterator[int]:
        yield value

    def expand_sync(value: int) -> Iterator[int]:
        yield value

    producers: dict[str, Any] = {
        "async generator": node(expand),
        "generator": node(expand_sync),
        "pool": node(later, concurrency=4),
        "thread": node(same, executor="thread"),
    }
    source: dict[str, Any] = {"coro": slow_seed} if kind == "seed" else node(slow)
    source["properties"] = {"on_error": "skip"}
    producer = producers.get(kind, node(same))
    producer["properties"] |= {"on_error": "skip", "retry": {"attempts": 2, "backoff": 0}}
    bare = kind in ("source", "seed")
    document = graph(
        "s > j; t > k; k > j; j > o" if bare else "s > p; p > j; t > k; k > j; j > o",
        s=source,
        t=range(20),
        k=skips,
        j=node(pair, join={"on_missing": "fail"}),
        o=same,
        **({} if bare else {"p": producer}),
    )
    with pytest.raises(JoinError, match="node 'j' got an incomplete row: nothing came from 'k'"):
        really_ended(Plumber(document).run())


def test_a_put_is_not_to_blame_for_a_join() -> None:
    """Neither is whoever puts the item that shows it."""

    async def main() -> None:
        document = graph(
            "s > j; t > k; k > j; j > o",
            s=node(_nothing),
            t=range(20),
            k=skips,
            j=node(pair, join={"on_missing": "fail"}),
            o=same,
        )
        with pytest.raises(JoinError):  # noqa: PT012
            async with Plumber(document) as plumber:
                await asyncio.sleep(0.01)
                with pytest.raises(Exception, match="ended"):  # noqa: PT012
                    for number in itertools.count():
                        await plumber.put("s", number)
                        await asyncio.sleep(0.001)

    ended(main())


async def _nothing() -> AsyncIterator[int]:
    return
    yield 0


@pytest.mark.parametrize("short", [0, 1, 30, 99, 100, 101])
@pytest.mark.parametrize("on_missing", [None, "drop", "none"])
@pytest.mark.parametrize("buffer_size", [1, 3, 100])
def test_gaps_at_the_end_of_unequal_streams(
    short: int, on_missing: str | None, buffer_size: int
) -> None:
    """Trailing gaps count for a stream's length: position for position, whatever lies there."""
    out: list[Any] = []
    join = {"join": {"on_missing": on_missing}} if on_missing else {}
    document = graph(
        "s > a; t > b; a > j; b > j; j > o",
        s=range(100),
        t=range(short),
        a=skips,
        b=later,
        j=node(pair, buffer_size=buffer_size, **join),
        o=out.append,
    )
    if on_missing is None and short != 100:
        with pytest.raises(JoinError):
            run(document, within=1000)
        return
    run(document, within=1000)
    assert out == [
        row
        for n in range(max(100, short))
        for row in _zipped(n if n < 100 and n % 3 else None, n if n < short else None, on_missing)
    ]


def _zipped(a: int | None, b: int | None, on_missing: str | None) -> Iterator[Any]:
    if on_missing == "none":
        if a is not None or b is not None:
            yield (a, b)
    elif a is not None and b is not None:
        yield (a, b)


def test_a_join_waits_for_no_dead_branch() -> None:
    """A branch whose node fails ends the run; the join does not wait for it."""
    document = graph(
        "s > a b; a > j; b > j; j > o",
        s=itertools.count,
        a=portable.fails_on_three,
        b=later,
        j=pair,
        o=same,
    )
    with pytest.raises(StepError, match="node 'a'"):
        run(document)
