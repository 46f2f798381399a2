"""A generator step as a node of a graph, and a graph as a generator step."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import graph, node, pair, really_run, same

from pipelines import GraphError, Plumber, StepError, load
from pipelines.frontends.generators import as_node, as_step, chunk, combine_pipeline, flatten
from pipelines.metrics import RunReport, Snapshot


def evens(items: Iterable[int]) -> Iterator[int]:
    """Keep the even ones."""
    for item in items:
        if item % 2 == 0:
            yield item


def twice(items: Iterable[int]) -> Iterator[int]:
    """Give each of them twice."""
    for item in items:
        yield item
        yield item


class Negate:
    """A step that is an object."""

    def process(self, iterator: Iterator[int]) -> Iterator[int]:
        """Turn the signs."""
        return (-entry for entry in iterator)


STEPS = [evens, twice, Negate(), chunk(3), [chunk(2), flatten]]


def line(**nodes: Any) -> dict[str, Any]:
    """Return a graph in which each node leads to the next."""
    names = list(nodes)
    edges = "; ".join(f"{a} > {b}" for a, b in itertools.pairwise(names))
    return graph(edges, **nodes) if edges else {"nodes": nodes}


# as_node


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(STEPS[:3] + STEPS[4:]), min_size=1, max_size=4),
    st.lists(st.integers(0, 99), max_size=50),
    st.integers(1, 5),
)
def test_a_node_does_what_its_steps_do(steps: list[Any], items: list[int], size: int) -> None:
    """Nothing is lost, and the order stays, whatever the buffer's size."""
    out: list[Any] = []
    really_run(line(s=node(items), f=as_node(steps, buffer_size=size), o=out.append))
    assert out == list(combine_pipeline(items, steps))


def test_a_single_step_is_a_node_too() -> None:
    """Also an object, and what `chunk` returns; the last chunk comes at the end of the stream."""
    out: list[Any] = []
    really_run(line(s=node(range(7)), e=as_node(Negate()), c=as_node(chunk(3)), o=out.append))
    assert out == [[0, -1, -2], [-3, -4, -5], [-6]]


def test_a_node_can_be_written_as_yaml() -> None:
    """Where its steps can be found again by their names; and what was written runs the same."""
    out: list[int] = []
    document = line(s=node(range), e=as_node([evens, twice], buffer_size=7), o="builtins:print")
    document["nodes"]["s"]["args"] = {}
    spec = load(document)
    again = load(spec.to_yaml())
    assert again.to_plain() == spec.to_plain()
    assert again.nodes["e"].args == {"steps": [f"{__name__}:evens", f"{__name__}:twice"]}
    really_run(line(s=node(range(5)), e=again.nodes["e"].to_dict(), o=out.append))
    assert out == [0, 0, 2, 2, 4, 4]


def test_several_nests_share_a_nodes_items() -> None:
    """Each item comes to exactly one of them."""
    out: list[int] = []
    fan = as_node(twice, concurrency=3, ordered=False)
    really_run(line(s=node(range(100)), f=fan, o=out.append))
    assert sorted(out) == sorted([*range(100), *range(100)])


@pytest.mark.parametrize("steps", [7, [evens, 7]])
def test_a_node_of_what_is_no_step_is_refused(steps: Any) -> None:
    """At once, before there is a graph."""
    with pytest.raises(TypeError, match="7 is no step"):
        as_node(steps)


def test_a_node_whose_step_fails_fails_the_run() -> None:
    """With the item that it took last."""

    def fail(items: Iterable[int]) -> Iterator[float]:
        return (1 / (item - 3) for item in items)

    with pytest.raises(StepError, match="node 'f' failed on item 3: ZeroDivisionError"):
        really_run(line(s=node(itertools.count()), f=as_node(fail), o=same))


# as_step


def plus_one(item: int) -> int:
    """Add one."""
    return item + 1


async def plus_one_later(item: int) -> int:
    """Add one, a little later, another while for each."""
    await asyncio.sleep(item * 7919 % 3 / 1000)
    return item + 1


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 99), max_size=60),
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from([plus_one, plus_one_later]),
)
def test_a_graph_does_for_a_chain_what_it_does(
    items: list[int], size: int, concurrency: int, function: Any
) -> None:
    """Nothing is lost, and the order stays, whatever its buffers and its concurrency."""
    document = line(
        inp={}, f=node(function, concurrency=concurrency), g=as_node([chunk(4), flatten])
    )
    step = as_step({**document, "defaults": {"buffer_size": size}})
    out = list(combine_pipeline(items, [twice, step, Negate()]))
    assert out == [-(item + 1) for item in items for _ in (1, 2)]


def test_a_diamond_in_a_chain() -> None:
    """A chain of generators can't fork and join; a graph in it can."""
    diamond = as_step(
        graph(
            "inp > words size; words > both; size > both",
            inp={},
            words=str.split,
            size=len,
            both=pair,
        )
    )
    assert list(diamond(["to be", "or not to be"])) == [
        (["to", "be"], 5),
        (["or", "not", "to", "be"], 12),
    ]


def test_a_step_can_be_used_again_and_in_itself() -> None:
    """Each call is a run of its own."""
    step = as_step(line(inp={}, f=plus_one))
    assert list(step(range(3))) == list(step(range(3))) == [1, 2, 3]
    assert list(step(step(range(3)))) == [2, 3, 4]
    assert list(step([])) == []


def test_no_more_is_pulled_than_there_is_room_for() -> None:
    """With an endless source, and a caller who takes little."""
    pulled = 0

    def count() -> Iterator[int]:
        nonlocal pulled
        while True:
            pulled += 1
            yield pulled

    small = as_step({**line(inp={}, f=plus_one), "defaults": {"buffer_size": 2}})
    results = small(count())
    assert pulled == 0
    for taken in range(1, 200):
        assert next(results) == taken + 1
        # Two in each of three queues, in those of the two threads, and one in each hand.
        assert pulled - taken <= 2 * 5 + 5
    results.close()  # type: ignore[attr-defined]


def test_its_source_is_pulled_in_the_callers_thread() -> None:
    """So what belongs to that thread, such as a database cursor, can be read."""
    with sqlite3.connect(":memory:") as connection:
        rows = connection.execute("values (1), (2), (3)")
        assert list(as_step(line(inp={}, f=sum))(rows)) == [1, 2, 3]
    connection.close()


def test_an_early_end_leaves_nothing_behind() -> None:
    """Breaking off cancels the run: exits are called, threads are gone, the source is closed."""
    events: list[str] = []

    class Kept:
        def __enter__(self) -> Self:
            return self

        def __call__(self, item: int) -> int:
            return item

        def __exit__(self, *_: object) -> None:
            events.append("exit")

    def source() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            events.append("closed")

    before = threading.active_count()
    for _ in combine_pipeline(source(), [as_step(line(inp={}, f=node(Kept, executor="thread")))]):
        break
    assert events == ["exit", "closed"]
    assert threading.active_count() == before


def test_a_failure_in_the_graph_is_raised_where_its_result_would_have_come() -> None:
    """Behind those that were right, and nothing is left behind."""
    step = as_step(line(inp={}, f=lambda item: 10 // (item - 3)))
    got: list[int] = []
    with pytest.raises(StepError, match="node 'f' failed on item 3"):
        got.extend(step(itertools.count()))
    assert got == [-4, -5, -10]


def test_a_failure_of_the_source_stays_what_it_is() -> None:
    """It is the caller's own, and ends the run."""

    def source() -> Iterator[int]:
        yield 1
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(as_step(line(inp={}, f=plus_one))(source()))


def test_a_graph_that_ends_early_ends_the_step() -> None:
    """Its source is asked no further."""
    first = as_step(line(inp={}, f=as_node(lambda items: itertools.islice(items, 3))))
    assert list(first(itertools.count())) == [0, 1, 2]


def test_reporters_are_told_of_each_run() -> None:
    """As those of a `Plumber`."""
    reports: list[RunReport] = []

    class Reporter:
        interval = 10.0

        def start(self, snapshot: Snapshot) -> None: ...

        def update(self, snapshot: Snapshot) -> None: ...

        def finish(self, report: RunReport) -> None:
            reports.append(report)

    list(as_step(line(inp={}, f=plus_one), reporters=[Reporter()])(range(4)))
    assert reports[0].ok
    assert reports[0].nodes["f"].received == 4


def test_the_source_and_the_sink_can_be_named() -> None:
    """A source that has a step of its own is fed instead; a sink may lead elsewhere too."""
    seen: list[int] = []
    document = graph("a > b; c > d; b > e", a=node([9]), b=plus_one, c={}, d=same, e=seen.append)
    document["nodes"]["c"] = {"func": [7]}
    step = as_step(document, source="a", sink="b")
    assert list(step(range(3))) == [1, 2, 3]
    assert seen == [1, 2, 3]


@pytest.mark.parametrize(
    ("document", "names", "message"),
    [
        (graph("a > b", a={}, b=same), {"source": "x"}, "no source is named 'x'. Known: a"),
        (graph("a > b", a={}, b=same), {"sink": "bb"}, "no sink is named 'bb'. Did you mean 'b'"),
        (graph("a > c; b > c", a={}, b={}, c=pair), {}, r"several sources: 'a', 'b'.*source='a'"),
        (graph("a > b c", a={}, b=same, c=same), {}, r"several sinks: 'b', 'c'.*sink='b'"),
        (graph("a > b", a={}, b=node(same, retries=1)), {}, "unknown key 'retries'"),
    ],
)
def test_a_graph_that_is_not_clear_is_refused(
    document: Any, names: dict[str, str], message: str
) -> None:
    """At once, and with what to write."""
    with pytest.raises(GraphError, match=message):
        as_step(document, **names)


def test_both_ways_in_one_another() -> None:
    """A chain with a graph in it, as a node of a graph."""
    inner = as_step(line(inp={}, f=plus_one))
    out: list[int] = []
    Plumber(line(s=node(range(6)), f=as_node([evens, inner]), o=out.append)).run_sync()
    assert out == [1, 3, 5]


def test_ctrl_c_ends_the_run() -> None:
    """It comes to the caller, and nothing is left behind."""

    def interrupt(item: int) -> int:
        if item == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return item

    step = as_step(line(inp={}, f=node(interrupt, executor="thread")))
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        list(step(itertools.count()))
    assert set(threading.enumerate()) == before
