"""`threads.Pipeline`: a line of steps in threads, and the ways to feed and run it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import queue
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running_demos import run_python

from pipelines import GraphError, PipelinesError, StepError, load, run
from pipelines.frontends import threads as paipa
from pipelines.frontends.generators import chunk, flatten
from pipelines.frontends.threads import Pipeline, SkipEntry, Step, funcstep, iterstep
from pipelines.reporters.records import RecordReporter
from pipelines.spec import EdgeSpec

# What can be found by its name, for YAML.


def double(item: int) -> int:
    """Double it."""
    return item * 2


def numbers() -> Iterator[int]:
    """Count to five."""
    return iter(range(5))


def evens(items: Iterator[int]) -> Iterator[int]:
    """Keep the even ones."""
    return (item for item in items if item % 2 == 0)


class Scale(paipa.AbstractStep):
    """Multiplies."""

    def initialize(self, factor: int = 1, **_: Any) -> None:
        """Keep the factor."""
        self.factor = factor

    def process(self, item: int) -> int:
        """Multiply."""
        return item * self.factor


def results(steps: list[Any], items: Any, **options: Any) -> list[Any]:
    """Run items through steps; return what comes out."""
    out: list[Any] = []
    pipeline = Pipeline([*steps, (out.append, 1)], **options)
    pipeline.put_iterable(items)
    pipeline.run()
    return out


# The document's ways to write and feed it


def test_the_introductions_example(capsys: pytest.CaptureFixture[str]) -> None:
    """Several threads load, one prints; here the results come in the order of their inputs."""

    def download_url(url: str) -> str:
        return f"content of {url}"

    def process_response(resp: str) -> str:
        print("== Fetched", resp)
        return resp

    pipeline = paipa.Pipeline(
        [
            (paipa.funcstep(download_url), 3),
            (paipa.funcstep(process_response), 1),
        ]
    )
    pipeline.put("http://example.com/2")
    pipeline.put("http://example.com/4")
    pipeline.put("http://example.com/6")
    pipeline.finish()
    pipeline.run()
    fetched = [f"== Fetched content of http://example.com/{number}" for number in (2, 4, 6)]
    assert capsys.readouterr().out.splitlines() == fetched
    assert pipeline.count == 3
    assert pipeline.ok


def test_items_put_before_the_run() -> None:
    """One by one, and all at once."""
    out: list[int] = []
    pipeline = Pipeline([(double, 2), (out.append, 1)])
    pipeline.put(0)
    pipeline.put_all(range(1, 10))
    pipeline.finish()
    report = pipeline.run()
    assert out == [double(item) for item in range(10)]
    assert report is pipeline.report
    assert report.nodes["put"].received == 10


def test_an_iterable_is_taken_as_it_is_needed() -> None:
    """An endless one too: a failure ends it, and it was not taken far ahead."""
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    pipeline = Pipeline([(lambda item: 1 // (1000 - item), 2)], buffer_size=10)
    pipeline.put_iterable(source())
    with pytest.raises(StepError, match="on item 1000: ZeroDivisionError"):
        pipeline.run()
    assert taken <= 1000 + 200


def test_several_iterables_and_a_function_of_one() -> None:
    """All of them are taken; a function is called when the run begins; text is its characters."""
    out: list[Any] = []
    pipeline = Pipeline([(out.append, 1)])
    pipeline.put_iterable([1, 2])
    pipeline.put_iterable(numbers)
    pipeline.put_iterable("ab")
    pipeline.put_iterable({"key": 1})
    pipeline.put(99)
    pipeline.run()
    assert sorted(map(str, out)) == ["0", "1", "1", "2", "2", "3", "4", "99", "a", "b", "key"]


def test_in_the_background() -> None:
    """Leaving the block waits until all is processed; items may be put meanwhile."""
    out: list[int] = []
    with Pipeline([(double, 3), (out.append, 1)]) as pipeline:
        pipeline.put_all(range(100))
        assert pipeline.alive
    assert out == [double(item) for item in range(100)]
    assert not pipeline.alive
    assert pipeline.ok
    assert pipeline.count == 100


def test_in_the_background_said_by_hand() -> None:
    """The same with `run_forever` and `stop`, which may be called once more."""
    out: list[int] = []
    pipeline = Pipeline([(out.append, 1)])
    pipeline.put_iterable(iter(range(100)))
    pipeline.run_forever(background=True)
    assert pipeline.alive
    pipeline.stop()
    pipeline.stop()
    assert out == list(range(100))


def test_for_ever_in_the_foreground() -> None:
    """Until another thread says that it is finished."""
    out: list[int] = []
    pipeline = Pipeline([(out.append, 1)])

    def feed() -> None:
        pipeline.put_all(range(10))
        pipeline.finish()

    thread = threading.Thread(target=feed)
    thread.start()
    pipeline.run_forever()
    thread.join()
    assert out == list(range(10))


def test_an_in_queue() -> None:
    """Each item is taken at once, and all that lie in it are processed before the end."""
    items: queue.Queue[int] = queue.Queue()
    out: queue.Queue[int] = queue.Queue()
    with Pipeline([(double, 4), (out.put, 1)], in_queue=items) as pipeline:
        items.put(1)
        assert out.get(timeout=5) == 2
        pipeline.put(2)
        assert out.get(timeout=5) == 4
        for item in range(50):
            items.put(item)
        pipeline.stop()
    assert [out.get_nowait() for _ in range(50)] == [double(item) for item in range(50)]
    assert out.empty()


def test_a_full_in_queue_holds_up_who_puts() -> None:
    """And lets them go with an error when the run has failed."""
    go_on = threading.Event()

    def fail(item: int) -> int:
        go_on.wait(5)
        raise ValueError(item)

    pipeline = Pipeline([(fail, 1)], in_queue=queue.Queue(2), buffer_size=1)
    pipeline.put(0)
    pipeline.put(1)
    with pytest.raises(PipelinesError, match="the in_queue is full, and nothing takes from it"):
        pipeline.put(2)
    pipeline.run_forever(background=True)

    def put_for_ever() -> None:
        for item in itertools.count():
            if item == 2:
                go_on.set()
            pipeline.put(item)

    with pytest.raises(PipelinesError, match="nothing more can be put: the run has failed"):
        put_for_ever()
    with pytest.raises(StepError, match="ValueError: 0"):
        pipeline.stop()


SCRIPT = """
import time
from pipelines.frontends.threads import Pipeline

def show(item):
    time.sleep(0.01)
    print(item, flush=True)

pipeline = Pipeline([(show, 1)], daemon={daemon})
pipeline.put_iterable(range(20))
pipeline.finish()
pipeline.run_forever(background=True)
"""


def test_the_programs_end_waits_for_a_run_that_is_no_daemon() -> None:
    """Nothing is lost; with `daemon` the program ends at once."""
    done = run_python("-c", SCRIPT.format(daemon=False))
    assert done.stdout.split() == [str(item) for item in range(20)]
    done = run_python("-c", SCRIPT.format(daemon=True))
    assert len(done.stdout.split()) < 20


# What it promises


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 50), max_size=60),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(1, 5),
)
def test_nothing_is_lost_and_the_order_stays(
    items: list[int], threads: list[int], size: int
) -> None:
    """Whatever the threads and the buffers, and whichever item takes longer."""

    def step(item: int) -> int:
        time.sleep(item % 3 / 10_000)
        return item + 1

    steps = [(step, count) for count in threads]
    assert results(steps, items, buffer_size=size) == [item + len(threads) for item in items]


@settings(max_examples=20)
@given(st.integers(0, 200), st.integers(1, 3), st.integers(0, 220))
def test_it_never_deadlocks(count: int, threads: int, bad: int) -> None:
    """It ends well, or with the failure, and then all its threads are gone."""

    def fail(item: int) -> int:
        if item == bad:
            raise ValueError(item)
        return item

    before = set(threading.enumerate())
    steps = [(fail, threads), (iterstep(chunk(7)), threads), (iterstep(flatten), 1), (double, 2)]
    pipeline = Pipeline(steps, buffer_size=2)
    try:
        with pipeline:
            pipeline.put_all(range(count))
    except (StepError, PipelinesError):
        assert bad < count
        assert not pipeline.ok
    else:
        assert bad >= count
        assert pipeline.count == count
    assert set(threading.enumerate()) == before


def test_a_failure_is_told_and_raised() -> None:
    """By `run`, and by `stop`; the callback comes without arguments."""
    told: list[str] = []

    def fail(item: int) -> int:
        raise ValueError(item)

    pipeline = Pipeline([(fail, 2)], fail_callback=lambda: told.append("failed"))
    pipeline.put(7)
    pipeline.finish()
    with pytest.raises(StepError, match="node 'fail' failed on item 7: ValueError: 7"):
        pipeline.run()
    assert told == ["failed"]
    assert (pipeline.ok, pipeline.alive, pipeline.count) == (False, False, 0)
    assert pipeline.report is not None
    assert pipeline.report.reason == "failed"


def test_a_callback_that_fails_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged."""

    def fail(item: int) -> int:
        raise ValueError(item)

    def callback() -> None:
        raise OSError("callback")

    pipeline = Pipeline([(fail, 1)], fail_callback=callback)
    pipeline.put(7)
    pipeline.finish()
    with pytest.raises(StepError, match="ValueError"):
        pipeline.run()
    assert "the fail_callback failed" in caplog.text


def test_an_exception_in_the_block_cancels_the_run() -> None:
    """It stays what it is, and nothing is left."""

    def interrupted() -> None:
        with Pipeline([(double, 1)]) as pipeline:
            pipeline.put(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_a_failure_that_a_put_met_is_raised_as_the_failure() -> None:
    """Not as the put's own error, which says less."""

    def fail(item: int) -> int:
        raise ValueError(item)

    def put_for_ever() -> None:
        with Pipeline([(fail, 1)]) as pipeline:
            while True:
                pipeline.put(1)

    with pytest.raises(StepError, match="ValueError: 1"):
        put_for_ever()


def test_a_step_may_put_more() -> None:
    """Into its own pipeline, without end: put never waits there."""
    out: list[int] = []
    done = threading.Event()

    def split(item: int) -> int:
        if item < 100:
            pipeline.put(item * 2 + 1)
            pipeline.put(item * 2 + 2)
        return item

    def keep(item: int) -> None:
        out.append(item)
        if len(out) == 201:
            done.set()

    pipeline = Pipeline([(split, 2), (keep, 1)], buffer_size=1)
    with pipeline:
        pipeline.put(0)
        assert done.wait(5)
    assert sorted(out) == list(range(201))


def interrupt(item: int) -> int:
    """Be Ctrl-C at the third item."""
    if item == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return item


def test_ctrl_c_drains_a_run() -> None:
    """What was taken is finished; the run is good."""
    pipeline = Pipeline([(interrupt, 2)])
    pipeline.put_iterable(itertools.count())
    assert pipeline.run().reason == "drained"


def test_ctrl_c_while_waiting_for_the_background() -> None:
    """It comes to the caller, and the run is cancelled."""
    stopping = threading.Event()

    class Told(Pipeline):
        def finish(self) -> None:
            super().finish()
            stopping.set()

    def interrupt_once_stopping(item: int) -> int:
        assert stopping.wait(5)
        return interrupt(item)

    pipeline = Told([(interrupt_once_stopping, 2)])
    pipeline.put_iterable(itertools.count())
    before = set(threading.enumerate())
    pipeline.run_forever(background=True)
    with pytest.raises(KeyboardInterrupt):
        pipeline.stop()
    assert pipeline.report is not None
    assert pipeline.report.reason == "cancelled"
    assert set(threading.enumerate()) == before


# Properties


def test_retries() -> None:
    """As a number for all, or as the property of one; then the failure counts."""
    calls: list[int] = []

    def flaky(item: int) -> int:
        calls.append(item)
        if calls.count(item) < 3:
            raise ValueError(item)
        return item

    assert results([(flaky, 1)], range(3), max_retries=2) == [0, 1, 2]
    calls.clear()
    retry = {"attempts": 3, "backoff": 0}
    assert results([Step(flaky, 1, retry=retry)], range(3)) == [0, 1, 2]
    calls.clear()
    with pytest.raises(StepError, match="attempt 2"):
        results([(flaky, 1)], range(3), max_retries=1)


def test_what_fails_may_be_skipped_or_become_a_dead_letter() -> None:
    """For one step, or for all of them."""
    letters: list[Any] = []

    def fail(item: int) -> int:
        return 1 // (item - 3) or item

    expected = [item for item in range(6) if item != 3]
    steps = [Step(fail, 2, on_error="skip"), (lambda item: item, 1)]
    assert len(results(steps, range(6))) == len(expected)
    dead = {"func": letters.append}
    got = results([(fail, 2)], range(6), on_error="dead_letter", dead_letter=dead)
    assert len(got) == len(expected)
    assert [letter["item"] for letter in letters] == [3]
    with pytest.raises(PipelinesError, match="max_failures"):
        results([(fail, 1)], [3, 3, 3], on_error="skip", runtime={"max_failures": 1})


def test_a_time_out_and_another_executor() -> None:
    """A call that takes too long fails; a step may run in processes, or async in the loop."""
    hang = threading.Event()

    def wait(item: int) -> bool:
        return hang.wait(5)

    class Release(RecordReporter):
        def show(self, records: Any) -> None:
            hang.set()

    step = Step(wait, 1, timeout=0.05, on_error="skip")
    assert results([step], [1], reporters=[Release(0.2)]) == []

    async def later(item: int) -> int:
        await asyncio.sleep(0)
        return item + 1

    assert results([Step(later, 5, executor="inline")], range(4)) == [1, 2, 3, 4]
    assert results([Step(abs, 1, executor="process")], [-1, 2]) == [1, 2]
    assert results([(abs, 1)], [-1, 2], executor="inline") == [1, 2]


def test_a_batch() -> None:
    """The step is called with lists."""
    assert results([Step(sum, 2, batch={"size": 4})], range(10)) == [6, 22, 17]


def test_reporters_are_told() -> None:
    """As those of a `Plumber`."""
    names: list[list[str]] = []

    class Names(RecordReporter):
        def show(self, records: Any) -> None:
            names.append([each.name for each in records])

    results([(double, 1)], [1], reporters=[Names()])
    assert names[-1] == ["iterable", "double", "append", "(process)"]


# The graph that it is


def test_the_graph() -> None:
    """A line of nodes, with the threads as their concurrency; a second name is numbered."""
    spec = Pipeline(
        [(double, 3), (funcstep(double), 1), Step(Scale, 2, {"factor": 3}, name="x")]
    ).spec()
    assert list(spec.nodes) == ["put", "double", "double_2", "x"]
    assert spec.edges == (
        EdgeSpec("put", "double"),
        EdgeSpec("double", "double_2"),
        EdgeSpec("double_2", "x"),
    )
    assert spec.nodes["put"].target is None
    assert spec.nodes["double_2"].func is double
    assert spec.nodes["x"].args == {"factor": 3}
    executors = {name: node.properties.executor for name, node in spec.nodes.items()}
    assert executors == {"put": None, "double": "thread", "double_2": "thread", "x": "thread"}


def test_the_graph_as_yaml(tmp_path: Path) -> None:
    """What can be imported can be written, and runs from the file as it runs from here."""
    pipeline = Pipeline(
        [
            (double, 2),
            (iterstep(evens), 1),
            Step(Scale, 2, {"factor": 10}, retry={"attempts": 2}, on_error="skip"),
        ],
        buffer_size=5,
        runtime={"max_failures": "5%"},
    )
    pipeline.put_iterable(numbers)
    file = tmp_path / "graph.yaml"
    file.write_text(pipeline.spec().to_yaml())
    again = load(file)
    assert again.to_plain() == pipeline.spec().to_plain()
    got: list[int] = []
    document = again.to_dict()
    document["nodes"]["keep"] = {"func": got.append}
    document["graph"]["Scale"] = ["keep"]
    run(document)
    assert got == [0, 20, 40, 60, 80]


def test_what_has_no_name_can_not_be_written() -> None:
    """The error names the node."""
    with pytest.raises(ValueError, match=r"node '<lambda>'.*define it at the top of a module"):
        Pipeline([(lambda item: item, 1)]).spec().to_yaml()


# Misuse


async def is_async(item: int) -> int:
    """Be no step of a thread."""
    return item


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        ([], ValueError, "at least one step"),
        ([7], TypeError, r"7 is no step of a Pipeline: write \(step, n_threads\)"),
        ([double], TypeError, r"write \(step, n_threads\)"),
        ((double, 3), TypeError, r"takes a list of steps: Pipeline\(\[\(step, n_threads\), …\]\)"),
        ([(double, 0)], ValueError, "at least one thread, not 0"),
        ([(double, "3")], TypeError, "are a number, not '3'"),
        ([(double, True)], TypeError, "are a number, not True"),
        ([("double", 1)], TypeError, "'double' is no step"),
        ([(Scale(), 1)], TypeError, r"give the class, not an instance: \(Scale, 1\)"),
        ([(paipa.AbstractStep, 1)], TypeError, r"AbstractStep has no process\(self, item\)"),
        ([(is_async, 1)], GraphError, "is async, so it runs in the event loop"),
        ([(double, 1, {"by": 3})], GraphError, "takes no argument 'by'"),
        ([(iterstep(evens), 2, {})], None, ""),
    ],
)
def test_steps_that_are_none(steps: Any, error: type[Exception] | None, message: str) -> None:
    """Refused at once, with the right spelling."""
    if error is None:
        Pipeline(steps)
        return
    with pytest.raises(error, match=message):
        Pipeline(steps)


@pytest.mark.parametrize(
    ("properties", "error", "message"),
    [
        ({"retries": 3}, GraphError, "unknown key 'retries'. Did you mean 'retry'"),
        ({"on_error": "ignore"}, GraphError, "on_error"),
        ({"concurrency": 3}, TypeError, "concurrency is its threads"),
    ],
)
def test_properties_that_are_none(
    properties: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Of one step, and of all."""
    with pytest.raises(error, match=message):
        Pipeline([Step(double, 1, **properties)])
    with pytest.raises(error, match=message):
        Pipeline([(double, 1)], **properties)


def test_a_stream_in_threads_has_no_order_and_no_policy() -> None:
    """Said so where it is asked for."""
    with pytest.raises(GraphError, match="several streams at once can't keep the order"):
        Pipeline([Step(iterstep(evens), 2, ordered=True)])
    with pytest.raises(GraphError, match="timeout is for single items"):
        Pipeline([Step(iterstep(evens), 1, timeout=3)])


def test_a_run_that_would_never_end_is_refused() -> None:
    """As nothing says which item is the last one."""
    with pytest.raises(ValueError, match=re.escape("call finish() or put_iterable() first")):
        Pipeline([(double, 1)]).run()
    pipeline = Pipeline([(double, 1)], in_queue=queue.Queue())
    pipeline.put_iterable([1])
    with pytest.raises(ValueError, match="for ever"):
        pipeline.run()


def test_it_runs_once() -> None:
    """And says so, to all who come too late."""
    pipeline = Pipeline([(double, 1)])
    pipeline.finish()
    with pytest.raises(PipelinesError, match=re.escape("finish() was called")):
        pipeline.put(1)
    pipeline.run()
    with pytest.raises(PipelinesError, match="the run has ended"):
        pipeline.put(1)
    with pytest.raises(PipelinesError, match="comes before the run"):
        pipeline.put_iterable([1])
    with pytest.raises(PipelinesError, match="runs once"):
        pipeline.run()
    with pytest.raises(PipelinesError, match="runs once"):
        pipeline.run_forever(background=True)
    with pytest.raises(TypeError, match="takes an iterable, not int"):
        Pipeline([(double, 1)]).put_iterable(7)  # type: ignore[arg-type]


def test_a_stop_without_a_run() -> None:
    """There is nothing to stop."""
    with pytest.raises(RuntimeError, match="nothing runs in the background"):
        Pipeline([(double, 1)]).stop()


async def test_it_does_not_block_an_event_loop() -> None:
    """Where one runs it must go to the background, or to a thread."""
    pipeline = Pipeline([(double, 1)])
    pipeline.put(1)
    pipeline.finish()
    with pytest.raises(RuntimeError, match="would block the event loop"):
        pipeline.run()
    await asyncio.to_thread(pipeline.run)
    assert pipeline.count == 1


def test_nothing_is_logged_when_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    """Not even for what was skipped by the step itself."""
    caplog.set_level(logging.INFO)

    def odd(item: int) -> int:
        if item % 2 == 0:
            raise SkipEntry
        return item

    assert results([(odd, 2)], range(5)) == [1, 3]
    assert caplog.records == []
