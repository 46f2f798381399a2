"""The Plumber: run, put, drain, cancel, report; from every side and at every moment."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import queue
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

import portable
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import Plan, build, plans
from running import (
    ended,
    graph,
    later,
    node,
    pair,
    really_ended,
    really_run,
    run,
    same,
    turns,
    until,
)

import pipelines
from pipelines import (
    GraphError,
    PipelinesError,
    Plumber,
    RunReport,
    StepError,
)
from pipelines.executor import Executor
from pipelines.inputprocessor import InputProcessor
from pipelines.metrics import Snapshot


def line(source: Any, *steps: Any) -> dict[str, Any]:
    """Return the document of a line ``s > n0 > n1 …``."""
    names = [f"n{index}" for index in range(len(steps))]
    edges = "; ".join(f"{a} > {b}" for a, b in itertools.pairwise(["s", *names]))
    return graph(edges, s=source, **dict(zip(names, steps, strict=True)))


async def cancelled(plumber: Plumber) -> None:
    """Cancel a run and wait for its end."""
    plumber.cancel()
    with pytest.raises(asyncio.CancelledError):
        await plumber.join()


# The ways to run.


async def test_run_returns_the_report() -> None:
    """`run` is create_pipeline and join in one, and gives what `report` holds."""
    plumber = Plumber(line(range(5), same))
    assert plumber.report is None
    report = await plumber.run()
    assert report is plumber.report
    assert report.ok
    assert report.reason == "done"
    assert report.error is None


def test_run_sync_needs_no_loop() -> None:
    """A script runs a graph with one call."""
    out: list[int] = []
    assert Plumber(line(range(5), out.append)).run_sync().ok
    assert out == list(range(5))


def test_run_sync_in_a_thread() -> None:
    """Outside the main thread, where no signal handler may be set, it runs all the same."""
    out: list[int] = []
    thread = threading.Thread(target=lambda: Plumber(line(range(5), out.append)).run_sync())
    thread.start()
    thread.join()
    assert out == list(range(5))


async def test_run_sync_in_a_running_loop_says_what_to_write() -> None:
    """It can't work there; the message names `await …run()`, and nothing is left behind."""
    with pytest.raises(RuntimeError, match=r"await .*run\(\)"):
        Plumber(line(range(5), same)).run_sync()


def test_the_one_liner_feeds_its_inputs() -> None:
    """`pipelines.run` takes the items of input nodes as keywords."""
    out: list[Any] = []
    document = graph("s > a; a > o", s={}, a=portable.double, o=out.append)
    assert pipelines.run(document, s=[1, 2, 3]).ok
    assert pipelines.run(document, s=iter("ab")).ok
    assert out == [2, 4, 6, "aa", "bb"]


def test_the_one_liner_refuses_what_is_no_input() -> None:
    """A name that is none of an input node is an error that knows the nearest."""
    document = graph("source > o", source={}, o=same)
    with pytest.raises(LookupError, match=r"'sorce'.*source"):
        pipelines.run(document, sorce=[1])
    with pytest.raises(LookupError, match="'o' is no input node"):
        pipelines.run(document, o=[1])


def test_a_graph_runs_once() -> None:
    """A Plumber that has run, or is running, refuses to be started again."""
    plumber = Plumber(line(range(5), same))
    ended(plumber.run())
    with pytest.raises(RuntimeError, match="runs its graph once"):
        ended(plumber.run())


async def test_create_pipeline_twice_is_refused() -> None:
    """The run that is under way is not disturbed."""
    plumber = Plumber(line(range(5), same))
    plumber.create_pipeline()
    with pytest.raises(RuntimeError, match="runs its graph once"):
        plumber.create_pipeline()
    assert (await plumber.join()).ok


def test_create_pipeline_needs_a_loop() -> None:
    """Without a running loop nothing can be started."""
    with pytest.raises(RuntimeError, match="no running event loop"):
        Plumber(line(range(5), same)).create_pipeline()


async def test_join_needs_a_run() -> None:
    """There must be something to wait for."""
    with pytest.raises(RuntimeError, match=r"create_pipeline\(\) first"):
        await Plumber(line(range(5), same)).join()


async def test_join_may_be_called_again_and_by_many() -> None:
    """Everybody who waits gets the same report, also afterwards."""
    plumber = Plumber(line(range(500), same))
    plumber.create_pipeline()
    reports = await asyncio.gather(plumber.join(), plumber.join())
    assert reports == [plumber.report, plumber.report]
    assert await plumber.join() is plumber.report


async def test_everybody_who_waits_gets_the_error() -> None:
    """A failure reaches each `join`, also a later one."""
    plumber = Plumber(line(range(5), portable.fails_on_three))
    plumber.create_pipeline()
    errors = await asyncio.gather(plumber.join(), plumber.join(), return_exceptions=True)
    with pytest.raises(StepError):
        await plumber.join()
    assert errors == [plumber.report and plumber.report.error] * 2


def test_an_invalid_graph_is_refused_by_the_constructor() -> None:
    """All problems come at once, before anything runs."""
    document = graph("s > a; a > missing", s=range(3), a=node(same, buffer_sise=3))
    with pytest.raises(GraphError) as caught:
        Plumber(document)
    assert {problem.code for problem in caught.value.problems} >= {"unknown-node"}
    assert len(caught.value.problems) == 2


def test_two_plumbers_share_a_loop() -> None:
    """Runs in one loop don't know of each other, not even by their failures."""

    async def main() -> list[Any]:
        good = [Plumber(line(range(300), later)) for _ in range(5)]
        bad = Plumber(line(range(300), portable.fails_on_three))
        runs = [plumber.run() for plumber in [*good, bad]]
        return await asyncio.gather(*runs, return_exceptions=True)

    *reports, error = ended(main())
    assert all(report.nodes["n0"].received == 300 for report in reports)
    assert isinstance(error, StepError)


def test_a_plumber_inside_a_step() -> None:
    """A step may run a graph of its own."""

    async def total(count: int) -> int:
        seen: list[int] = []
        await Plumber(line(range(count), seen.append)).run()
        return sum(seen)

    out: list[int] = []
    run(line(range(10), total, out.append))
    assert out == [sum(range(n)) for n in range(10)]


def test_a_plumber_inside_a_thread_step() -> None:
    """A step in a thread may run a graph of its own with `run_sync`."""

    def total(count: int) -> int:
        seen: list[int] = []
        Plumber(line(range(count), seen.append)).run_sync()
        return sum(seen)

    out: list[int] = []
    really_run(line(range(10), node(total, executor="thread", concurrency=3), out.append))
    assert out == [sum(range(n)) for n in range(10)]


def test_python_without_assertions() -> None:
    """Nothing that must happen stands in an `assert`: ``python -O`` gives the same."""
    script = (
        "from pipelines import run, SKIP\n"
        "async def a(x): return x\n"
        "run({'nodes': {'s': {'func': range(9)}, 'a': {'func': a}, 'b': {'func': a}, "
        "'f': {'func': lambda x: SKIP if x % 2 else x}, 'j': {'func': lambda x, y: (x, y)}, "
        "'o': {'func': print}}, 'graph': {'s': ['a', 'f'], 'a': ['j'], 'f': ['b'], "
        "'b': ['j'], 'j': ['o']}})\n"
    )
    done = subprocess.run(
        [sys.executable, "-O", "-W", "error", "-c", script], capture_output=True, text=True
    )
    assert done.stdout.split("\n")[:-1] == [f"({n}, {n})" for n in range(0, 9, 2)], done.stderr


# The report.


def test_the_report_counts_what_each_node_did() -> None:
    """Received, passed on and skipped are there for each node, with time and bottleneck."""

    async def slow(value: int) -> int:
        await asyncio.sleep(0.001)
        return value

    report = really_run(line(range(20), portable.even, slow, same))
    assert [report.nodes[name].received for name in ("s", "n0", "n1", "n2")] == [20, 20, 10, 10]
    assert report.nodes["n0"].skipped == 10
    assert report.nodes["n0"].passed_on == 10
    assert report.seconds >= 0.001
    assert report.bottleneck == "n1"


def test_the_report_is_plain_data() -> None:
    """`to_dict` can be written as JSON, also for a run that failed."""
    good = run(line(range(5), same))
    plumber = Plumber(line(range(5), portable.fails_on_three))
    with pytest.raises(StepError):
        ended(plumber.run())
    assert plumber.report is not None
    said = json.loads(json.dumps([good.to_dict(), plumber.report.to_dict()]))
    assert [each["reason"] for each in said] == ["done", "failed"]
    assert [each["ok"] for each in said] == [True, False]
    assert said[0]["error"] is None
    assert "no 3" in said[1]["error"]
    assert said[0]["nodes"]["n0"]["received"] == 5
    assert said[0]["edges"][0]["source"] == "s"


def test_every_ended_node_says_how_it_ended() -> None:
    """After a failure one node is *failed*, the others *done* or *stopped*; none still runs."""
    plumber = Plumber(line(itertools.count, later, portable.fails_on_three, later))
    with pytest.raises(StepError):
        ended(plumber.run())
    assert plumber.report is not None
    states = {name: each.state for name, each in plumber.report.nodes.items()}
    assert states.pop("n1") == "failed"
    assert set(states.values()) <= {"done", "stopped"}


def test_a_snapshot_before_the_start() -> None:
    """All is zero, and every node and edge is there."""
    snapshot = Plumber(line(range(5), same)).snapshot()
    assert snapshot.seconds == 0
    assert {each.received for each in snapshot.nodes.values()} == {0}
    assert set(snapshot.edges) == {("s", "n0")}


def test_a_snapshot_while_running_is_right() -> None:
    """At every moment each node balances, has as many calls in flight as it may, or fewer."""
    seen: list[Snapshot] = []

    async def look(value: int) -> int:
        await asyncio.sleep(0.001)
        seen.append(plumber.snapshot())
        return value

    steps = [node(later, concurrency=1), later, node(look, concurrency=3)]
    plumber = Plumber(line(range(100), *steps))
    ended(plumber.run())
    assert len(seen) == 100
    for snapshot in seen:
        assert all(each.balanced for each in snapshot.nodes.values())
        assert all(edge.size <= edge.maxsize for edge in snapshot.edges.values())
    assert max(each.nodes["n2"].in_flight for each in seen) == 3


@pytest.mark.parametrize("concurrency", [1, 4])
def test_in_flight_is_what_is_in_flight(concurrency: int) -> None:
    """Items that still lie in the queue count there, and not as received already."""
    seen: list[Snapshot] = []

    async def look(value: int) -> int:
        seen.append(plumber.snapshot())
        return value

    plumber = Plumber(line(range(300), node(look, concurrency=concurrency), same))
    ended(plumber.run())
    assert max(each.nodes["n0"].in_flight for each in seen) <= concurrency


# Feeding by hand.


async def _seed(self: Any, output_q: Any) -> None:
    for number in range(3):
        await output_q.put(("own", number))
        await asyncio.sleep(0.001)


async def _agen() -> AsyncIterator[Any]:
    for number in range(3):
        yield ("own", number)
        await asyncio.sleep(0.001)


def _gen() -> Iterator[Any]:
    for number in range(3):
        yield ("own", number)


#: Every kind of input node that can be fed by hand.
FED: dict[str, dict[str, Any]] = {
    "feed-only": {},
    "iterable": node([("own", n) for n in range(3)]),
    "generator": node(_gen),
    "async generator": node(_agen),
    "seed": {"coro": _seed},
    "thread": node(_gen, executor="thread"),
    "paced": node(_gen, rate_limit="1000/s"),
}
REAL = ("thread", "paced")
every_source = pytest.mark.parametrize("kind", FED)


def end_of(kind: str) -> Callable[..., Any]:
    """Return how to run a graph with a kind of source."""
    return really_ended if kind in REAL else ended


def own(kind: str) -> list[Any]:
    """Return what a kind of source makes by itself."""
    return [] if kind == "feed-only" else [("own", number) for number in range(3)]


@every_source
@pytest.mark.parametrize("waits", [0, 1, 2, 3, 10])
@pytest.mark.parametrize("step", [same, later], ids=["sync", "async"])
def test_put_arrives(kind: str, waits: int, step: Any) -> None:
    """Whatever was put comes out once and in order, however early after the start it was put."""
    out: list[Any] = []

    async def main() -> None:
        async with Plumber(graph("s > a; a > o", s=FED[kind], a=step, o=out.append)) as plumber:
            await turns(waits)
            for number in range(250):
                await plumber.put("s", ("put", number))

    end_of(kind)(main())
    assert [each for each in out if each[0] == "put"] == [("put", n) for n in range(250)]
    assert [each for each in out if each[0] == "own"] == own(kind)


@every_source
def test_put_waits_for_room(kind: str) -> None:
    """A sink that takes nothing lets a bounded number be put, then `put` waits."""
    count = 0

    async def main() -> None:
        nonlocal count
        gate = asyncio.Event()

        async def sink(value: Any) -> None:
            await gate.wait()

        document = graph("s > a; a > o", s=FED[kind], a=same, o=node(sink, buffer_size=5))
        async with Plumber(document) as plumber:

            async def feed() -> None:
                nonlocal count
                for number in range(1000):
                    await plumber.put("s", ("put", number))
                    count += 1

            feeding = asyncio.create_task(feed())
            held = -1
            while held != count:
                held = count
                await asyncio.sleep(0.05)
            assert 0 < count < 500
            gate.set()
            await feeding

    end_of(kind)(main())
    assert count == 1000


@every_source
@pytest.mark.parametrize("how", ["end", "drain", "failure", "cancel"])
def test_put_after_the_end_is_an_error(kind: str, how: str) -> None:
    """After a run nothing can be put: the caller is told, and neither waits nor loses an item."""

    async def main() -> None:
        step = fail_put if how == "failure" else same
        plumber = Plumber(graph("s > a; a > o", s=FED[kind], a=step, o=same))
        if kind == "feed-only" or how in ("failure", "cancel"):
            await plumber.__aenter__()
            await plumber.put("s", ("put", 0))
            await turns(10)
        else:
            plumber.create_pipeline()
        if how == "cancel":
            plumber.cancel()
        elif how == "drain":
            plumber.stop_sources()
        elif how == "end" and kind == "feed-only":
            await plumber.__aexit__(None, None, None)
        with contextlib.suppress(asyncio.CancelledError, StepError):
            await plumber.join()
        for _ in range(300):
            with pytest.raises(PipelinesError, match="ended"):
                await asyncio.wait_for(plumber.put("s", ("late", 1)), 1)
        assert plumber.snapshot().nodes["s"].received <= 4

    end_of(kind)(main())


def fail_put(value: Any) -> Any:
    """Fail on what was put."""
    if value[0] == "put":
        raise ValueError("put")
    return value


@every_source
def test_put_while_the_run_fails(kind: str) -> None:
    """Whoever waits in `put` when the run fails goes on, and gets the run's error in the end."""

    async def main() -> None:
        async def fail_late(value: Any) -> None:
            await asyncio.sleep(0.01)
            raise ValueError("late")

        document = graph("s > a; a > o", s=FED[kind], a=same, o=node(fail_late, buffer_size=3))
        with pytest.raises(StepError, match="ValueError: late"):  # noqa: PT012
            async with Plumber(document) as plumber:
                for number in range(10_000):
                    await plumber.put("s", ("put", number))

    end_of(kind)(main())


@every_source
def test_put_by_many_while_the_run_fails(kind: str) -> None:
    """Of many that wait in `put` none is forgotten."""

    async def main() -> list[Any]:
        gate = asyncio.Event()

        async def fail_late(value: Any) -> None:
            await gate.wait()
            raise ValueError("late")

        document = graph("s > a; a > o", s=FED[kind], a=same, o=node(fail_late, buffer_size=3))
        plumber = Plumber(document)
        await plumber.__aenter__()
        putting = [asyncio.create_task(plumber.put("s", ("put", n))) for n in range(500)]
        await asyncio.sleep(0.05)
        gate.set()
        with pytest.raises(StepError):
            await plumber.join()
        done, pending = await asyncio.wait(putting, timeout=2)
        assert not pending
        return [task.exception() for task in done]

    errors = end_of(kind)(main())
    assert any(isinstance(error, PipelinesError) for error in errors)
    assert all(error is None or isinstance(error, PipelinesError) for error in errors)


@every_source
def test_put_that_lets_the_loop_turn_while_the_run_ends(kind: str) -> None:
    """The end of the run is told as such to those who put, not as if they had been cancelled."""

    async def main() -> list[Any]:
        plumber = Plumber(graph("s > a; a > o", s=FED[kind], a=same, o=later))
        await plumber.__aenter__()
        await plumber.put("s", ("put", 0))

        async def put_and_hold(number: int) -> None:
            await plumber.put("s", ("put", number))
            time.sleep(0.003)  # noqa: ASYNC251 (longer than a slice: the next one has to queue)

        putting = [asyncio.create_task(put_and_hold(number)) for number in range(1, 5)]
        await asyncio.sleep(0)
        plumber.cancel()
        with pytest.raises(asyncio.CancelledError):
            await plumber.join()
        await asyncio.wait(putting)
        return [task.exception() for task in putting]

    errors = end_of(kind)(main())
    assert all(error is None or isinstance(error, PipelinesError) for error in errors)


@pytest.mark.parametrize("what", ["node", "dead letter"])
def test_put_while_the_run_fails_to_start(what: str) -> None:
    """A graph that can't start does not keep those who put waiting."""

    async def main() -> None:
        failing = portable.NotReady if what == "node" else portable.same
        document = graph("s > a; a > o", s={}, a=failing, o=node(same, on_error="dead_letter"))
        document["dead_letter"] = {"func": portable.NotReady if what != "node" else portable.same}
        with pytest.raises(StepError, match="while starting"):  # noqa: PT012
            async with Plumber(document) as plumber:
                for number in range(1000):
                    await plumber.put("s", number)

    ended(main())


@every_source
def test_put_when_nobody_wants_it(kind: str) -> None:
    """Where the consumers have ended early, `put` says so instead of waiting."""
    out: list[Any] = []

    async def main() -> None:
        document = graph(
            "s > a; a > j; short > j; j > o",
            s=FED[kind],
            a=same,
            short=range(2),
            j=node(pair, join={"on_missing": "drop"}),
            o=out.append,
        )
        plumber = Plumber(document)
        fed = plumber["s"]
        assert isinstance(fed, InputProcessor)
        fed.hold_open()  # it alone: `async with` would hold the short one open too
        plumber.create_pipeline()
        with pytest.raises(PipelinesError, match="ended"):  # noqa: PT012
            for number in range(10_000):
                await plumber.put("s", ("put", number))
        assert (await plumber.join()).ok

    end_of(kind)(main())
    assert len(out) == 2


def test_put_names_an_unknown_node() -> None:
    """A name that is none of an input node is an error that knows the nearest."""

    async def main() -> None:
        async with Plumber(graph("inp > o", inp={}, o=same)) as plumber:
            with pytest.raises(LookupError, match=r"'imp'.*inp"):
                await plumber.put("imp", 1)
            with pytest.raises(LookupError, match="'o' is no input node"):
                await plumber.put("o", 1)

    ended(main())


async def test_put_needs_a_run() -> None:
    """Before the start there is nothing to put into."""
    with pytest.raises(RuntimeError, match="nothing runs yet"):
        await Plumber(graph("s > o", s={}, o=same)).put("s", 1)


def test_leaving_the_block_ends_the_streams() -> None:
    """On leaving, what was put is finished, and the report is there."""
    out: list[int] = []

    async def main() -> RunReport | None:
        async with Plumber(
            graph(
                "s > a; t > a; a > o",
                s={},
                t={},
                a=node(later, aggregate_inputs=False),
                o=out.append,
            )
        ) as plumber:
            for number in range(300):
                await plumber.put("st"[number % 2], number)
        return plumber.report

    report = ended(main())
    assert sorted(out) == list(range(300))
    assert report is not None
    assert report.ok


def test_an_error_in_the_block_cancels_the_run() -> None:
    """The block's own error comes out, once the run has ended."""
    exits: list[Any] = []

    async def main() -> None:
        plumber = Plumber(line({}, keeper(exits), later))
        with pytest.raises(KeyError, match="mine"):  # noqa: PT012
            async with plumber:
                await plumber.put("s", 1)
                await asyncio.sleep(0.001)
                raise KeyError("mine")
        assert plumber.report is not None
        assert plumber.report.reason == "cancelled"
        assert exits == [asyncio.CancelledError]

    ended(main())


def test_a_failed_run_in_the_block() -> None:
    """A run that fails while the block does something else raises its error on leaving."""

    async def main() -> None:
        with pytest.raises(StepError, match="ValueError"):  # noqa: PT012
            async with Plumber(line({}, portable.fails_on_three)) as plumber:
                await plumber.put("s", 3)
                await asyncio.sleep(1)

    ended(main())


def keeper(exits: list[Any]) -> type:
    """Return a step class that keeps what its exit was given."""

    class Keeper:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *raised: object) -> None:
            exits.append(raised[0])

        def __call__(self, value: Any) -> Any:
            return value

    return Keeper


# Draining and cancelling.


def _endless() -> Iterator[int]:
    yield from itertools.count()


async def _endless_async() -> AsyncIterator[int]:
    for number in itertools.count():
        yield number


async def _endless_slow() -> AsyncIterator[int]:
    for number in itertools.count():
        await asyncio.sleep(0.001)
        yield number


async def _endless_seed(self: Any, output_q: Any) -> None:
    for number in itertools.count():
        await output_q.put(number)


async def _silent() -> AsyncIterator[int]:
    await asyncio.Event().wait()
    yield 0


async def _silent_seed(self: Any, output_q: Any) -> None:
    await asyncio.Event().wait()


class _ByHand:
    """An iterator as tutorials write it: one `__iter__` starts it, and `__next__` goes on."""

    def __iter__(self) -> _ByHand:
        self.number = -1
        return self

    def __next__(self) -> int:
        self.number += 1
        return self.number


ENDLESS: dict[str, dict[str, Any]] = {
    "iterator": node(itertools.count),
    "iterator by hand": node(_ByHand),
    "generator": node(_endless),
    "async generator": node(_endless_async),
    "slow async generator": node(_endless_slow),
    "seed": {"coro": _endless_seed},
    "thread": node(_endless, executor="thread"),
    "paced": node(_endless, rate_limit="5000/s"),
    "feed-only": {},
    "silent": node(_silent),
    "silent seed": {"coro": _silent_seed},
}
#: Those that make items by themselves.
SILENT = ("feed-only", "silent", "silent seed")
every_endless = pytest.mark.parametrize("kind", ENDLESS)


@every_endless
@pytest.mark.parametrize("step", [same, later], ids=["sync", "async"])
def test_drain_finishes_what_was_made(kind: str, step: Any) -> None:
    """After a drain every item that the source made has come out, in order, and the run is good."""
    out: list[int] = []

    async def main() -> RunReport:
        plumber = Plumber(graph("s > a; a > o", s=dict(ENDLESS[kind]), a=step, o=out.append))
        plumber.create_pipeline()
        if kind in SILENT:
            await turns(20)
        else:
            await until(lambda: len(out) > 5)
        return await plumber.drain()

    report = really_ended(main())
    assert report.ok
    assert report.reason == "drained"
    assert out == list(range(report.nodes["s"].received))
    assert {each.state for each in report.nodes.values()} == {"done"}


@every_endless
@pytest.mark.parametrize("waits", [0, 1, 2, 3, 4, 5])
def test_drain_at_once(kind: str, waits: int) -> None:
    """A drain just after the start ends the run too."""

    async def main() -> RunReport:
        plumber = Plumber(graph("s > o", s=dict(ENDLESS[kind]), o=same))
        plumber.create_pipeline()
        await turns(waits)
        return await plumber.drain()

    assert really_ended(main()).ok


@every_endless
@pytest.mark.parametrize("waits", [0, 1, 2, 3, 4, 5])
def test_cancel_at_once(kind: str, waits: int) -> None:
    """A cancel just after the start ends the run too, wherever the start has got to."""

    async def main() -> str:
        plumber = Plumber(graph("s > o", s=dict(ENDLESS[kind]), o=same))
        plumber.create_pipeline()
        await turns(waits)
        await cancelled(plumber)
        assert plumber.report is not None
        return plumber.report.reason

    assert really_ended(main()) == "cancelled"


@every_endless
@pytest.mark.parametrize("step", [same, later], ids=["sync", "async"])
def test_cancel_ends_the_run_now(kind: str, step: Any) -> None:
    """`join` raises CancelledError, exits have run, the counts balance."""
    exits: list[Any] = []
    out: list[int] = []

    async def main() -> RunReport | None:
        document = graph(
            "s > k; k > a; a > o", s=dict(ENDLESS[kind]), k=keeper(exits), a=step, o=out.append
        )
        plumber = Plumber(document)
        plumber.create_pipeline()
        if kind in SILENT:
            await turns(20)
        else:
            await until(lambda: len(out) > 5)
        await cancelled(plumber)
        return plumber.report

    report = really_ended(main())
    assert report is not None
    assert report.reason == "cancelled"
    assert exits == [asyncio.CancelledError]
    assert all(each.balanced for each in report.nodes.values())


@pytest.mark.parametrize("how", ["drain", "cancel"])
def test_a_source_that_blocks_in_its_thread(how: str) -> None:
    """A generator that waits for ever in its thread holds up neither a drain nor a cancel."""
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    out: list[int] = []

    def blocked() -> Iterator[int]:
        while (item := inbox.get()) is not None:
            yield item

    async def main() -> None:
        plumber = Plumber(graph("s > o", s=node(blocked, executor="thread"), o=out.append))
        plumber.create_pipeline()
        inbox.put(1)
        await until(lambda: out)
        if how == "cancel":
            await cancelled(plumber)
        else:
            assert (await plumber.drain()).ok

    patience, Executor.patience = Executor.patience, 0.1
    try:
        really_ended(main(), within=3)
    finally:
        Executor.patience = patience
        inbox.put(None)
    assert out == [1]


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("how", ["cancel", "failure"])
def test_a_thread_step_that_never_returns(how: str, concurrency: int) -> None:
    """A call that hangs in a thread is left behind and named; the run ends."""
    gate = threading.Event()

    def hang(value: int) -> None:
        if value < concurrency:
            gate.wait()

    async def main() -> None:
        document = graph(
            "s > h b; b > o",
            s=range(50),
            h=node(hang, executor="thread", concurrency=concurrency),
            b=node(later, concurrency=1),
            o=portable.fails_on_three if how == "failure" else same,
        )
        plumber = Plumber(document)
        plumber.create_pipeline()
        if how == "cancel":
            await until(lambda: plumber["h"].counts().in_flight >= concurrency)
            await cancelled(plumber)
        else:
            with pytest.raises(StepError):
                await plumber.join()

    patience, Executor.patience = Executor.patience, 0.1
    try:
        really_ended(main(), within=3)
    finally:
        Executor.patience = patience
        gate.set()


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_async_step_that_never_returns(concurrency: int) -> None:
    """A cancel ends a call that would wait for ever."""

    async def main() -> None:
        async def hang(value: int) -> None:
            await asyncio.Event().wait()

        plumber = Plumber(line(range(9), node(hang, concurrency=concurrency), same))
        plumber.create_pipeline()
        await asyncio.sleep(1)
        await cancelled(plumber)
        assert plumber.report is not None
        assert plumber.report.nodes["n0"].in_flight == concurrency

    ended(main())


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("kind", ["coroutine", "generator"])
def test_a_step_that_swallows_its_cancellation(kind: str, concurrency: int) -> None:
    """A step that catches CancelledError and returns can't keep the run alive."""

    async def main() -> None:
        async def stubborn(value: int) -> int:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                return value
            return value

        async def stubborn_generator(value: int) -> AsyncIterator[int]:
            yield await stubborn(value)

        step = stubborn if kind == "coroutine" else stubborn_generator
        plumber = Plumber(line(range(9), node(step, concurrency=concurrency), same))
        plumber.create_pipeline()
        await asyncio.sleep(1)
        await cancelled(plumber)

    ended(main())


@pytest.mark.parametrize("kind", ["async generator", "seed"])
@pytest.mark.parametrize("how", ["drain", "cancel"])
def test_a_source_that_swallows_its_cancellation(kind: str, how: str) -> None:
    """A source that catches CancelledError and goes on is ended at its next item."""

    async def generate() -> AsyncIterator[int]:
        for number in itertools.count():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.1)
            yield number

    async def seed(self: Any, output_q: Any) -> None:
        for number in itertools.count():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.1)
            await output_q.put(number)

    async def main() -> None:
        source = node(generate) if kind == "async generator" else {"coro": seed}
        plumber = Plumber(line(source, same))
        plumber.create_pipeline()
        await asyncio.sleep(1.05)
        if how == "cancel":
            await cancelled(plumber)
        else:
            assert (await plumber.drain()).ok

    ended(main())


async def test_cancelling_run_from_outside() -> None:
    """Cancelling the task that runs a graph ends the graph in order, then the task."""
    exits: list[Any] = []
    plumber = Plumber(line(_endless_slow, keeper(exits), later))
    task = asyncio.create_task(plumber.run())
    await until(lambda: plumber["n1"].received > 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert exits == [asyncio.CancelledError]
    assert plumber.report is not None
    assert plumber.report.reason == "cancelled"


async def test_cancelling_run_many_times() -> None:
    """An impatient caller does not cut the exits short."""
    ended_well: list[str] = []

    class Slow:
        async def __aenter__(self) -> None:
            pass

        async def __aexit__(self, *_: object) -> None:
            await asyncio.sleep(0.02)
            ended_well.append("exit")

        async def __call__(self, value: int) -> int:
            return value

    plumber = Plumber(line(_endless_slow, Slow, same))
    task = asyncio.create_task(plumber.run())
    await until(lambda: plumber["n1"].received > 3)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0.001)
    assert ended_well == ["exit"]


def test_a_timeout_around_run() -> None:
    """`asyncio.timeout` works around a run as around anything else."""

    async def main() -> str:
        plumber = Plumber(line(_endless_slow, later))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await plumber.run()
        assert plumber.report is not None
        return plumber.report.reason

    assert ended(main()) == "cancelled"


@pytest.mark.parametrize("kind", ["silent", "silent seed", "feed-only"])
def test_a_timeout_around_a_source_that_never_yields(kind: str) -> None:
    """A run that waits for its first item can be given up."""

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await Plumber(graph("s > o", s=dict(ENDLESS[kind]), o=same)).run()

    ended(main())


def test_a_step_may_stop_the_sources() -> None:
    """A step that has seen enough drains the run that it is in."""
    out: list[int] = []

    def enough(value: int) -> int:
        if value == 10:
            plumber.stop_sources()
        return value

    plumber = Plumber(line(_endless, enough, out.append))
    report = ended(plumber.run())
    assert report.reason == "drained"
    assert out == list(range(report.nodes["s"].received))


@pytest.mark.parametrize("step_is_async", [False, True])
def test_a_step_may_cancel_the_run(step_is_async: bool) -> None:
    """A step that cancels the run it is in ends it, and itself."""

    def enough(value: int) -> int:
        if value == 10:
            plumber.cancel()
        return value

    async def enough_async(value: int) -> int:
        return enough(value)

    plumber = Plumber(line(_endless, enough_async if step_is_async else enough, same))
    with pytest.raises(asyncio.CancelledError):
        ended(plumber.run())


def test_a_source_may_stop_itself() -> None:
    """A generator that stops the sources while it is running is not closed under its feet."""
    out: list[int] = []

    def source() -> Iterator[int]:
        for number in itertools.count():
            if number == 5:
                plumber.stop_sources()
            yield number

    plumber = Plumber(line(source, out.append))
    assert ended(plumber.run()).ok
    assert out == list(range(len(out)))


def test_cancel_after_the_end_does_nothing() -> None:
    """A run that is done stays done."""

    async def main() -> RunReport:
        plumber = Plumber(line(range(5), same))
        report = await plumber.run()
        plumber.cancel()
        plumber.stop_sources()
        assert await plumber.join() is report
        return report

    assert ended(main()).ok


@pytest.mark.parametrize("conductor", ["cancel", "stop_sources"])
def test_stopping_before_the_start(conductor: str) -> None:
    """What is asked for before the start is no error."""
    plumber = Plumber(line(range(5), same))
    getattr(plumber, conductor)()
    assert ended(plumber.run()).nodes["n0"].received == (5 if conductor == "cancel" else 0)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(plans(), st.sampled_from(["cancel", "drain", "outside"]), st.floats(0.0001, 0.02))
def test_any_graph_can_be_stopped_at_any_time(plan: Plan, how: str, when: float) -> None:
    """A random graph ends in order at whatever moment it is drained, cancelled, or given up."""

    async def main() -> RunReport | None:
        plumber = Plumber(build(plan)[0])
        plumber.create_pipeline()
        await asyncio.sleep(when)
        joining = asyncio.create_task(plumber.join())
        await asyncio.sleep(0)
        {"cancel": plumber.cancel, "drain": plumber.stop_sources, "outside": joining.cancel}[how]()
        await asyncio.wait([joining])
        error = None if joining.cancelled() else joining.exception()
        assert error is None or isinstance(error, StepError)
        assert asyncio.all_tasks() == {asyncio.current_task()} | _main_tasks()
        return plumber.report

    report = ended(main())
    assert report is not None
    assert all(each.balanced for each in report.nodes.values())
    if report.ok:
        assert not any(each.in_flight for each in report.nodes.values())


def _main_tasks() -> set[Any]:
    """Return the tasks of `running.ended` itself."""
    return {task for task in asyncio.all_tasks() if "pipelines" not in task.get_name()}


# Limits.


@pytest.mark.parametrize("kind", [kind for kind in ENDLESS if kind not in SILENT])
@pytest.mark.parametrize("limit", [1, 7, 250])
@pytest.mark.parametrize("step", [same, later], ids=["sync", "async"])
def test_limit_stops_each_source(kind: str, limit: int, step: Any) -> None:
    """Each source gives as many items as the limit says, and the run is done."""
    out: list[int] = []
    document = graph("s > a; a > o", s=dict(ENDLESS[kind]), a=step, o=out.append)
    report = really_ended(Plumber(document, limit=limit).run())
    assert out == list(range(limit))
    assert report.nodes["s"].received == limit
    assert report.ok


@every_source
def test_limit_counts_what_is_put(kind: str) -> None:
    """What is put counts too: beyond the limit nothing can be put."""
    out: list[Any] = []

    async def main() -> None:
        document = graph("s > a; a > o", s=FED[kind], a=same, o=out.append)
        async with Plumber(document, limit=2) as plumber:
            with pytest.raises(PipelinesError, match="ended"):  # noqa: PT012
                for number in range(300):
                    await plumber.put("s", ("put", number))

    end_of(kind)(main())
    assert len(out) == 2


@pytest.mark.parametrize("how", ["limit", "drain", "cancel"])
def test_a_generator_is_closed_by_the_end(how: str) -> None:
    """A source's `finally` has run when the run has ended, however it did."""
    closed: list[str] = []

    def source() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append("closed")

    async def main() -> None:
        plumber = Plumber(line(source, later), limit=50)
        plumber.create_pipeline()
        if how != "limit":
            await until(lambda: plumber["n0"].received > 3)
        if how == "cancel":
            await cancelled(plumber)
        elif how == "drain":
            await plumber.drain()
        else:
            await plumber.join()
        assert closed == ["closed"]

    really_ended(main())


def test_a_generator_may_go_on_in_the_next_run() -> None:
    """Two runs with a limit share a generator that was made outside: each takes its share only."""
    shared = _endless()
    out: list[int] = []
    for _ in range(3):
        run(line(node(shared), out.append), limit=5)
    assert out == list(range(15))


# Who is told.


class Listener:
    """A reporter that keeps what it is told."""

    interval = 0.5

    def __init__(self, fails: str = "") -> None:
        self.heard: list[Any] = []
        self.fails = fails

    def _hear(self, name: str, what: object) -> None:
        self.heard.append((name, what))
        if self.fails == name:
            raise ValueError(f"{name} failed")

    def start(self, snapshot: Snapshot) -> None:
        """Keep it."""
        self._hear("start", snapshot)

    def update(self, snapshot: Snapshot) -> None:
        """Keep it."""
        self._hear("update", snapshot)

    def finish(self, report: RunReport) -> None:
        """Keep it."""
        self._hear("finish", report)


async def _three_seconds(value: int) -> int:
    await asyncio.sleep(3)
    return value


def test_reporters_are_told() -> None:
    """A reporter hears of the start, of progress at its interval, and of the end."""
    listener = Listener()
    report = run(line(range(1), _three_seconds), reporters=[listener])
    names = [name for name, _ in listener.heard]
    assert names == ["start", *["update"] * 5, "finish"] or names == [
        "start",
        *["update"] * 6,
        "finish",
    ]
    assert listener.heard[-1][1] is report
    assert listener.heard[1][1].nodes["n0"].in_flight == 1


@pytest.mark.parametrize("fails", ["start", "update", "finish"])
def test_a_failing_reporter_does_no_harm(fails: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its error is logged; the run and the other reporters go on."""
    bad, good = Listener(fails), Listener()
    report = run(line(range(1), _three_seconds), reporters=[bad, good])
    assert report.ok
    assert good.heard[-1] == ("finish", report)
    assert "the reporter Listener failed" in caplog.text


def test_reporters_hear_of_a_failure() -> None:
    """A run that fails is reported like any other."""
    listener = Listener()
    with pytest.raises(StepError):
        run(line(range(5), portable.fails_on_three), reporters=[listener])
    assert listener.heard[-1][1].reason == "failed"


def test_a_failure_that_nobody_awaits_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Without a `join` the error is logged at ERROR, once."""

    async def main() -> None:
        plumber = Plumber(line(itertools.count, portable.fails_on_three))
        plumber.create_pipeline()
        await until(lambda: plumber.report is not None)

    ended(main())
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "node 'n0' failed on item 3: ValueError: no 3" in caplog.text


def test_a_failure_that_is_awaited_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever waits gets the error; it need not be in the log as well."""
    for source in (range(5), _failing_source):
        with pytest.raises(StepError):
            run(line(source, portable.fails_on_three))
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


def _failing_source() -> Iterator[int]:
    yield 1
    raise ValueError("source")


def test_a_source_error_is_said_once() -> None:
    """The error of a source carries no note that repeats it."""
    with pytest.raises(StepError) as caught:
        run(line(_failing_source, same))
    assert getattr(caught.value, "__notes__", []) == []


# Size.


def test_ten_thousand_items_through_thirty_nodes() -> None:
    """A long line of all kinds of calls keeps order."""
    out: list[int] = []
    kinds: list[Any] = [same, _same_async, node(_same_async, concurrency=1), same]
    steps = [kinds[index % 4] for index in range(30)]
    ended(Plumber(line(range(10_000), *steps, out.append)).run(), within=1000)
    assert out == list(range(10_000))


@pytest.mark.parametrize("step", [same, later], ids=["sync", "async"])
def test_a_graph_of_a_thousand_nodes(step: Any) -> None:
    """A thousand nodes are checked, built, run and ended."""
    out: list[int] = []
    run(line(range(20), *[step] * 1000, out.append))
    assert out == list(range(20))


def test_ten_thousand_calls_in_flight() -> None:
    """Concurrency has no limit but the one that is asked for."""
    flying = most = 0

    async def fly(value: int) -> int:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(1)
        flying -= 1
        return value

    out: list[int] = []
    run(line(range(20_000), node(fly, concurrency=10_000), out.append))
    assert most == 10_000
    assert out == list(range(20_000))


# Odd items.


class Odd:
    """An item that does not want to be compared, hashed, measured, shown or judged."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __len__(self) -> int:
        raise RuntimeError("len")

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("getattr")


ODD: list[Any] = [
    None,
    float("nan"),
    ValueError("item"),
    StopIteration(),
    asyncio.CancelledError(),
    KeyboardInterrupt(),
    ValueError,
    int,
    type,
    NotImplemented,
    ...,
    [1],
    {},
    set(),
    (),
    (1, 2),
    Odd(),
    lambda: 1,
    threading.Lock(),
]


async def _yields(value: Any) -> AsyncIterator[Any]:
    yield value


async def _same_async(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def _yields_sync(value: Any) -> Iterator[Any]:
    yield value


def _batch(values: list[Any]) -> Any:
    return values[0]


KINDS: dict[str, dict[str, Any]] = {
    "sync": node(same),
    "serial": node(_same_async, concurrency=1),
    "pool": node(_same_async, concurrency=4),
    "unordered": node(_same_async, concurrency=1, ordered=False),
    "generator": node(_yields_sync),
    "async generator": node(_yields),
    "batch": node(_batch, batch={"size": 1}),
    "thread": node(same, executor="thread"),
    "retry": node(same, retry={"attempts": 2}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_object_is_an_item(kind: str) -> None:
    """Items are passed on as they are, and never compared, hashed, measured or shown."""
    out: list[Any] = []
    end = really_ended if kind == "thread" else ended
    end(Plumber(line(node(ODD), KINDS[kind], out.append)).run())
    assert len(out) == len(ODD)
    assert all(a is b for a, b in zip(out, ODD, strict=True))


def test_any_object_can_be_joined() -> None:
    """Rows may be of any objects."""
    out: list[Any] = []
    run(
        graph(
            "s > a b; a > j; b > j; j > o", s=node(ODD), a=_same_async, b=same, j=pair, o=out.append
        )
    )
    assert all(a is b is c for (a, b), c in zip(out, ODD, strict=True))


def test_a_class_in_two_nodes_has_two_instances() -> None:
    """Each node constructs its own."""
    made: list[Any] = []

    class Step:
        def __init__(self) -> None:
            made.append(self)

        def __call__(self, value: Any) -> Any:
            return (value, made.index(self))

    out: list[Any] = []
    run(line(range(1), Step, Step, out.append))
    assert len(made) == 2
    assert out == [((0, 0), 1)] or out == [((0, 1), 0)]


@pytest.mark.parametrize("waits", [0, 1], ids=["as one", "each in its own task"])
def test_a_node_exits_before_those_behind_it_end(waits: int) -> None:
    """In a good run a node's exit code has run, however long it takes, when its own edges end."""
    events: list[str] = []

    class Step:
        def __init__(self, name: str) -> None:
            self.name = name

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *error: object) -> None:
            events.append(f"{self.name} begins to exit")
            await turns(20)
            events.append(f"{self.name} has exited")

        async def __call__(self, value: int) -> int:
            await turns(waits)
            return value

    steps = {name: node(Step, {"name": name}) for name in "abc"}
    run(graph("s > a; a > b; b > c", s=range(3), **steps))
    assert events == [f"{name} {does}" for name in "abc" for does in EXITING]


EXITING = ("begins to exit", "has exited")
