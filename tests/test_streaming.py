"""Steps that take a whole stream: an iterator of items in, an iterable of results out."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import graph, node, pair, really_ended, really_run, same

from pipelines import SKIP, GraphError, Later, Plumber, Route, StepError
from pipelines.step import StreamStep


class Fn(StreamStep):
    """Takes a stream through a function."""

    def __init__(self, fn: Any) -> None:
        self.fn = fn

    def stream(self, items: Iterator[Any]) -> Iterable[Any] | None:
        """Call it."""
        result: Iterable[Any] | None = self.fn(items)
        return result


def stream(fn: Any, **properties: Any) -> dict[str, Any]:
    """Return a node whose step is a function of an iterator."""
    return node(Fn, {"fn": fn}, **properties)


def through(fn: Any, items: Iterable[Any], **properties: Any) -> list[Any]:
    """Return what comes of items."""
    out: list[Any] = []
    really_run(graph("s > f; f > o", s=node(items), f=stream(fn, **properties), o=out.append))
    return out


def evens(items: Iterator[int]) -> Iterator[int]:
    """Keep the even ones."""
    return (item for item in items if item % 2 == 0)


def twice(items: Iterator[int]) -> Iterator[int]:
    """Give each of them twice."""
    for item in items:
        yield item
        yield item


def chunks(items: Iterator[int]) -> Iterator[int]:
    """Give the sum of every three, and of what is left at the end."""
    while chunk := list(itertools.islice(items, 3)):
        yield sum(chunk)


STEPS = [evens, twice, chunks, iter, sorted, lambda items: itertools.islice(items, 5)]


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(STEPS), min_size=1, max_size=3),
    st.lists(st.integers(0, 100), max_size=60),
    st.integers(1, 7),
)
def test_it_gives_what_the_functions_give(fns: list[Any], items: list[int], size: int) -> None:
    """Nothing is lost, the order stays, and what comes at the end comes, at any buffer size."""
    out: list[Any] = []
    names = [f"f{index}" for index in range(len(fns))]
    edges = "; ".join(f"{a} > {b}" for a, b in itertools.pairwise(["s", *names, "o"]))
    nodes = {name: stream(fn) for name, fn in zip(names, fns, strict=True)}
    document = graph(edges, s=node(items), o=out.append, **nodes)
    report = really_run({**document, "defaults": {"buffer_size": size}})
    expected: Any = items
    for fn in fns:
        expected = fn(iter(expected))
    assert out == list(expected)
    assert all(each.balanced and not each.in_flight for each in report.nodes.values())


@settings(max_examples=30)
@given(st.lists(st.integers(), max_size=80), st.integers(2, 4))
def test_several_streams_share_the_items(items: list[int], threads: int) -> None:
    """Each item comes to exactly one of them."""
    assert sorted(through(iter, items, concurrency=threads, ordered=False)) == sorted(items)


def test_as_many_streams_run_as_were_asked_for() -> None:
    """All of them from the start, each in a thread of its own."""
    barrier = threading.Barrier(3)

    def meet(items: Iterator[int]) -> Iterator[str]:
        barrier.wait(5)
        for _ in items:
            pass
        yield threading.current_thread().name

    assert len(set(through(meet, range(10), concurrency=3, ordered=False))) == 3


def test_a_result_is_sent_on_before_the_next_item_is_there() -> None:
    """A stream that waits for its source holds nothing back."""
    seen = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        assert seen.wait(5)
        yield 2

    report = really_run(
        graph(
            "s > f; f > o",
            s=node(source, executor="thread"),
            f=stream(iter),
            o=lambda _: seen.set(),
        )
    )
    assert report.nodes["o"].received == 2


def test_no_more_is_taken_than_there_is_room_for() -> None:
    """A slow sink holds the source up: what is between them is bounded by the edges."""
    made = 0
    most = 0
    done = 0

    def source() -> Iterator[int]:
        nonlocal made
        for item in range(500):
            made += 1
            yield item

    async def sink(item: int) -> None:
        nonlocal most, done
        done += 1
        most = max(most, made - done)

    document = graph("s > f; f > o", s=node(source), f=stream(iter), o=sink)
    really_run({**document, "defaults": {"buffer_size": 3}})
    # Three on each edge, three in the thread on either side of the step, and those in hand.
    assert most <= 4 * 3 + 4


def test_a_stream_that_ends_early_ends_its_node() -> None:
    """Its source is released, though it would go on for ever."""
    out = through(lambda items: itertools.islice(items, 5), itertools.count())
    assert out == [0, 1, 2, 3, 4]


def test_a_stream_may_give_nothing_at_all() -> None:
    """A function that takes all items and returns `None` is a sink."""
    kept: list[int] = []
    report = really_run(graph("s > f", s=node(range(10)), f=stream(kept.extend)))
    assert kept == list(range(10))
    assert report.nodes["f"].passed_on == 10


def test_what_it_yields_may_be_routed_or_skipped() -> None:
    """As what any step yields."""
    kept: dict[str, list[int]] = {"a": [], "b": []}

    def sort(items: Iterator[int]) -> Iterator[Any]:
        for item in items:
            yield SKIP if item == 3 else Route("a" if item % 2 else "b", item)

    really_run(
        graph(
            "s > f; f > a b",
            s=node(range(6)),
            f=stream(sort),
            a=kept["a"].append,
            b=kept["b"].append,
        )
    )
    assert kept == {"a": [1, 5], "b": [0, 2, 4]}


def test_it_can_have_several_inbound_edges() -> None:
    """Merged, its items are those of all; joined, they are rows."""
    rows: list[Any] = []
    edges = "s > a b; a > f; b > f; f > o"
    nodes = {"s": node(range(3)), "a": same, "b": lambda x: -x, "o": rows.append}
    really_run(graph(edges, f=stream(iter), **nodes))
    assert rows == [(0, 0), (1, -1), (2, -2)]
    rows.clear()
    really_run(graph(edges, f=stream(iter, aggregate_inputs=False), **nodes))
    assert sorted(rows) == [-2, -1, 0, 0, 1, 2]


def test_it_takes_batches() -> None:
    """With the property `batch` its items are lists, and count for what they hold."""
    out: list[Any] = []
    report = really_run(
        graph("s > f; f > o", s=node(range(5)), f=stream(iter, batch={"size": 2}), o=out.append)
    )
    assert out == [[0, 1], [2, 3], [4]]
    assert report.nodes["f"].received == 5


@pytest.mark.parametrize("size", [1, 100])
def test_a_failure_names_the_item(size: int) -> None:
    """The run fails with the user's error, and all is accounted for."""

    def fail(items: Iterator[int]) -> Iterator[int]:
        for item in items:
            yield 1 // (item - 7)

    document = graph("s > f; f > o", s=node(range(100)), f=stream(fail), o=same)
    plumber = Plumber({**document, "defaults": {"buffer_size": size}})
    with pytest.raises(StepError, match="node 'f' failed on item 7: ZeroDivisionError") as caught:
        really_ended(plumber.run())
    assert isinstance(caught.value.cause, ZeroDivisionError)
    assert plumber.report is not None
    counts = plumber.report.nodes["f"]
    assert (counts.received, counts.failed, counts.balanced) == (8, 1, True)
    assert "lost" not in "".join(getattr(caught.value, "__notes__", ()))


def test_a_failure_at_either_end_says_so() -> None:
    """There is no item to blame before the first, and none after the last."""

    def early(items: Iterator[int]) -> Iterator[int]:
        raise ValueError("no")

    def late(items: Iterator[int]) -> Iterator[int]:
        yield from items
        raise ValueError("no")

    with pytest.raises(StepError, match="before its first item: ValueError: no"):
        through(early, range(3))
    with pytest.raises(StepError, match="after its last item: ValueError: no"):
        through(late, range(3))


def test_generators_are_closed_when_the_run_fails_elsewhere() -> None:
    """Their `finally` runs, in their own thread, before the run has ended."""
    closed: list[str] = []

    def careful(items: Iterator[int]) -> Iterator[int]:
        try:
            yield from items
        finally:
            closed.append(threading.current_thread().name)

    with pytest.raises(StepError, match="node 'o'"):
        really_run(
            graph(
                "s > f; f > o",
                s=node(itertools.count()),
                f=stream(careful),
                o=lambda x: 1 // (x - 9),
            )
        )
    assert closed == ["pipelines:f:0"]


def test_a_step_error_in_what_it_yields_closes_it() -> None:
    """`Later` is for a step that is called with an item."""
    with pytest.raises(StepError, match="Later is of no use here"):
        through(lambda items: (Later(1) for _ in items), range(3))


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"executor": "process"}, "stream-in-process"),
        ({"concurrency": 2}, "Set ordered: false"),
        ({"retry": {}}, "retry is for single items"),
        ({"timeout": 1}, "timeout is for single items"),
        ({"rate_limit": "1/s"}, "rate_limit is for single items"),
        ({"on_error": "skip"}, "on_error is for single items"),
    ],
)
def test_what_a_stream_can_not_have_is_refused(properties: dict[str, Any], message: str) -> None:
    """Before anything runs, and with what to write instead."""
    with pytest.raises(GraphError, match=message):
        Plumber(graph("s > f", s=node(range(3)), f=stream(iter, **properties)))


def test_a_default_for_items_does_not_concern_it() -> None:
    """As it does not concern a source."""
    out: list[int] = []
    document = graph("s > f; f > o", s=node(range(3)), f=stream(iter), o=out.append)
    really_run({**document, "defaults": {"on_error": "skip", "retry": {"attempts": 2}}})
    assert out == [0, 1, 2]


def test_it_can_be_no_source_and_take_no_dead_letters() -> None:
    """Both would never get a stream."""
    with pytest.raises(GraphError, match="no edge leads here"):
        Plumber(graph("f > o", f=stream(iter), o=same))
    document = graph("s > o", s=node(range(3)), o=node(same, on_error="dead_letter"))
    with pytest.raises(GraphError, match="takes a whole stream, not a letter"):
        Plumber({**document, "dead_letter": {"func": Fn, "args": {"fn": iter}}})


def test_it_starts_a_stream_of_its_own() -> None:
    """So it can't be joined with another branch by position."""
    with pytest.raises(GraphError, match="join-misaligned"):
        Plumber(graph("s > f j; f > j", s=node(range(3)), f=stream(iter), j=pair))
