"""Edges and nodes that come while the graph runs: nothing is lost, doubled, or left waiting."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import ended, graph, node, same, until

from pipelines import GraphError, Later, PipelinesError, Plumber, StepError
from pipelines.spec import NodeSpec

Log = list[Any]


def merging(name: str, target: Any, **properties: Any) -> NodeSpec:
    """Return a new node that can gain edges."""
    properties = {"aggregate_inputs": False, **properties}
    return NodeSpec.from_dict(name, {"func": target, "properties": properties})


def counting(plumber: Log, changes: dict[int, Callable[[Plumber], None]]) -> Any:
    """Return a plain step that makes changes at some of its calls."""
    calls = itertools.count()

    def count(item: Any) -> Any:
        if change := changes.get(next(calls)):
            change(plumber[0])
        return item

    return count


def codes(plumber: Plumber, source: str, target: str | NodeSpec, **options: Any) -> list[str]:
    """Return what is wrong with an edge."""
    with pytest.raises(GraphError) as caught:
        plumber.connect(source, target, **options)
    return [problem.code for problem in caught.value.problems]


async def test_a_new_node_gets_what_comes_from_now_on() -> None:
    """And is there in all that is told of the graph."""
    log: Log = []
    async with Plumber(graph("inp > out", inp={}, out=log.append)) as plumber:
        await plumber.put("inp", 1)
        await until(lambda: log == [1])
        plumber.connect("inp", NodeSpec("new", func=lambda item: log.append(-item)))
        assert [each.name for each in plumber.nodes] == ["inp", "out", "new"]
        await plumber.put("inp", 2)
        await until(lambda: sorted(log) == [-2, 1, 2])
        assert plumber.snapshot().nodes["new"].received == 1
        assert plumber.snapshot().edges["inp", "new"].maxsize == 100
    assert plumber.report is not None
    assert plumber.report.nodes["new"].state == "done"
    assert plumber.report.edges["inp", "new"].size == 0
    assert "n0 --> n2" in plumber.spec.to_mermaid()
    assert [(edge.source, edge.target) for edge in plumber.spec.edges][1:] == [("inp", "new")]


@pytest.mark.parametrize("source", ["s", "a", "b", "c"])
def test_a_line_is_taken_apart(source: str) -> None:
    """Where plain functions run as one, the new edge carries what comes after a run of items."""
    log: Log = []
    new: Log = []
    plumber: Log = []
    change = {500: lambda plumber: plumber.connect(source, NodeSpec("new", func=new.append))}
    middle = counting(plumber, change)
    document = graph(
        "s > a; a > b; b > c; c > o", s=range(5000), a=same, b=middle, c=same, o=log.append
    )
    plumber.append(Plumber(document))
    report = ended(plumber[0].run())
    assert log == list(range(5000))
    assert new == list(range(5000 - len(new), 5000))
    assert 3900 <= len(new) <= 4500  # 500 and the rest of a run of at most 400, and its slice
    assert report.nodes["new"].received == len(new)


@pytest.mark.parametrize("at", [0, 1, 99, 100])
@pytest.mark.parametrize("buffer_size", [1, 2, 100])
def test_a_line_is_taken_apart_at_any_time(at: int, buffer_size: int) -> None:
    """Also at the first and the last item, and with the smallest buffers."""
    log: Log = []
    new: Log = []
    plumber: Log = []

    def change(plumber: Plumber) -> None:
        for name in ("s", "a", "o"):
            plumber.connect(name, NodeSpec(f"after {name}", func=new.append), buffer_size=1)

    document = graph(
        "s > a; a > o", s=iter(range(101)), a=counting(plumber, {at: change}), o=log.append
    )
    document["defaults"] = {"buffer_size": buffer_size}
    plumber.append(Plumber(document))
    report = ended(plumber[0].run())
    assert log == list(range(101))
    assert report.nodes["after s"].received <= 101 - at
    assert len(new) == sum(report.nodes[f"after {name}"].received for name in ("s", "a", "o"))


async def later(item: int) -> int:
    """Take some time, another one for each item."""
    await asyncio.sleep(item % 3 / 1000)
    return item


async def turn(item: int) -> int:
    """Let others go on."""
    await asyncio.sleep(0)
    return item


def yielded(item: int) -> Iterator[int]:
    """Be a step that yields."""
    yield item


async def yielded_later(item: int) -> AsyncIterator[int]:
    """Be an async step that yields."""
    await asyncio.sleep(item % 2 / 1000)
    yield item


def polled() -> Any:
    """Return a step that puts some items off once."""
    put_off: set[int] = set()

    def poll(item: int) -> Any:
        if item % 10 == 3 and item not in put_off:
            put_off.add(item)
            return Later(0.002)
        return item

    return poll


STEPS = [same, later, turn, yielded, yielded_later, polled]
PROPERTIES: list[dict[str, Any]] = [
    {},
    {"concurrency": 1},
    {"concurrency": 3, "buffer_size": 2},
    {"executor": "thread"},
]


@given(st.data())
def test_edges_that_come_at_random(data: st.DataObject) -> None:
    """Each new edge carries the rest of its source's stream, whole and in order."""
    count = data.draw(st.integers(0, 200), label="items")
    pauses = data.draw(st.sets(st.integers(0, count)), label="pauses")

    async def slowly() -> AsyncIterator[int]:
        for item in range(count):
            if item in pauses:
                await asyncio.sleep(0.003)
            yield item

    source = data.draw(st.sampled_from([slowly, iter(range(count))]), label="source")
    chain = ["s"]
    nodes: dict[str, Any] = {"s": source}
    for number in range(data.draw(st.integers(1, 4), label="length")):
        step = data.draw(st.sampled_from(STEPS))
        plain = step in (same, yielded)
        kind = data.draw(st.sampled_from(PROPERTIES[: 3 if not plain else 2]))
        nodes[f"n{number}"] = node(polled() if step is polled else step, **kind)
        chain.append(f"n{number}")
    edges = "; ".join(f"{a} > {b}" for a, b in itertools.pairwise(chain))
    outs: dict[str, Log] = {}
    sources: dict[str, list[str]] = {}
    refused: list[str] = []
    plumber = Plumber(graph(edges, **nodes))

    def connect(number: int) -> None:
        start = data.draw(st.sampled_from([*chain, *outs]))
        merges = [name for name in outs if start not in (*sources[name], name)]
        if merges and data.draw(st.booleans()):
            target = data.draw(st.sampled_from(merges))
            plumber.connect(start, target)
            sources[target].append(start)
            return
        name = f"x{number}"
        out: Log = []
        step = data.draw(st.sampled_from([out.append, keeping(out)]))
        size = data.draw(st.sampled_from([1, 3, 100]))
        plumber.connect(start, merging(name, step, buffer_size=size))
        outs[name], sources[name] = out, [start]
        if data.draw(st.booleans()):
            plumber.hold(name)

    async def change() -> None:
        for number in range(data.draw(st.integers(0, 8), label="changes")):
            await asyncio.sleep(data.draw(st.sampled_from([0, 0.001, 0.005, 0.02])))
            try:
                connect(number)
            except PipelinesError as error:
                refused.append(str(error))

    async def both() -> Any:
        plumber.create_pipeline()
        report, _ = await asyncio.gather(plumber.join(), change())
        return report

    report = ended(both(), within=100)
    assert all("ended" in reason or "[cycle]" in reason for reason in refused)
    assert report.nodes[chain[-1]].received == count
    for name, out in outs.items():
        assert report.nodes[name].received == len(out)
        plain = [each for each in sources[name] if each not in outs]
        if len(sources[name]) == 1 and plain:
            assert out == list(range(count - len(out), count))
        elif plain:
            counts = Counter(item for item in out if item is not None)
            rising = [counts[item] for item in sorted(counts)]
            assert rising == sorted(rising)
            assert max(rising, default=0) <= len(plain)


def keeping(out: Log) -> Any:
    """Return an async step that keeps items."""

    async def keep(item: Any) -> None:
        await asyncio.sleep(0)
        out.append(item)

    return keep


@pytest.mark.parametrize("properties", [{"executor": "thread"}, {"batch": {"size": 3}}, {}])
def test_a_new_node_may_be_of_any_kind(properties: dict[str, Any]) -> None:
    """It has its own executor, batches or loop, and may lead on to other new ones."""
    log: Log = []
    plumber: Log = []

    def change(plumber: Plumber) -> None:
        plumber.connect("s", merging("first", same, **properties))
        plumber.connect("first", NodeSpec("second", func=log.append))

    document = graph("s > a", s=range(100), a=counting(plumber, {0: change}))
    plumber.append(Plumber(document))
    report = ended(plumber[0].run(), loop=asyncio.new_event_loop)
    assert report.nodes["second"].received == len(log) > 0
    assert report.nodes["first"].received == report.edges["s", "first"].size + len(
        [*itertools.chain(*log)] if "batch" in properties else log
    )


def test_before_the_run() -> None:
    """An edge or a node may also be added to a graph that has not started."""
    log: Log = []
    plumber = Plumber(graph("s > a b", s=[1, 2], a=same, b=node(same, aggregate_inputs=False)))
    plumber.connect("a", NodeSpec("out", func=log.append))
    plumber.connect("a", "b")
    report = ended(plumber.run())
    assert log == [1, 2]
    assert report.nodes["b"].received == 4


def test_a_new_edge_may_drop() -> None:
    """With `when_full` it holds nobody up, and counts what it gives up."""
    log: Log = []

    async def stuck(item: int) -> None:
        log.append(item)
        await asyncio.sleep(3600)

    plumber = Plumber(graph("s > a", s=range(100), a=later))
    plumber.connect(
        "s", merging("slow", stuck, concurrency=1), buffer_size=2, when_full="drop_oldest"
    )
    report = ended(plumber.run(), within=36_000)
    assert report.edges["s", "slow"].dropped == 100 - len(log) > 0
    assert log[-2:] == [98, 99]


# Holding.


def test_a_held_node_waits_for_those_who_may_come() -> None:
    """It ends when no node is at work but those behind it, and not with the edges that it has."""
    log: Log = []
    plumber: Log = []

    async def slow(item: int) -> int:
        await asyncio.sleep(10)
        plumber[0].connect("slow", "out")
        return -item

    document = graph(
        "s > out; t > slow", s=[1], t=[2], slow=slow, out=node(log.append, aggregate_inputs=False)
    )
    plumber.append(Plumber(document))
    with pytest.raises(StepError, match="node 'out' has ended, so there can be no new edge from"):
        ended(plumber[0].run())

    log.clear()
    plumber[:] = [Plumber(document)]
    plumber[0].hold("out")
    assert ended(plumber[0].run()).ok
    assert log == [1, -2]


def test_held_nodes_do_not_wait_for_each_other() -> None:
    """Two that could both send to the other end once neither has anything left to do."""
    sinks = {name: node(same, aggregate_inputs=False) for name in "abcd"}
    plumber = Plumber(graph("s > a b; b > c d; a > c", s=range(10), **sinks))
    for name in "dbca":
        plumber.hold(name)
    assert ended(plumber.run()).ok


@pytest.mark.parametrize("properties", [{}, {"batch": {"size": 1000}}, {"concurrency": 1}])
@pytest.mark.parametrize("step", [same, later])
def test_held_nodes_do_not_wait_for_what_is_behind_others(
    step: Any, properties: dict[str, Any]
) -> None:
    """Also where that has items in hand, which only the end of its stream makes go on."""
    log: Log = []
    held = node(same, aggregate_inputs=False)
    behind = node(len if "batch" in properties else step, **properties)
    plumber = Plumber(
        graph(
            "s > a b; a > c; b > d; d > e",
            s=range(5),
            a=held,
            b=held,
            c=behind,
            d=behind,
            e=log.append,
        )
    )
    for name in "ab":
        plumber.hold(name)
    report = ended(plumber.run())
    assert report.nodes["c"].received == report.nodes["d"].received == 5


def test_a_held_node_ends_with_a_drain() -> None:
    """And with a cancel."""

    async def stop(how: str) -> Any:
        plumber = Plumber(graph("s > a", s=itertools.count(), a=node(turn, aggregate_inputs=False)))
        plumber.hold("a")
        plumber.create_pipeline()
        await until(lambda: plumber.snapshot().nodes["a"].received > 5)
        if how == "drain":
            return (await plumber.drain()).reason
        plumber.cancel()
        with pytest.raises(asyncio.CancelledError):
            await plumber.join()
        assert plumber.report is not None
        return plumber.report.reason

    assert asyncio.run(stop("drain")) == "drained"
    assert asyncio.run(stop("cancel")) == "cancelled"


# Ending.


def test_exits_run_in_the_order_of_the_graph_as_it_became() -> None:
    """After a failure the last node exits first, also where it came before one in front of it."""
    log: Log = []

    def noting(name: str) -> Any:
        class Noting:
            def __enter__(self) -> Self:
                return self

            async def __call__(self, item: int) -> int:
                if name == "c" and item > 50:
                    raise ValueError(item)
                await asyncio.sleep(0.001)
                return item

            def __exit__(self, *error: object) -> None:
                log.append(name)

        return Noting

    plumber: Log = []

    def change(plumber: Plumber) -> None:
        plumber.connect("s", merging("c", noting("c")))
        plumber.connect("s", merging("b", noting("b")))
        plumber.connect("b", "c")

    endless = counting(plumber, {0: change})
    plumber.append(Plumber(graph("s > a; a > o", s=itertools.count(), a=endless, o=noting("o"))))
    with pytest.raises(StepError, match="node 'c' failed on item 51"):
        ended(plumber[0].run())
    assert sorted(log) == ["b", "c", "o"]
    assert log.index("c") < log.index("b")


def test_a_new_node_that_does_not_start_ends_the_run() -> None:
    """Its constructor's error is the run's, and all others are ended."""
    plumber: Log = []
    change = {3: lambda plumber: plumber.connect("s", NodeSpec("new", func=Unmade))}
    document = graph("s > a", s=itertools.count(), a=counting(plumber, change))
    plumber.append(Plumber(document))
    with pytest.raises(StepError, match=r"node 'new' failed while starting: .*no luck"):
        ended(plumber[0].run())


class Unmade:
    """A step that can't be made."""

    def __init__(self) -> None:
        raise OSError("no luck")

    def __call__(self, item: int) -> None:
        """Do nothing."""


async def test_an_edge_that_waits_for_a_line_is_accounted_for() -> None:
    """Nodes that wait for a retry when the run is cancelled have sent nothing over it."""

    def broken(item: int) -> int:
        if item == 3:
            raise OSError
        return item

    retry = {"attempts": 2, "backoff": 3600, "max_backoff": 3600, "jitter": False}
    plumber = Plumber(
        graph("s > a; a > b", s=itertools.count(), a=node(broken, retry=retry), b=same)
    )
    plumber.create_pipeline()
    await until(lambda: plumber.snapshot().nodes["a"].retried)
    for name in ("s", "a", "b"):
        plumber.connect(name, NodeSpec(f"after {name}", func=same))
    plumber.cancel()
    with pytest.raises(asyncio.CancelledError):
        await plumber.join()
    assert plumber.report is not None
    assert plumber.report.reason == "cancelled"
    assert plumber.report.nodes["after s"].received == 0


@pytest.mark.parametrize("sync", [True, False])
def test_a_source_that_starts_over_keeps_its_line(sync: bool) -> None:
    """What it makes at the second attempt still gets through the plain functions behind it."""
    log: Log = []
    attempts = itertools.count()

    async def source() -> AsyncIterator[int]:
        if next(attempts) == 0:
            raise ConnectionError
        await asyncio.sleep(1)
        for item in range(300):
            yield item

    def plain() -> Iterator[int]:
        if next(attempts) == 0:
            raise ConnectionError
        yield from range(300)

    retry = {"attempts": 2, "backoff": "1s"}
    plumber = Plumber(
        graph("s > a; a > o", s=node(plain if sync else source, retry=retry), a=same, o=log.append)
    )

    async def both() -> None:
        plumber.create_pipeline()
        await asyncio.sleep(0.0001)
        plumber.connect("a", NodeSpec("new", func=same))
        await plumber.join()

    ended(both())
    assert log == list(range(300))
    assert plumber.report is not None
    assert plumber.report.nodes["new"].received == 300


# What is refused.


async def test_what_no_edge_may_be() -> None:
    """Each fault has its code; a name is suggested; a circle is shown."""
    merges = node(same, aggregate_inputs=False)
    document = graph(
        "s > one m j; t > j; m > n; n > o",
        s={},
        t={},
        one=same,
        m=merges,
        j=max,
        n=merges,
        o=merges,
    )
    async with Plumber(document) as plumber:
        assert codes(plumber, "s", "nn") == ["unknown-node"]
        assert codes(plumber, "x", "y") == ["unknown-node", "unknown-node"]
        assert codes(plumber, "m", "m") == ["self-loop"]
        assert codes(plumber, "s", "m") == ["duplicate-edge"]
        assert codes(plumber, "o", "m") == ["cycle"]
        assert codes(plumber, "s", "t") == ["input-node"]
        assert codes(plumber, "m", "one") == ["join-gains"]
        assert codes(plumber, "m", "j") == ["join-gains"]
        assert codes(plumber, "one", NodeSpec("m", func=same)) == ["duplicate-node"]
        assert codes(plumber, "one", NodeSpec("p", func="nowhere:f")) == ["import-failed"]
        assert codes(plumber, "one", merging("p", same, executor="fast")) == ["unknown-value"]
        assert codes(plumber, "one", NodeSpec("p", func=same, args={"x": 1})) == ["unknown-arg"]
        assert codes(plumber, "one", "n", buffer_size=0) == ["out-of-range"]
        assert codes(plumber, "one", "n", when_full="drop") == ["unknown-value"]
        with pytest.raises(GraphError, match=r"o -> m -> n -> o\. Leave this edge out"):
            plumber.connect("o", "m")
        with pytest.raises(GraphError, match="no node is named 'nn'"):
            plumber.connect("s", "nn")
        with pytest.raises(GraphError, match="aggregate_inputs: false at 'one' itself"):
            plumber.connect("m", "one")
        with pytest.raises(GraphError, match="no node is named 'mm'"):
            plumber.hold("mm")
        with pytest.raises(GraphError, match="makes its items itself"):
            plumber.hold("s")
        with pytest.raises(GraphError, match="pairs its inputs by position"):
            plumber.hold("j")
        assert len(plumber.spec.edges) == len(document_edges(document))


def document_edges(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the edges of a document."""
    return [(source, target) for source, targets in document["graph"].items() for target in targets]


async def test_a_merge_in_front_of_a_join_can_not_gain() -> None:
    """What it sends is paired by position further on, so nothing may come in between."""
    document = graph(
        "s > a b; a > j; b > j", s={}, a=node(same, aggregate_inputs=False), b=same, j=max
    )
    async with Plumber(document) as plumber:
        assert codes(plumber, "b", "a") == ["join-misaligned"]
        await plumber.put("s", 1)


async def test_what_has_ended_gains_nothing() -> None:
    """Neither as source nor as target, nor does a run that is over."""
    merges = node(same, aggregate_inputs=False)
    document = graph("s > a; t > b; b > c", s=[1], a=merges, t={}, b=same, c=merges)
    plumber = Plumber(document)
    plumber.create_pipeline()
    await until(lambda: plumber.snapshot().nodes["a"].state == "done")
    with pytest.raises(PipelinesError, match="node 'a' has ended"):
        plumber.connect("b", "a")
    with pytest.raises(PipelinesError, match="node 's' has ended"):
        plumber.connect("s", "c")
    with pytest.raises(PipelinesError, match="node 'a' has ended, so it can't be held"):
        plumber.hold("a")
    await plumber.drain()
    with pytest.raises(PipelinesError, match="the run has ended"):
        plumber.connect("b", NodeSpec("d", func=same))
