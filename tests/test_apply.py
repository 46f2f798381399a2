"""Changing a graph while it runs: no item is lost, doubled or late, and the rest doesn't notice."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import ended, graph, later, node, pair, really_ended, same, turns, until

from pipelines import GraphError, Later, PipelinesError, Plumber, RunReport, StepError
from pipelines.check import compile_graph
from pipelines.difference import Changes
from pipelines.step import StreamStep

Log = list[Any]
Document = dict[str, Any]


def times(item: int, factor: int = 1) -> int:
    """Multiply."""
    return item * factor


def every(seconds: float, count: int = 100) -> Callable[[], AsyncIterator[int]]:
    """Return a source that gives numbers, one after the other."""

    async def numbers() -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(seconds)
            yield number

    return numbers


def steadily(over: Log) -> Callable[[], Iterator[int]]:
    """Return a source that gives numbers at once, until there is something in a list."""
    return lambda: itertools.takewhile(lambda _: not over, itertools.count())


def negated(item: int) -> int:
    """Be another step than `same`."""
    return -item


async def turn(item: Any) -> Any:
    """Let others go on."""
    await asyncio.sleep(0)
    return item


async def slow(item: Any) -> Any:
    """Take a while."""
    await asyncio.sleep(0.003)
    return item


def yielded(item: Any) -> Iterator[Any]:
    """Be a step that yields."""
    yield item


async def yielded_later(item: Any) -> AsyncIterator[Any]:
    """Be an async step that yields."""
    await asyncio.sleep(item % 2 / 1000)
    yield item


def flat(items: list[Any]) -> Iterator[Any]:
    """Take a batch apart."""
    yield from items


def polled() -> Any:
    """Return a step that puts some items off once."""
    put_off: set[int] = set()

    def poll(item: int) -> Any:
        if item % 10 == 3 and item not in put_off:
            put_off.add(item)
            return Later(0.002)
        return item

    return poll


def failing() -> Any:
    """Return a step that fails once at some items."""
    failed: set[int] = set()

    async def fail(item: int) -> Any:
        await asyncio.sleep(0)
        if item % 7 == 2 and item not in failed:
            failed.add(item)
            raise OSError(item)
        return item

    return fail


class Through(StreamStep):
    """A step that takes the whole stream, and gives its items on at the end of a few."""

    def stream(self, items: Iterator[Any]) -> Iterator[Any]:
        """Give the items on, three at a time."""
        while few := list(itertools.islice(items, 3)):
            yield from few


async def changed(first: Document, *then: tuple[float, Document]) -> tuple[RunReport, list[Any]]:
    """Run a graph and have it become others, each some seconds after the one before."""
    plumber = Plumber(first)
    plumber.create_pipeline()
    changes = []
    for seconds, document in then:
        await asyncio.sleep(seconds)
        changes.append(await plumber.apply(document))
    return await plumber.join(), changes


def in_turns(over: Log) -> Callable[[], AsyncIterator[int]]:
    """Return a source like `steadily` that waits a little for each number."""

    async def numbers() -> AsyncIterator[int]:
        for number in steadily(over)():
            yield number
            await asyncio.sleep(0.001)

    return numbers


# What may change.


MIDDLES: list[tuple[Any, Any]] = [
    (node(times, {"factor": 1}), node(times, {"factor": -1})),
    (same, node(negated, executor="thread")),
    (node(turn, concurrency=1), node(negated, concurrency=1)),
    (turn, negated),
    (node(later, concurrency=16), node(negated)),
    (yielded, negated),
    (yielded_later, negated),
    (polled(), negated),
    (node(failing(), retry={"attempts": 2}), negated),
    (node(Through, executor="thread"), negated),
    (node(same, executor="thread"), negated),
]


@pytest.mark.parametrize("steady", [True, False])
@pytest.mark.parametrize(("before", "after"), MIDDLES, ids=map(str, range(len(MIDDLES))))
def test_a_node_is_replaced(steady: bool, before: Any, after: Any) -> None:
    """What was sent before has gone through the old one, and all that comes then does not."""
    log: Log = []
    over: Log = []
    source = steadily(over) if steady else in_turns(over)
    document = graph("s > a; a > b; b > o", s=source, a=before, b=same, o=log.append)
    other = graph("s > a; a > b; b > o", s=source, a=after, b=same, o=log.append)

    async def live() -> RunReport:
        plumber = Plumber(document)
        plumber.create_pipeline()
        await until(lambda: len(log) > 10)
        assert await plumber.apply(other) == Changes(replaced=("a",))
        await until(lambda: log[-1] < 0)
        over.append(True)
        return await plumber.join()

    report = really_ended(live())
    assert [abs(each) for each in log] == list(range(len(log)))
    signs = [each > 0 for each in log[1:]]
    assert signs == sorted(signs, reverse=True)
    assert report.nodes["b"].received == report.nodes["o"].received == len(log)
    assert report.nodes["a"].received == sum(each < 0 for each in log)


@pytest.mark.parametrize(
    "properties",
    [{"concurrency": 3}, {"on_error": "skip"}, {"rate_limit": "1000/s"}, {"timeout": 10}],
)
def test_a_property_changes(properties: dict[str, Any]) -> None:
    """The node is replaced, and only that."""
    log: Log = []

    def document(**properties: Any) -> Document:
        return graph("s > a; a > o", s=source, a=node(later, **properties), o=keep)

    source, keep = every(0.001), log.append
    report, changes = ended(changed(document(), (0.03, document(**properties))))
    assert changes == [Changes(replaced=("a",))]
    assert log == list(range(100))
    assert 0 < report.nodes["a"].received < 100


def test_a_partial_batch_is_flushed_where_its_node_goes_and_kept_where_it_stays() -> None:
    """Nobody waits for it to be filled up."""
    log: Log = []
    keep, source = log.append, every(0.001, 10)
    first = graph("s > b; b > o", s=source, b=node(tuple, batch={"size": 4}), o=keep)
    other = graph("s > b; b > n; n > o", s=source, b=node(tuple, batch={"size": 4}), n=same, o=keep)
    third = graph("s > b; b > n; n > o", s=source, b=node(tuple, batch={"size": 3}), n=same, o=keep)
    ended(changed(first, (0.0025, other), (0.004, third)))
    assert log == [(0, 1, 2, 3), (4, 5), (6, 7, 8), (9,)]


class Counting:
    """A step with a state, which tells of its making and its end."""

    def __init__(self, log: Log) -> None:
        self._log = log
        log.append("made")
        self._count = itertools.count()

    def __enter__(self) -> Self:
        return self

    def __call__(self, item: Any) -> int:
        """Count items."""
        return next(self._count)

    def __exit__(self, *error: object) -> None:
        self._log.append(error[0])


@pytest.mark.parametrize("properties", [{}, {"executor": "thread"}, {"batch": {"size": 1}}])
def test_what_stays_the_same_keeps_its_state_and_counters(properties: dict[str, Any]) -> None:
    """Also where what leads to it and from it changes."""
    log: Log = []
    lives: Log = []
    keep, source = log.append, every(0.001, 50)
    counting = node(Counting, {"log": lives}, **properties)
    first = graph("s > c; c > o", s=source, c=counting, o=keep)
    other = graph(
        "s > a; a > c; c > b x; b > o", s=source, a=same, b=turn, x=same, c=counting, o=keep
    )
    report, changes = really_ended(changed(first, (0.02, other), (0.01, first)))
    assert lives == ["made", None]
    assert log == list(range(50))
    assert report.nodes["c"].received == report.nodes["o"].received == 50
    assert changes[0] == Changes(
        added=("a", "b", "x"),
        edges_added=(("s", "a"), ("a", "c"), ("c", "b"), ("c", "x"), ("b", "o")),
        edges_removed=(("s", "c"), ("c", "o")),
    )
    assert changes[1].removed == ("a", "b", "x")


def test_a_branch_and_a_join_come_and_go() -> None:
    """Rows are made of what belongs together."""
    log: Log = []
    keep, source = log.append, every(0.001)
    line = graph("s > a; a > o", s=source, a=later, o=keep)
    diamond = graph("s > a b; a > j; b > j; j > o", s=source, a=later, b=slow, j=pair, o=keep)
    report, _ = ended(changed(line, (0.03, diamond), (0.03, line)))
    rows = [each for each in log if isinstance(each, tuple)]
    assert rows
    assert [each[0] if isinstance(each, tuple) else each for each in log] == list(range(100))
    assert all(one == other for one, other in rows)
    assert set(report.nodes) == {"s", "a", "o"}


def test_a_source_is_replaced_added_and_removed() -> None:
    """The old one ends behind its last item, a new one starts at its beginning."""
    log: Log = []
    keep = node(log.append, aggregate_inputs=False)
    first = graph("s > o", s=every(0.001, 1000), o=keep)
    second = graph("s > o", s=every(0.001, 30), o=keep)
    third = graph("s > o; t > o", s=second["nodes"]["s"], t=lambda: "abc", o=keep)
    fourth = graph("s > o", s=second["nodes"]["s"], o=keep)
    ended(changed(first, (0.0105, second), (0.0105, third), (0.0105, fourth)))
    numbers = [each for each in log if isinstance(each, int)]
    assert numbers == [*range(10), *range(30)]
    assert [each for each in log if isinstance(each, str)] == ["a", "b", "c"]


def test_an_edge_changes() -> None:
    """It holds more from then on, and its nodes stay as they are."""
    first = graph("s > a; a > o", s=every(0.001), a=turn, o=same)
    other = graph("s > a; a > o", s=first["nodes"]["s"], a=turn, o=node(same, buffer_size=7))
    report, changes = ended(changed(first, (0.01, other)))
    assert changes == [Changes(edges_changed=(("a", "o"),))]
    assert report.edges["a", "o"].maxsize == 7
    assert report.nodes["o"].received == 100


async def test_nothing_changes() -> None:
    """Then nobody is asked to pause, and what is returned is false."""
    document = graph("s > a", s=every(0.001), a=same)
    async with Plumber(document) as plumber:
        assert not await plumber.apply(document)
        assert not await plumber.apply(compile_graph(document))
        assert not plumber.snapshot().nodes["a"].received


def test_before_the_run() -> None:
    """A graph that has not started becomes another one at once."""
    log: Log = []

    async def early() -> RunReport:
        plumber = Plumber(graph("s > a", s=[1], a=same))
        changes = await plumber.apply(graph("s > b", s=[1, 2], b=log.append))
        assert (changes.added, changes.removed, changes.replaced) == (("b",), ("a",), ("s",))
        return await plumber.run()

    assert ended(early()).nodes["b"].received == 2
    assert log == [1, 2]


async def test_what_is_fed_goes_on_being_fed() -> None:
    """Who puts something meanwhile waits at most; also where the input itself is replaced."""
    log: Log = []
    keep = log.append
    async with Plumber(graph("s > o", s={}, o=keep)) as plumber:

        async def feed() -> None:
            for number in range(100):
                await plumber.put("s", number)
                await asyncio.sleep(0)

        feeding = asyncio.create_task(feed())
        await until(lambda: len(log) > 10)
        assert await plumber.apply(graph("s > a; a > o", s={}, a=slow, o=keep))
        await until(lambda: len(log) > 30)
        smaller = {"properties": {"buffer_size": 1}}
        assert (
            await plumber.apply(
                graph("s > a; a > o", s={}, a=slow, o=keep) | {"defaults": smaller["properties"]}
            )
        ).replaced == ("s",)
        await feeding
    assert log == list(range(100))


def test_an_idle_source_is_not_waited_for() -> None:
    """Its next item may come in an hour."""
    log: Log = []
    keep, source = log.append, every(3600, 3)

    async def live() -> float:
        plumber = Plumber(graph("s > o", s=source, o=keep))
        plumber.create_pipeline()
        await asyncio.sleep(4000)
        began = asyncio.get_running_loop().time()
        await plumber.apply(graph("s > a; a > o", s=source, a=negated, o=keep))
        took = asyncio.get_running_loop().time() - began
        await plumber.join()
        return took

    assert ended(live(), within=20_000) < 1
    assert log == [0, -1, -2]


def test_a_join_of_several_streams_keeps_what_waits() -> None:
    """Where one is far ahead of the other, what it sent is given its partners all the same."""
    log: Log = []
    keep, fast, slow_ = log.append, every(0, 100), every(0.01, 100)

    def document(step: Any, **properties: Any) -> Document:
        properties = {"buffer_size": 3, **properties}
        nodes = {"s": fast, "t": slow_, "a": node(step, buffer_size=3)}
        return graph("s > a; a > j; t > j; j > o", **nodes, j=node(pair, **properties), o=keep)

    steps = [document(turn), document(same), document(yielded), document(same, rate_limit="900/s")]
    report, _ = ended(changed(steps[0], *((0.1, each) for each in steps[1:])))
    assert log == [(number, number) for number in range(100)]
    assert report.edges["a", "j"].maxsize == 3


# What may not.


def refused(document: Document, other: Document) -> list[str]:
    """Return what is wrong with a change; the run must go on as if nothing had been asked."""

    async def live() -> list[str]:
        plumber = Plumber(document)
        plumber.create_pipeline()
        with pytest.raises(GraphError) as caught:
            await plumber.apply(other)
        assert (await plumber.join()).ok
        return [problem.code for problem in caught.value.problems]

    return ended(live())


def test_all_that_is_refused_is_told_at_once() -> None:
    """And the run goes on."""
    source = every(0.001)
    first = graph("s > a j; t > j", s=source, t=source, a=same, j=pair)
    other = graph("s > a; a > j; t > j", s=source, t=source, a=same, j=pair)
    live = {"runtime": {"max_failures": 3}, "dead_letter": {"func": same}}
    assert refused(first, other | live) == ["not-live", "not-live", "join-uneven"]
    assert refused(first, graph("s > x", s=source)) == ["unknown-node"]


async def test_what_has_ended_can_not_be_changed() -> None:
    """Neither a node nor the run."""
    source, other, ends = every(3600), every(3600), lambda: [1]
    first = graph("s > a; t > b", s=source, t=ends, a=same, b=same)
    plumber = Plumber(first)
    plumber.create_pipeline()
    await until(lambda: plumber["b"].state == "done")
    with pytest.raises(PipelinesError, match="node 'b' has ended, so it can't be changed"):
        await plumber.apply(graph("s > a; t > b", s=source, t=ends, a=same, b=turn))
    with pytest.raises(PipelinesError, match="node 't' has ended"):
        await plumber.apply(graph("s > a; t > b c", s=source, t=ends, a=same, b=same, c=same))
    removed = await plumber.apply(graph("s > a", s=other, a=same))
    assert removed.removed == ("t", "b")
    assert removed.replaced == ("s",)
    assert set((await plumber.drain()).nodes) == {"s", "a"}
    with pytest.raises(PipelinesError, match="the run has ended, so its graph can't be changed"):
        await plumber.apply(first)


def test_the_sources_end_meanwhile() -> None:
    """Then it is said, and the run ends well."""

    async def live() -> RunReport:
        plumber = Plumber(graph("s > a", s=[1], a=slow))
        plumber.create_pipeline()
        await asyncio.sleep(0.001)
        with pytest.raises(PipelinesError, match="has ended"):
            await plumber.apply(graph("s > b", s=[1], b=same))
        return await plumber.join()

    assert ended(live()).ok


# Ending.


class Unmade:
    """A step that can't be made."""

    def __init__(self) -> None:
        raise OSError("no luck")

    def __call__(self, item: int) -> None:
        """Do nothing."""


def test_a_new_step_that_can_not_be_made_ends_the_run() -> None:
    """The old one has gone by then."""

    async def live() -> None:
        plumber = Plumber(graph("s > a", s=(source := every(0.001)), a=same))
        plumber.create_pipeline()
        await asyncio.sleep(0.01)
        with pytest.raises(StepError, match="node 'a' failed while starting"):
            await plumber.apply(graph("s > a", s=source, a=Unmade))
        with pytest.raises(StepError, match="no luck"):
            await plumber.join()

    ended(live())


@pytest.mark.parametrize("how", ["cancel", "drain", "fail", "give up", "twice", "leave"])
@pytest.mark.parametrize("seconds", [0, 0.001, 0.5, 2.5])
def test_what_happens_meanwhile(how: str, seconds: float) -> None:
    """A change never keeps a run from ending, nor the other way round."""

    async def long(item: int) -> int:
        await asyncio.sleep(1)
        if how == "fail" and item > 1:
            raise ValueError(item)
        return item

    source = every(0.001, 50)
    first = graph("s > a; a > o", s=source, a=node(long, concurrency=2), o=same)
    other = graph("s > a; a > o", s=source, a=node(slow, concurrency=2), o=same)

    async def live() -> str:
        plumber = Plumber(first)
        plumber.create_pipeline()
        await asyncio.sleep(0.01)
        applying = asyncio.create_task(plumber.apply(other))
        await asyncio.sleep(seconds)
        if how == "cancel":
            plumber.cancel()
        elif how == "drain":
            plumber.stop_sources()
        elif how == "give up":
            applying.cancel()
        elif how == "twice":
            await plumber.apply(first)
            await plumber.apply(other)
        (result,) = await asyncio.gather(applying, return_exceptions=True)
        if isinstance(result, Changes):
            assert result.replaced == ("a",)
        else:
            assert isinstance(result, PipelinesError | asyncio.CancelledError)
        with contextlib.suppress(PipelinesError, asyncio.CancelledError):
            await plumber.join()
        assert plumber.report is not None
        if plumber.report.ok:
            assert plumber.report.nodes["o"].received == plumber.report.nodes["s"].emitted
        return plumber.report.reason

    reasons = {"cancel": "cancelled", "drain": "drained", "fail": "failed"}
    assert ended(live(), within=500) == reasons.get(how, "done")


# At random.


THREAD: dict[str, Any] = {"executor": "thread"}


def plain_steps(threads: bool) -> list[tuple[Any, list[dict[str, Any]]]]:
    """Return steps that give one result for each item, in order, and what they may be told."""
    several: list[dict[str, Any]] = [{}, {"concurrency": 1}, {"concurrency": 3, "buffer_size": 2}]
    return [
        (same, [{}, {"buffer_size": 1}, *([THREAD] if threads else [])]),
        (turn, several),
        (later, several),
        (polled(), [{}]),
        (failing(), [{"retry": {"attempts": 2, "backoff": "1ms"}, **each} for each in several]),
    ]


def any_steps(threads: bool) -> list[tuple[Any, list[dict[str, Any]]]]:
    """Return more of them, whose results are a stream of their own."""
    batches = [{"batch": {"size": 3}}, {"batch": {"size": 5, "timeout": "2ms"}}]
    return [
        *plain_steps(threads),
        (yielded, [THREAD if threads else {}]),
        (yielded_later, [{}]),
        (flat, batches),
        *([(Through, [THREAD])] if threads else []),
    ]


def equal(*values: int) -> int:
    """Join what must be equal."""
    assert len(set(values)) == 1, values
    return values[0]


class Draws:
    """Draws graphs in which each item of a source comes to a sink as it is."""

    def __init__(self, data: st.DataObject, count: int) -> None:
        self._draw = data.draw
        self.log: Log = []
        self.rows: Log = []
        self._keep = self.log.append
        self._keep_rows = self.rows.append
        pauses = data.draw(st.sets(st.integers(0, count)), label="pauses")

        async def slowly() -> AsyncIterator[int]:
            for item in range(count):
                if item in pauses:
                    await asyncio.sleep(0.003)
                yield item

        self.over: Log = []
        kinds = [slowly, lambda: range(count), steadily(self.over)]
        self._source = data.draw(st.sampled_from(kinds), label="source")
        self.steady = self._source is kinds[2]
        # While one never rests no virtual time passes for another one.
        others = [] if self.steady else kinds[:2]
        self._other = data.draw(st.sampled_from([None, *others]), label="other source")
        #: Threads take real time.
        self.threads = not data.draw(st.integers(0, 7))
        self._steps, self._plain = any_steps(self.threads), plain_steps(self.threads)

    def document(self) -> Document:
        """Draw a graph: from `s` to `o` through steps and diamonds, with some that lead aside."""
        nodes: dict[str, Any] = {"s": self._source}
        edges: list[tuple[str, str]] = []
        end = "s"
        for number in range(self._draw(st.integers(0, 3), label="length")):
            if self._draw(st.integers(0, 2)):
                end = self._lead(nodes, edges, end, f"n{number}", self._steps)
            else:
                end = self._diamond(nodes, edges, end, number)
        for name in [*nodes]:
            if not self._draw(st.integers(0, 4)):
                self._lead(nodes, edges, name, f"x{name}", self._steps)
        nodes["o"] = node(self._keep, buffer_size=self._draw(st.sampled_from([1, 100])))
        edges.append((end, "o"))
        if self._other is not None:
            nodes |= {"t": self._other, "two": node(pair, buffer_size=3), "p": self._keep_rows}
            edges += [("t", "two"), ("m", "two"), ("two", "p")]
            self._lead(nodes, edges, "s", "m", self._plain)
        targets: dict[str, list[str]] = {}
        for one, other in edges:
            targets.setdefault(one, []).append(other)
        lines = [f"{one} > {' '.join(others)}" for one, others in targets.items()]
        return graph("; ".join(lines), **nodes)

    def _lead(self, nodes: Any, edges: Any, start: str, name: str, steps: Any) -> str:
        step, choices = self._draw(st.sampled_from(steps))
        nodes[name] = node(step, **self._draw(st.sampled_from(choices)))
        edges.append((start, name))
        return name

    def _diamond(self, nodes: Any, edges: Any, start: str, number: int) -> str:
        join = f"j{number}"
        for branch in "abc"[: self._draw(st.integers(2, 3))]:
            end = self._lead(nodes, edges, start, f"{branch}{number}", self._plain)
            edges.append((end, join))
        nodes[join] = equal
        return join


@given(st.data())
def test_changes_at_random(data: st.DataObject) -> None:
    """Each item comes to a sink that stays exactly once and in order, joins stay aligned."""
    count = data.draw(st.integers(0, 150), label="items")
    draws = Draws(data, count)

    async def live() -> RunReport:
        plumber = Plumber(draws.document())
        plumber.create_pipeline()
        for _ in range(data.draw(st.integers(1, 4), label="changes")):
            if draws.steady:
                await turns(data.draw(st.integers(0, 50)))
            else:
                await asyncio.sleep(data.draw(st.sampled_from([0, 0, 0.001, 0.005, 0.02])))
            try:
                await plumber.apply(draws.document())
            except PipelinesError as error:
                assert "ended" in str(error)  # noqa: PT017 (it may raise, but nothing else)
        draws.over.append(True)
        return await plumber.join()

    report = (really_ended if draws.threads else ended)(live(), 100)
    made = report.nodes["s"].emitted
    assert made == count or draws.steady
    assert draws.log == list(range(made))
    assert draws.rows == [(number, number) for number in range(len(draws.rows))]
    if "p" in report.nodes:
        assert len(draws.rows) == made
    assert report.nodes["o"].received == made


@given(st.data())
def test_a_run_ends_at_random_while_it_changes(data: st.DataObject) -> None:
    """However it does and whenever, nothing hangs, and what came is the beginning of the stream."""
    count = data.draw(st.integers(0, 100), label="items")
    draws = Draws(data, count)
    ends = st.sampled_from(["cancel", "drain", "give up", "fail", "leave"])
    pause = st.integers(0, 60)

    async def live() -> str:
        plumber = Plumber(draws.document())
        plumber.create_pipeline()
        try:
            for _ in range(data.draw(st.integers(1, 3), label="changes")):
                await turns(data.draw(pause))
                applying = asyncio.create_task(plumber.apply(draws.document()))
                try:
                    await turns(data.draw(pause))
                    await end(plumber, applying, data.draw(ends))
                finally:  # Hypothesis gives up an example by raising where it draws
                    with contextlib.suppress(PipelinesError, asyncio.CancelledError):
                        await applying
        finally:
            draws.over.append(True)
            with contextlib.suppress(PipelinesError, asyncio.CancelledError):
                await plumber.join()
        assert plumber.report is not None
        return plumber.report.reason

    async def end(plumber: Plumber, applying: asyncio.Task[Changes], how: str) -> None:
        if how == "cancel":
            plumber.cancel()
        elif how == "drain":
            plumber.stop_sources()
        elif how == "give up":
            applying.cancel()
        elif how == "fail":
            broken = draws.document()
            broken["nodes"]["s"] = {"func": Unmade}
            with contextlib.suppress(PipelinesError):
                await plumber.apply(broken)

    reason = (really_ended if draws.threads else ended)(live(), 100)
    assert draws.log == list(range(len(draws.log)))
    assert draws.rows == [(number, number) for number in range(len(draws.rows))]
    if reason == "done" and not draws.steady:
        assert len(draws.log) == count


@pytest.mark.parametrize("properties", [{"executor": "thread"}, {"rate_limit": "5000/s"}])
def test_sources_that_send_by_themselves_pause(properties: dict[str, Any]) -> None:
    """Those in threads and paced ones too."""
    log: Log = []
    over: Log = []
    source = node(steadily(over), **properties)

    async def live() -> RunReport:
        plumber = Plumber(graph("s > o", s=source, o=(keep := log.append)))
        plumber.create_pipeline()
        for step in (same, turn, yielded):
            count = len(log)
            await until(lambda count=count: len(log) > count + 10)
            await plumber.apply(graph("s > a; a > o", s=source, a=step, o=keep))
        over.append(True)
        return await plumber.join()

    report = really_ended(live())
    assert log == list(range(report.nodes["o"].received))


def test_a_source_of_the_seeds_form_pauses() -> None:
    """It waits in its next `put`, and the item that it has in hand comes afterwards."""
    log: Log = []

    async def count(self: Any, output_q: Any) -> None:
        for number in range(50):
            await output_q.put(number)
            await asyncio.sleep(0.001)

    source = {"coro": count}
    keep = log.append
    first = graph("s > o", s=source, o=keep)
    other = graph("s > a; a > o", s=source, a=slow, o=keep)
    report, _ = ended(changed(first, (0.01, other), (0.01, first), (0, other)))
    assert log == list(range(50))
    assert report.nodes["s"].emitted == 50


def test_a_held_node_stays_held() -> None:
    """Whether it stays or is replaced, an edge may still come."""

    async def live() -> None:
        log: Log = []
        source, keep = every(0.001), log.append
        sink = node(keep, aggregate_inputs=False)
        plumber = Plumber(graph("s > a o", s=source, a=same, o=sink))
        plumber.create_pipeline()
        plumber.hold("o")
        await asyncio.sleep(0.01)
        slower = node(keep, aggregate_inputs=False, rate_limit="100000/s")
        await plumber.apply(graph("s > a o", s=source, a=turn, o=slower))
        plumber.connect("a", "o")
        report = await plumber.join()
        assert report.nodes["a"].received + 100 == len(log)

    ended(live())


async def test_one_change_at_a_time() -> None:
    """Another one waits; an edge that is to come meanwhile is refused."""
    source = every(3600)
    async with Plumber(graph("s > a", s=source, a=slow)) as plumber:
        applying = asyncio.create_task(plumber.apply(graph("s > a b", s=source, a=slow, b=same)))
        then = asyncio.create_task(plumber.apply(graph("s > b", s=source, b=same)))
        await turns(2)
        with pytest.raises(PipelinesError, match="the graph is being changed"):
            plumber.connect("s", "c")
        assert (await applying).added == ("b",)
        assert (await then).removed == ("a",)
        plumber.stop_sources()


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_step_can_not_await_a_change(concurrency: int) -> None:
    """It would wait for itself; in a task of its own the change comes."""
    plumbers: list[Plumber] = []
    tasks: list[asyncio.Task[Changes]] = []
    source = every(0.001, 20)

    async def step(item: int) -> int:
        await asyncio.sleep(0)
        if item == 5:
            with pytest.raises(PipelinesError, match="a step can't await it"):
                await plumbers[0].apply(document(turn))
            tasks.append(asyncio.create_task(plumbers[0].apply(document(turn))))
        return item

    def document(step: Any) -> Document:
        return graph("s > a; a > o", s=source, a=node(step, concurrency=concurrency), o=same)

    async def live() -> RunReport:
        plumbers.append(Plumber(document(step)))
        report = await plumbers[0].run()
        assert (await tasks[0]).replaced == ("a",)
        return report

    assert ended(live()).nodes["o"].received == 20
