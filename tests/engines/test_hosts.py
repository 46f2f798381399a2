"""Hosts: what a graph gives does not depend on how it is cut into processes and batches.

The hosts are in this process here, so that many graphs can be tried; `test_ray` has them elsewhere.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import Plan, plans
from test_promises import check_plan

from pipelines import SKIP, Later, Plumber, Route, StepError
from pipelines.check import compile_graph
from pipelines.engines.board import Board
from pipelines.engines.hosted import Batching
from pipelines.engines.inprocess import InProcessEngine
from pipelines.engines.plan import make_plan
from pipelines.errors import GraphError, JoinError, PipelinesError


def engine(size: int = 1000, age: float = 0.05) -> InProcessEngine:
    """Return an engine that makes batches of that size."""
    return InProcessEngine(Batching(size, age))


def placed(document: dict[str, Any], scopes: list[str | None]) -> dict[str, Any]:
    """Return a graph's document whose nodes are spread over scopes, in turn."""
    fed = {
        target if isinstance(target, str) else target["to"]
        for targets in document["graph"].values()
        for target in targets or ()
    }
    for index, (name, node) in enumerate(document["nodes"].items()):
        scope = scopes[index % len(scopes)]
        if name in fed and scope is not None:
            node["properties"] = {**node.get("properties", {}), "scope": scope}
    return document


_SCOPES = st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=8)
_SIZES = st.sampled_from([1, 2, 3, 7, 1000])


@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(plans(), _SIZES, _SCOPES)
def test_a_random_graph_gives_what_the_model_gives(
    plan: Plan, size: int, scopes: list[str | None]
) -> None:
    """Values, order, pairing, counters and balance are those of the model, however it is cut."""
    check_plan(plan, make=lambda graph: Plumber(placed(graph, scopes), engine=engine(size, 0.01)))


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(plans(executors=("inline", "thread")), _SIZES, _SCOPES)
def test_threads_change_nothing(plan: Plan, size: int, scopes: list[str | None]) -> None:
    """Also with steps in threads, whose lanes the batches of a host share."""
    check_plan(
        plan,
        run=asyncio.run,
        make=lambda graph: Plumber(placed(graph, scopes), engine=engine(size, 0.01)),
    )


class Running:
    """Counts calls in flight, and notes the order in which items come.

    Args:
        wanted: no call returns before that many were in flight at once.
    """

    def __init__(self, wanted: int) -> None:
        self.now = self.most = 0
        self.seen: list[Any] = []
        self._wanted = wanted
        self._reached = asyncio.Event()

    async def __call__(self, item: Any) -> Any:
        """Note an item, and wait."""
        self.seen.append(item)
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == self._wanted:
            self._reached.set()
        await self._reached.wait()
        await asyncio.sleep(0)
        self.now -= 1
        return item


def chain(*steps: Any, **properties: Any) -> dict[str, Any]:
    """Return the graph of 100 numbers through some steps, the first with properties."""
    names = ["source", *(f"n{index}" for index in range(len(steps)))]
    nodes: dict[str, Any] = {"source": {"func": range(100)}}
    nodes |= {name: {"func": step} for name, step in zip(names[1:], steps, strict=True)}
    nodes["n0"]["properties"] = properties
    pairs = zip(names, [*names[1:], None], strict=True)
    return {"nodes": nodes, "graph": {name: [to] if to else None for name, to in pairs}}


@pytest.mark.parametrize("concurrency", [1, 3, 16])
def test_calls_in_flight_are_bounded_over_all_batches(concurrency: int) -> None:
    """A node has never more calls in flight than its concurrency, and reaches that."""
    step = Running(concurrency)
    graph = chain(step, len_of_repr, concurrency=concurrency)
    Plumber(graph, engine=engine(2)).run_sync()
    assert step.most == concurrency


def len_of_repr(item: Any) -> int:
    """Be some plain step."""
    return len(repr(item))


def test_a_node_of_one_call_sees_its_items_in_order() -> None:
    """Behind a node that waits, batches overlap; one that makes one call at a time sees order."""
    last = Running(1)
    graph = chain(Running(16), last, concurrency=16)
    graph["nodes"]["n1"]["properties"] = {"concurrency": 1}
    Plumber(graph, engine=engine(3)).run_sync()
    assert last.seen == list(range(100))
    assert last.most == 1


def test_an_item_that_waits_holds_up_no_other_batch() -> None:
    """An unordered node that polls has items of many batches waiting at once."""
    asked: dict[int, int] = {}
    waiting: set[int] = set()
    most = 0

    def poll(item: int) -> Any:
        nonlocal most
        asked[item] = asked.get(item, 0) + 1
        waiting.add(item)
        most = max(most, len(waiting))
        if len(asked) < 100:
            return Later(0)
        waiting.discard(item)
        return item

    got: list[int] = []
    graph = chain(poll, got.append, ordered=False)
    Plumber(graph, engine=engine(5)).run_sync()
    assert most == 100
    assert sorted(got) == list(range(100))


class Remembering:
    """Adds up; entered and exited once."""

    entered = exited = 0

    def __init__(self) -> None:
        self.total = 0

    def __enter__(self) -> None:
        type(self).entered += 1

    def __exit__(self, *_: object) -> None:
        type(self).exited += 1

    def __call__(self, item: int) -> int:
        """Return the sum of all items so far."""
        self.total += item
        return self.total


def test_a_step_is_entered_once_and_lasts_over_batches() -> None:
    """A class is constructed for the run, not for each batch."""
    Remembering.entered = Remembering.exited = 0
    got: list[int] = []
    Plumber(chain(Remembering, got.append, stateful=True), engine=engine(7)).run_sync()
    assert got == [sum(range(n + 1)) for n in range(100)]
    assert (Remembering.entered, Remembering.exited) == (1, 1)


def test_lists_are_made_across_batches() -> None:
    """A node that takes lists gets them as long as on one machine, however batches are cut."""
    got: list[list[int]] = []
    graph = chain(got.append, batch={"size": 8})
    Plumber(graph, engine=engine(3)).run_sync()
    assert got == [list(range(n, min(n + 8, 100))) for n in range(0, 100, 8)]


def test_a_failure_is_that_of_one_machine() -> None:
    """The same error, node, item and counters come of a step that fails."""

    def fail(item: int) -> int:
        if item == 41:
            raise ValueError("no")
        return item

    plumber = Plumber(chain(fail, len_of_repr), engine=engine(10))
    with pytest.raises(StepError) as caught:
        plumber.run_sync()
    assert (caught.value.node, caught.value.item) == ("n0", 41)
    assert isinstance(caught.value.cause, ValueError)
    assert plumber.report is not None
    assert plumber.report.nodes["n0"].failed == 1
    assert plumber.report.nodes["n0"].state == "failed"


def test_dead_letters_are_written_by_the_driver() -> None:
    """Each failed item's letter is written where the graph was started."""
    letters: list[dict[str, Any]] = []

    def fail(item: int) -> int:
        if item % 10 == 3:
            raise ValueError(item)
        return item

    graph = chain(fail, len_of_repr, on_error="dead_letter")
    graph["dead_letter"] = {"func": letters.append}
    report = Plumber(graph, engine=engine(7)).run_sync()
    assert [letter["item"] for letter in letters] == list(range(3, 100, 10))
    assert report.nodes["n0"].dead_lettered == 10


def test_max_failures_counts_over_all_batches() -> None:
    """A run that allows five failures ends at the sixth."""

    def fail(item: int) -> int:
        raise ValueError(item)

    graph = {**chain(fail, on_error="skip"), "runtime": {"max_failures": 5}}
    with pytest.raises(PipelinesError, match=r"6 failures are more than max_failures \(5\)"):
        Plumber(graph, engine=engine(4)).run_sync()


def test_streams_of_unequal_length_are_an_error() -> None:
    """A join of two sources says which one ended before the other."""
    graph = {
        "nodes": {"a": {"func": range(5)}, "b": {"func": range(9)}, "j": {"func": max}},
        "graph": {"a": ["j"], "b": ["j"], "j": None},
    }
    with pytest.raises(JoinError, match=r"node 'j' can't pair its inputs: 'a' ended while 'b'"):
        Plumber(graph, engine=engine(2)).run_sync()


def test_a_route_reaches_other_hosts() -> None:
    """Values that are routed go over the edge that they name, and over no other."""
    even: list[int] = []
    odd: list[int] = []
    graph = {
        "nodes": {
            "source": {"func": range(20)},
            "sort": {"func": lambda n: Route("odd" if n % 2 else "even", n)},
            "even": {"func": even.append, "properties": {"scope": "x"}},
            "odd": {"func": odd.append, "properties": {"scope": "y"}},
        },
        "graph": {"source": ["sort"], "sort": ["even", "odd"], "even": None, "odd": None},
    }
    Plumber(graph, engine=engine(3)).run_sync()
    assert (even, odd) == (list(range(0, 20, 2)), list(range(1, 20, 2)))


def test_replicas_share_the_batches_and_keep_the_order() -> None:
    """Several processes take batches in turn; results go on in the order of the source."""
    got: list[int] = []
    graph = chain(lambda n: SKIP if n % 3 else n, got.append, replicas=3)
    report = Plumber(graph, engine=engine(4)).run_sync()
    assert got == list(range(0, 100, 3))
    assert [name for name in report.hosts if "#" in name] == ["n0#0", "n0#1", "n0#2"]
    assert sum(report.hosts[f"n0#{index}"].batches for index in range(3)) == 25


async def test_what_is_put_comes_through_before_the_batch_is_full() -> None:
    """A live stream does not wait for a batch to fill."""
    came = asyncio.Event()
    graph = {
        "nodes": {"in": {}, "out": {"func": lambda item: came.set()}},
        "graph": {"in": ["out"], "out": None},
    }
    async with Plumber(graph, engine=engine()) as plumber:
        await plumber.put("in", 1)
        await came.wait()


async def test_a_drain_lets_what_was_made_go_on() -> None:
    """After a drain all that the source made has come to the end."""
    got: list[int] = []
    enough = asyncio.Event()

    def note(item: int) -> None:
        got.append(item)
        if item == 50:
            enough.set()

    async def numbers() -> Any:
        number = 0
        while True:
            yield number
            number += 1
            await asyncio.sleep(0)

    graph = {
        "nodes": {"s": {"func": numbers}, "e": {"func": note}},
        "graph": {"s": ["e"], "e": None},
    }
    plumber = Plumber(graph, engine=engine(10))
    plumber.create_pipeline()
    await enough.wait()
    report = await plumber.drain()
    assert report.reason == "drained"
    assert got == list(range(report.nodes["s"].received))


async def test_a_cancel_ends_the_calls() -> None:
    """A cancelled run ends what is under way, and exits its steps."""
    began = asyncio.Event()
    ended: list[str] = []

    class Waiting:
        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None:
            ended.append("exit")

        async def __call__(self, item: int) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("call")

    plumber = Plumber(chain(Waiting, concurrency=1), engine=engine(10))
    plumber.create_pipeline()
    await began.wait()
    plumber.cancel()
    with pytest.raises(asyncio.CancelledError):
        await plumber.join()
    assert ended == ["call", "exit"]


def test_what_a_source_cannot_have_is_refused() -> None:
    """A scope, or replicas, on an input node are refused, all at once; a default is not."""
    graph = chain(len_of_repr)
    graph["nodes"]["source"]["properties"] = {"scope": "x", "replicas": 2}
    with pytest.raises(GraphError) as caught:
        Plumber(graph, engine=engine())
    assert [problem.code for problem in caught.value.problems] == ["not-remote", "not-remote"]
    del graph["nodes"]["source"]["properties"]
    Plumber({**graph, "defaults": {"scope": "x"}}, engine=engine()).run_sync()


def test_what_writes_to_standard_output_runs_where_the_graph_was_started() -> None:
    """So does what has the scope of the driver; a scope of its own has a node run elsewhere."""
    graph = chain(len_of_repr, len_of_repr, len_of_repr)
    graph["nodes"] |= {
        "out": {"func": "stdout"},
        "same": {"func": "write_lines", "args": {"path": "-"}},
        "far": {"func": "stdout", "properties": {"scope": "x"}},
        "near": {"func": len_of_repr, "properties": {"scope": "driver"}},
        "file": {"func": "write_lines", "args": {"path": "lines.txt"}},
    }
    graph["graph"]["n2"] = ["out", "same", "far", "near", "file"]
    local = {"source", "out", "same", "near"}
    assert make_plan(compile_graph(graph), elsewhere=True).local == local
    assert make_plan(compile_graph(graph), elsewhere=False).local == {"source"}


def test_a_board_has_the_first_in_rank_go_first() -> None:
    """Where there is no room, the highest rank of those that wait is called when there is."""
    board = Board(1)
    called: list[str] = []
    low, high = (0, 0, 1), (0, -9, 2)
    assert board.take(low, 1.0, lambda: None)
    assert not board.take(low, 1.0, lambda: called.append("low"))
    assert not board.take(high, 1.0, lambda: called.append("high"))
    board.give_back(1.0)
    assert called == ["high"]
    assert not board.take(low, 1.0, lambda: called.append("low"))
    assert board.take(high, 1.0, lambda: None)
    board.give_back(1.0)
    assert called == ["high", "low"]


def test_a_board_has_room_for_many_that_only_wait() -> None:
    """What takes a small share of a slot leaves room for others, and all of it comes back."""
    board = Board(1)
    for _ in range(10):
        assert board.take((0, 0, 0), 0.1, lambda: None)
    assert not board.take((0, 0, 1), 0.1, lambda: None)
    board.leave((0, 0, 1))
    for _ in range(10):
        board.give_back(0.1)
    assert board.take((0, 0, 1), 1.0, lambda: None)


def test_priorities_change_no_result() -> None:
    """Hosts that compete for processors all come to their end, whatever their rank."""
    got: list[int] = []
    graph = chain(len_of_repr, len_of_repr, got.append)
    for index in range(3):
        graph["nodes"][f"n{index}"]["properties"] = {"priority": index, "scope": f"s{index}"}
    Plumber(graph, engine=InProcessEngine(Batching(3, 0.01, ("s2", "s0"), 1))).run_sync()
    assert got == [len(repr(len(repr(n)))) for n in range(100)]


def test_a_stateful_node_has_one_process() -> None:
    """State can't be in several processes."""
    with pytest.raises(GraphError, match="one process must see all its items"):
        Plumber(chain(Remembering, stateful=True, replicas=2), engine=engine())


async def test_a_run_elsewhere_cannot_be_changed() -> None:
    """Adding a node, or another graph, is refused with what to do instead."""
    plumber = Plumber(chain(len_of_repr), engine=engine())
    with pytest.raises(PipelinesError, match="can't be changed: make another Plumber"):
        plumber.connect("n0", "n0")
    with pytest.raises(PipelinesError, match="can't be changed: make another Plumber"):
        await plumber.apply(chain(len_of_repr))
    await plumber.run()


def test_an_engine_that_nobody_knows_is_named() -> None:
    """A misspelt engine is answered with the nearest."""
    with pytest.raises(LookupError, match=r"no engine is named 'rya'. Did you mean 'ray'\?"):
        Plumber(chain(len_of_repr), engine="rya")
