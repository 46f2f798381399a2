"""Decorated steps: what they are given, where it goes, how it ends, and what is refused."""

from __future__ import annotations

import asyncio
import functools
import gc
import pickle
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import ended, graph, pair, turns, until

from pipelines import SKIP, GraphError, Later, Plumber, RunReport, StepError
from pipelines.frontends.decorators import (
    APotato,
    entry_point,
    pipeline,
    prepare,
    step,
    tree_traversal,
)
from pipelines.metrics import Snapshot
from pipelines.step import SkipEntry

Log = list[Any]


def run(entry: Any, *args: Any, **kwargs: Any) -> RunReport:
    """Run a pipeline to its end on virtual time."""
    return ended(pipeline(entry, *args, **kwargs), within=3600)


def fails(entry: Any, *args: Any) -> BaseException:
    """Run a pipeline that fails, and return the cause."""
    with pytest.raises(StepError) as caught:
        run(entry, *args)
    return caught.value.cause


def sends(*parcels: Any) -> Any:
    """Return an entry point that calls `p` once."""

    @entry_point
    async def start(p: APotato, *args: Any) -> None:
        await p(*parcels)

    return start


@step
async def gather(p: APotato, items: list[Any], log: Log) -> None:
    """Keep what comes, page by page."""
    log.append(items)


@step(concurrency=50, buffer_size=100, page_size=10)
async def process_data(p: APotato, payload: list[int], *log: Log) -> None:
    """Be the document's first example."""
    # This step runs 50 instances concurrently
    # It automatically handles batching based on your page_size
    result = await call_external_api(payload)

    # Pass the results to the next stage in the pipeline.
    # This call blocks until space is available in next_step's buffer queue.
    # Each step has its own buffer (controlled by buffer_size) to store payloads.
    # Execution resumes only after all results are pushed to the buffer.
    await p(next_step, [result])


async def call_external_api(payload: list[int]) -> int:
    """Take some time, another one for each page."""
    await asyncio.sleep(payload[0] % 7 / 100)
    return sum(payload)


@step(buffer_size=3, page_size=1)
async def next_step(p: APotato, items: list[int], log: Log) -> None:
    """Keep the results."""
    log += items


def test_the_documents_first_example() -> None:
    """Pages are at most ten items, and each item is in one of them."""
    log: Log = []
    report = run(sends(process_data, list(range(1000))), log)
    assert sum(log) == sum(range(1000))
    assert len(log) >= 100
    assert report.nodes["process_data"].received == 1000
    assert report.nodes["process_data"].emitted == report.nodes["next_step"].received == len(log)


def test_a_page_is_what_is_there() -> None:
    """A step that was sent fewer items than a page holds gets them without waiting for more."""
    log: Log = []

    @entry_point
    async def start(p: APotato, log: Log) -> None:
        for size in (3, 1, 100, 101):
            await p(gather, list(range(size)))
            await asyncio.sleep(1)
            assert sum(map(len, log)) == size
            log.clear()

    assert run(start, log).ok


def test_several_steps_are_sent_to_at_once() -> None:
    """One call waits until each has room, and a step that is full does not hold up another."""
    log: Log = []
    gate = asyncio.Event()

    @step(buffer_size=2, page_size=1)
    async def slow(p: APotato, items: list[int], log: Log) -> None:
        await gate.wait()
        log.append(("slow", *items))

    @step(buffer_size=2, page_size=1)
    async def quick(p: APotato, items: list[int], log: Log) -> None:
        log.append(("quick", *items))
        if items == [9]:
            gate.set()

    report = run(sends([(slow, list(range(10))), (quick, list(range(10)))]), log)
    assert log[:10] == [("quick", n) for n in range(10)]
    assert log[10:] == [("slow", n) for n in range(10)]
    assert report.nodes["start"].emitted == 20


def test_more_than_a_buffer_is_sent_in_parts() -> None:
    """However much is sent at once, no more than `buffer_size` items wait at a step."""
    seen: list[int] = []

    @step(buffer_size=7, page_size=3)
    async def slow(p: APotato, items: list[int], plumbers: Log) -> None:
        edges = plumbers[0].snapshot().edges
        seen.append(sum(edge.size for (_, target), edge in edges.items() if target == "slow"))
        await asyncio.sleep(0.01)

    @step
    async def other(p: APotato, items: list[int], plumbers: Log) -> None:
        await p(slow, items * 300)

    plumbers: Log = []

    @entry_point
    async def start(p: APotato, plumbers: Log) -> None:
        await p(other, [1])
        await p(slow, list(range(500)))

    plumbers.append(prepare(start, plumbers))
    report = ended(plumbers[0].run(), within=3600)
    assert report.nodes["slow"].passed_on == 800
    assert max(seen) <= 7
    assert report.nodes["start"].blocked > report.nodes["start"].busy


def test_a_step_may_be_sent_to_from_a_task_of_its_own_call() -> None:
    """Several sends at a time from one call, by `gather` or a task group, all arrive."""
    log: Log = []

    @step(concurrency=3, page_size=2)
    async def spread(p: APotato, items: list[int], log: Log) -> None:
        await asyncio.gather(*(p(next_step, [item, item]) for item in items))
        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(p(next_step, [-item] * 5))

    run(sends(spread, list(range(1, 100))), log)
    assert Counter(log) == {**dict.fromkeys(range(1, 100), 2), **dict.fromkeys(range(-99, 0), 5)}


@pytest.mark.parametrize("concurrency", [1, 5])
def test_as_many_calls_as_asked_for(concurrency: int) -> None:
    """With work enough there are `concurrency` calls at once, and never more."""
    now = most = 0

    @step(concurrency=concurrency, page_size=1)
    async def work(p: APotato, items: list[int]) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(items[0] % 3)
        now -= 1

    run(sends(work, list(range(100))))
    assert most == concurrency


def test_the_pipelines_arguments() -> None:
    """The entry point and each step that takes any get all; a step that takes none gets none."""
    log: Log = []

    @entry_point
    async def start(p: APotato, base: int, *, log: Log) -> None:
        await p([(plain, [base]), (bare, [base]), (Made, [base])])

    @step
    async def plain(p: APotato, items: list[int], base: int, *, log: Log) -> None:
        log.append((items, base))

    @step
    async def bare(p: APotato, items: list[int]) -> None:
        log.append(items)

    @step
    class Made:
        def __init__(self, base: int, log: Log) -> None:
            self.base, self.log = base, log

        async def digest(self, p: APotato, items: list[int]) -> None:
            self.log.append((self.base, items))

    run(start, 5, log=log)
    assert sorted(map(str, log)) == ["(5, [5])", "([5], 5)", "[5]"]


def test_arguments_that_do_not_fit() -> None:
    """A step that takes other arguments than the pipeline has is named, with what it takes."""

    @step
    async def picky(p: APotato, items: list[int], *, unit: str) -> None: ...

    cause = fails(sends(picky, [1]), 7)
    assert isinstance(cause, TypeError)
    assert str(cause).startswith("picky(p: 'APotato', items: 'list[int]', *, unit: 'str')")
    assert str(cause).endswith("can't take the pipeline's arguments, which are (7)")


async def test_an_entry_point_with_other_arguments() -> None:
    """It is refused before anything runs."""
    with pytest.raises(TypeError, match=r"^nothing_more\(.*\) .*can't take .* which are \(1\)$"):
        await pipeline(nothing_more, 1)


@entry_point
async def nothing_more(p: APotato) -> None:
    """Take no arguments."""


def test_an_entry_point_that_sends_nothing() -> None:
    """The run is over when it is, empty lists included."""
    assert list(run(nothing_more).nodes) == ["nothing_more"]
    assert list(run(sends(gather, []), []).nodes) == ["start"]


def test_a_class_is_entered_and_exited() -> None:
    """An instance lives as long as its node, which ends when nobody can send to it any more."""
    log: Log = []

    def noting(name: str, target: Any = None) -> Any:
        class Noting:
            async def __aenter__(self) -> Self:
                log.append(f"enter {name}")
                return self

            async def digest(self, p: APotato, items: list[int]) -> None:
                await asyncio.sleep(1)
                log.append(f"digest {name}")
                if target is not None:
                    await p(target, items)

            async def __aexit__(self, *error: object) -> None:
                log.append(f"exit {name}")

        Noting.__name__ = name
        return step(Noting)

    last = noting("last")
    middle = noting("middle", last)
    run(sends(middle, [1]))
    assert log == [
        *("enter middle", "digest middle", "enter last", "exit middle"),
        *("digest last", "exit last"),
    ]


def test_a_step_waits_for_all_who_could_send_to_it() -> None:
    """One that is idle early is still there for a late sender, which no edge led from as yet."""
    log: Log = []

    @step
    async def early(p: APotato, items: list[str], log: Log) -> None:
        log.extend(items)

    @step
    async def late(p: APotato, items: list[str], log: Log) -> None:
        await asyncio.sleep(10)
        await p(early, ["from late"])

    @entry_point
    async def start(p: APotato, log: Log) -> None:
        await p([(early, ["from start"]), (late, ["go"])])

    assert run(start, log).ok
    assert log == ["from start", "from late"]


@pytest.mark.parametrize("on_error", ["skip", "dead_letter"])
def test_a_failing_page_that_is_tolerated_does_not_keep_the_run(on_error: str) -> None:
    """A step whose last page fails, or is buried some time later, ends as any other."""
    letters: Log = []

    async def bury(letter: dict[str, Any]) -> None:
        await asyncio.sleep(1)
        letters.append(letter)

    @entry_point(dead_letter=bury, name="letters", max_failures=100)
    async def start(p: APotato) -> None:
        await p(broken, [1, 2])

    @step(on_error=on_error)
    async def broken(p: APotato, items: list[int]) -> None:
        raise ValueError(items)

    counts = run(start).nodes["broken"]
    assert (counts.skipped, counts.dead_lettered) == ((2, 0) if on_error == "skip" else (0, 2))
    assert [letter["item"] for letter in letters] == ([] if on_error == "skip" else [[1, 2]])


def test_a_page_may_be_left_out() -> None:
    """`SkipEntry` raised by a step leaves its page out, and counts it."""

    @step(page_size=1)
    async def odd(p: APotato, items: list[int]) -> None:
        if items[0] % 2 == 0:
            raise SkipEntry

    counts = run(sends(odd, [1, 2, 3])).nodes["odd"]
    assert (counts.passed_on, counts.skipped) == (2, 1)


def test_a_failure_reaches_the_caller() -> None:
    """It names the step and the page, its cause has the user's traceback, and all else is ended."""
    ended_well: Log = []

    @step(page_size=2)
    async def broken(p: APotato, items: list[int]) -> None:
        await asyncio.sleep(1)
        if 5 in items:
            raise ZeroDivisionError("here")

    @step
    async def endless(p: APotato, items: list[int]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended_well.append(items)

    with pytest.raises(StepError, match=r"node 'broken' failed on item \[4, 5\]: .*here") as caught:
        run(sends([(endless, [1]), (broken, list(range(8)))]))
    assert caught.value.cause.__traceback__ is not None
    assert ended_well == [[1]]


def test_a_failing_entry_point() -> None:
    """It ends the run as a failing step does."""

    @entry_point
    async def broken(p: APotato, log: Log) -> None:
        await p(gather, [1])
        raise KeyError("gone")

    with pytest.raises(StepError, match="node 'broken' failed while making its items: KeyError"):
        run(broken, [])


async def test_cancelling_cancels_all() -> None:
    """The calls end, instances are exited, and the cancellation goes on to the caller."""
    log: Log = []

    @step(concurrency=3, page_size=1)
    class Endless:
        def __enter__(self) -> Self:
            return self

        async def digest(self, p: APotato, items: list[int]) -> None:
            try:
                log.append(items[0])
                await asyncio.Event().wait()
            finally:
                log.append("ended")

        def __exit__(self, *error: object) -> None:
            log.append("exited")

    task = asyncio.create_task(pipeline(sends(Endless, list(range(100_000)))))
    await until(lambda: len(log) == 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == [0, 1, 2, *["ended"] * 3, "exited"]


async def test_draining_stops_the_entry_point_alone() -> None:
    """What was sent is finished, and the report says that it was drained."""
    log: Log = []

    @entry_point
    async def endless(p: APotato, log: Log) -> None:
        while True:
            await p(gather, [1])

    plumber = prepare(endless, log)
    plumber.create_pipeline()
    await until(lambda: len(log) > 3)
    report = await plumber.drain()
    assert report.reason == "drained"
    assert sum(map(len, log)) == report.nodes["endless"].emitted == report.nodes["gather"].passed_on


def test_two_pipelines_at_once() -> None:
    """The same functions and classes serve both, each with its own arguments and counts."""

    @step(concurrency=2, page_size=1)
    class Tag:
        def __init__(self, log: Log, name: str, count: int) -> None:
            self.log, self.name = log, name

        async def digest(self, p: APotato, items: list[int]) -> None:
            await asyncio.sleep(items[0] % 3)
            await p(keep, [(self.name, item) for item in items])

    @step
    async def keep(p: APotato, items: list[Any], log: Log, *rest: Any) -> None:
        log += items

    @entry_point
    async def start(p: APotato, log: Log, name: str, count: int) -> None:
        for number in range(count):
            await p(Tag, [number])

    async def both() -> tuple[RunReport, RunReport]:
        first, second = pipeline(start, a, "a", 50), pipeline(start, b, "b", 70)
        return await asyncio.gather(first, second)

    a: Log = []
    b: Log = []
    reports = ended(both(), within=3600)
    assert (Counter(a), Counter(b)) == (
        Counter(("a", n) for n in range(50)),
        Counter(("b", n) for n in range(70)),
    )
    assert [report.nodes["Tag"].received for report in reports] == [50, 70]


def test_a_decorator_returns_what_it_decorates() -> None:
    """It can be called, made and pickled as if nothing were there."""
    assert pickle.loads(pickle.dumps(gather)) is gather
    assert pickle.loads(pickle.dumps(nothing_more)) is nothing_more
    assert pickle.loads(pickle.dumps(Numbers)) is Numbers
    log: Log = []
    assert asyncio.run(gather(Recorder(), [1, 2], log)) is None
    recorder = Recorder()
    assert asyncio.run(process_data(recorder, [1, 2], log)) is None
    assert recorder.sent == [(next_step, [3])]
    assert log == [[1, 2]]


class Recorder(APotato):
    """A stand-in for a `p`, as a test of a step may have it."""

    def __init__(self) -> None:
        self.sent: Log = []

    async def __call__(self, target: Any, items: Any = None) -> None:
        """Keep what is sent."""
        self.sent.append((target, items))


# What is refused.


@step
async def relay(p: APotato, items: list[Any]) -> None:
    """Send to where the items say."""
    await p(*items[0])


class Wrapping:
    """No step, but a subclass of one would be no step either."""


@pytest.mark.parametrize(
    ("parcel", "message"),
    [
        ((5, [1]), "5 is no step: decorate it with @step"),
        ((len, [1]), "len is no step: decorate it with @step"),
        ((nothing_more, [1]), "nothing_more is an entry point, and nothing can be sent there"),
        ((gather, 1), r"items are sent as a list, not as 1: write await p\(target, \[item, …\]\)"),
        ((gather, (1, 2)), r"not as \(1, 2\)"),
        ((gather, None), "not as None"),
        ((gather,), r"the items are missing: write await p\(target, \[item, …\]\)"),
        (([gather, [1]],), "is no pair of a step and its items"),
        (([(gather, 1)],), "items are sent as a list, not as 1"),
        (([(gather, [1]), (5, [])],), "5 is no step"),
    ],
)
def test_misuse_of_p(parcel: tuple[Any, ...], message: str) -> None:
    """It raises a TypeError that shows the right spelling, and nothing is sent."""
    log: Log = []

    @entry_point
    async def start(p: APotato, log: Log) -> None:
        with pytest.raises(TypeError, match=message):
            await p(*parcel)

    assert list(run(start, log).nodes) == ["start"]


def test_an_instance_and_a_subclass_are_no_steps() -> None:
    """Nor is a function that wraps a step: what it adds would not run."""

    @step
    class Base:
        async def digest(self, p: APotato, items: list[int]) -> None: ...

    class Derived(Base): ...

    @entry_point
    async def start(p: APotato) -> None:
        with pytest.raises(TypeError, match=r"send to the class .*Base itself"):
            await p(Base(), [1])
        with pytest.raises(TypeError, match="Derived is no step"):
            await p(Derived, [1])
        with pytest.raises(TypeError, match=r"gather is no step: .* above all its other"):
            await p(wrapped, [1])

    @functools.wraps(gather)
    async def wrapped(p: APotato, items: list[int]) -> None: ...

    assert run(start).ok


def test_p_is_of_one_call() -> None:
    """Once the call has ended, `p` is refused; a send that it did not await is, too."""
    kept: Log = []

    @step(buffer_size=1, page_size=1)
    async def slow(p: APotato, items: list[int]) -> None:
        await asyncio.sleep(5)

    @step
    async def careless(p: APotato, items: list[int]) -> None:
        kept.append(p)
        kept.append(asyncio.create_task(p(slow, [1, 2, 3, 4])))
        await asyncio.sleep(0)

    @entry_point
    async def start(p: APotato) -> None:
        await p(careless, [1])
        await asyncio.sleep(30)
        with pytest.raises(
            TypeError, match="the call of careless that this p belongs to has ended"
        ):
            await kept[0](slow, [1])
        with pytest.raises(TypeError, match="await all that it sends before it returns"):
            await kept[1]

    assert run(start).ok


def test_circles_are_refused() -> None:
    """With the way round; a step can't send to itself either."""

    @step
    async def first(p: APotato, items: list[int]) -> None:
        await p(second, items)

    @step
    async def second(p: APotato, items: list[int]) -> None:
        await p(third, items)

    @step
    async def third(p: APotato, items: list[int]) -> None:
        await p([third, first][items[0]], items)

    cause = fails(sends(first, [1]))
    assert isinstance(cause, GraphError)
    assert cause.problems[0].code == "cycle"
    assert cause.problems[0].message == "third -> first -> second -> third."
    cause = fails(sends(first, [0]))
    assert isinstance(cause, GraphError)
    assert cause.problems[0].message == "node 'third' leads to itself."


def _plain(p: APotato, items: list[int]) -> None: ...


async def _yields(p: APotato, items: list[int]) -> AsyncIterator[int]:
    yield 1


async def _one(p: APotato) -> None: ...


async def _none() -> None: ...


async def _right(p: APotato, items: list[int]) -> None: ...


class _Digests:
    async def digest(self, p: APotato, items: list[int]) -> None: ...


class _Traverses:
    async def traverse(self, p: APotato, payload: Any, index: list[int]) -> AsyncIterator[Log]:
        yield []


class _Returns:
    async def traverse(self, p: APotato, payload: Any, index: list[int]) -> Log:
        return []


class _Short:
    async def digest(self, p: APotato) -> None: ...


@pytest.mark.parametrize(
    ("decorator", "target", "message"),
    [
        (step, _plain, r"@step is for async def f\(p, items\), or .* which is no async def"),
        (step, _yields, r"not for _yields\(\), which yields"),
        (step, _one, "takes too few arguments: write async def f"),
        (step, _Traverses, "not for the class _Traverses"),
        (step, _Short, "takes too few arguments"),
        (step, 7, "not for 7"),
        (step, "fetch", "not for 'fetch'"),
        (entry_point, _plain, r"@entry_point is for async def start\(p, \*args, \*\*kwargs\)"),
        (entry_point, _none, "takes too few arguments"),
        (entry_point, _Digests, "not for the class _Digests"),
        (tree_traversal, _right, "@tree_traversal is for a class with async def traverse"),
        (tree_traversal, _Digests, "not for the class _Digests"),
        (tree_traversal, _Returns, "not for the class _Returns"),
    ],
)
def test_what_can_not_be_decorated(decorator: Any, target: Any, message: str) -> None:
    """It is refused at once, and the right spelling shown, with parentheses and without."""
    with pytest.raises(TypeError, match=message):
        decorator(target)
    with pytest.raises(TypeError, match=message):
        decorator()(target)


@pytest.mark.parametrize("entry", [_right, gather, 5, None, _Digests])
async def test_what_is_no_entry_point(entry: Any) -> None:
    """`pipeline` starts nothing else, and says what it starts."""
    with pytest.raises(TypeError, match="is no entry point: decorate an async def with @entry"):
        await pipeline(entry)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"concurrency": 0}, "concurrency must be 1 or more, not 0"),
        ({"buffer_size": 0, "page_size": -1}, "buffer_size .* not 0; page_size .* not -1"),
        ({"buffer_size": 10}, r"page_size \(100\) is more than buffer_size \(10\)"),
        ({"page_size": 10_001}, r"page_size \(10,001\) is more than buffer_size \(10,000\)"),
    ],
)
def test_sizes_that_can_not_be(sizes: Any, message: str) -> None:
    """A size below 1, or a page larger than the buffer, is a ValueError."""
    with pytest.raises(ValueError, match=message):
        step(**sizes)(_right)
    if "page_size" not in message:
        with pytest.raises(ValueError, match=message):
            tree_traversal(**sizes)(_Traverses)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"page_size": "10"}, "page_size must be a whole number, not '10'"),
        ({"concurrency": True}, "concurrency must be a whole number, not True"),
        ({"concurency": 3}, r"there is no 'concurency'\. Did you mean 'concurrency'\?"),
        ({"batch": {"size": 3}}, "batch can't be set: a step gets its items in pages"),
        ({"ordered": True, "join": {}}, r"ordered can't be set: .*; join can't be set"),
        ({"waiting_limit": 3}, "waiting_limit can't be set: it is for steps that return Later"),
    ],
)
def test_options_that_can_not_be(options: Any, message: str) -> None:
    """What is misspelt, or can't apply to a step that sends by itself, is a TypeError."""
    with pytest.raises(TypeError, match=message):
        step(**options)(_right)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"timeout": "soon"}, "bad-format", "'soon' is no timeout."),
        ({"retry": {"attempts": 0}}, "out-of-range", "expected at least 1, got 0."),
        ({"retry": {"atempts": 2}}, "unknown-key", "unknown key 'atempts'."),
        ({"on_error": "ignore"}, "unknown-value", "unknown value 'ignore'."),
        ({"rate_limit": "fast"}, "bad-format", "'fast' is no"),
        ({"executor": "thread"}, "async-in-executor", "_right is async, so it runs in the event"),
    ],
)
def test_options_are_checked_as_in_a_document(options: Any, code: str, message: str) -> None:
    """The same rules find the same faults, in the same words."""
    with pytest.raises(GraphError) as caught:
        step(**options)(_right)
    (problem,) = caught.value.problems
    assert problem.code == code
    assert message in problem.message


def test_an_entry_points_options_are_checked() -> None:
    """What holds for the whole graph is said there, by the rules of a document."""
    with pytest.raises(TypeError, match="there is no 'concurrency'"):
        entry_point(concurrency=2)(_right)
    with pytest.raises(GraphError, match="max_failures: 'many' is no"):
        entry_point(max_failures="many")(_right)
    with pytest.raises(GraphError, match="dead_letter"):
        entry_point(dead_letter=5)(_right)


def test_dead_letters_need_a_step() -> None:
    """A step that buries what fails is refused where the entry point names none to bury it."""

    @step(on_error="dead_letter")
    async def broken(p: APotato, items: list[int]) -> None: ...

    cause = fails(sends(broken, [1]))
    assert isinstance(cause, GraphError)
    assert [problem.code for problem in cause.problems] == ["no-dead-letter"]


# Properties.


def test_a_page_is_tried_again_while_nothing_was_sent() -> None:
    """Another attempt gets the same page; after the first send there is none, or it came twice."""
    attempts: Log = []

    @step(page_size=2, retry={"attempts": 3, "backoff": "1s"}, on_error="skip")
    async def flaky(p: APotato, items: list[int], log: Log) -> None:
        attempts.append(list(items))
        items.clear()  # the page of this attempt, and of no other
        if attempts[-1] == [3]:
            await p(gather, [3])
        if len(attempts) != 3:
            raise ConnectionError
        await p(gather, attempts[-1])

    log: Log = []
    counts = run(sends(flaky, [1, 2, 3]), log).nodes["flaky"]
    assert attempts == [[1, 2], [3], [1, 2]]
    assert (counts.skipped, counts.passed_on) == (1, 2)
    assert sorted(item for page in log for item in page) == [1, 2, 3]


def test_a_time_out_is_of_the_step_alone() -> None:
    """It ends a call that takes too long, but not one that waits for room elsewhere."""

    @step(buffer_size=1, page_size=1)
    async def slow(p: APotato, items: list[int]) -> None:
        await asyncio.sleep(3)

    @step(timeout="2s")
    async def patient(p: APotato, items: list[int]) -> None:
        await asyncio.sleep(1)
        await p(slow, items * 4)
        await asyncio.sleep(0.5)

    @step(timeout="2s")
    async def stuck(p: APotato, items: list[int]) -> None:
        await asyncio.sleep(1)
        await p(slow, items * 4)
        await asyncio.sleep(1.5)

    assert run(sends(patient, [1])).nodes["slow"].passed_on == 4
    with pytest.raises(StepError, match="TimeoutError: the call took longer than 2 s"):
        run(sends(stuck, [1]))


def test_a_rate_limit_is_of_pages() -> None:
    """So many calls begin in a time, however many items they get."""
    times: Log = []

    @step(page_size=10, rate_limit="1/s", concurrency=5)
    async def polite(p: APotato, items: list[int]) -> None:
        times.append(asyncio.get_running_loop().time())

    run(sends(polite, list(range(50))))
    assert [round(time - times[0]) for time in times] == [0, 1, 2, 3, 4]


def test_an_entry_point_may_be_started_again() -> None:
    """While it has sent nothing."""
    attempts = 0

    @entry_point(retry={"attempts": 3, "backoff": "1s"})
    async def start(p: APotato, log: Log) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise ConnectionError
        await p(gather, [1])
        raise ValueError("too late")

    log: Log = []
    with pytest.raises(StepError, match="ValueError: too late"):
        run(start, log)
    assert attempts == 2


def test_names_of_nodes() -> None:
    """A node is called as its function; where two are called alike, by its module too."""

    def make() -> Any:
        @step
        async def gather(p: APotato, items: list[int], log: Log) -> None: ...

        return gather

    same = [gather, make(), make()]
    nodes = run(sends([(each, [1]) for each in same]), []).nodes
    module = __name__
    local = f"{module}:test_names_of_nodes.<locals>.make.<locals>.gather"
    assert list(nodes) == ["start", "gather", local, f"{local} 2"]


def test_a_returned_value_is_not_looked_at() -> None:
    """But one that asks something of the engine, which can't be had, is refused."""

    @step
    async def returns(p: APotato, items: list[Any]) -> Any:
        return items[0]

    assert run(sends(returns, [7])).ok
    assert run(sends(returns, [SKIP])).ok
    assert isinstance(fails(sends(returns, [Later(5)])), TypeError)


def test_reporters_are_told_of_nodes_that_came_later() -> None:
    """As of all others, at the end with the whole report."""
    told: Log = []

    class Telling:
        interval = 0.5

        def start(self, snapshot: Snapshot) -> None:
            told.append(list(snapshot.nodes))

        def update(self, snapshot: Snapshot) -> None:
            told.append(list(snapshot.nodes))

        def finish(self, report: RunReport) -> None:
            told.append(list(report.nodes))

    @entry_point(reporters=[Telling()])
    async def start(p: APotato, log: Log) -> None:
        await asyncio.sleep(0.7)
        await p(gather, [1])
        await asyncio.sleep(0.7)

    run(start, [])
    assert told == [["start"], ["start"], ["start", "gather"], ["start", "gather"]]


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_diamond(concurrency: int) -> None:
    """Keyed by hand, two branches give the pairs that a graph's join gives by position."""

    @entry_point
    async def start(p: APotato, rows: Log) -> None:
        for number in range(50):
            await p([(double, [number]), (text, [number])])

    @step(concurrency=concurrency, page_size=1)
    async def double(p: APotato, items: list[int], rows: Log) -> None:
        await asyncio.sleep(items[0] % 3)
        await p(Join, [(number, 0, 2 * number) for number in items])

    @step
    async def text(p: APotato, items: list[int], rows: Log) -> None:
        await p(Join, [(number, 1, str(number)) for number in items])

    @step
    class Join:
        def __init__(self, rows: Log) -> None:
            self.rows = rows
            self.waiting: dict[int, dict[int, Any]] = {}

        async def digest(self, p: APotato, items: list[tuple[int, int, Any]]) -> None:
            for number, place, value in items:
                row = self.waiting.setdefault(number, {})
                row[place] = value
                if len(row) == 2:
                    self.rows.append((number, row[0], row[1]))

    dynamic: Log = []
    run(start, dynamic)
    static: Log = []
    nodes = {"s": range(50), "a": lambda n: 2 * n, "b": str, "j": pair, "o": static.append}
    ended(Plumber(graph("s > a b; a > j; b > j; j > o", **nodes)).run())
    assert [row[1:] for row in sorted(dynamic)] == static


@given(st.data())
def test_nothing_is_lost_or_doubled(data: st.DataObject) -> None:
    """Whatever sends to whatever, in whichever sizes: each item arrives as often as it was sent."""
    count = data.draw(st.integers(1, 6), label="steps")
    sizes = st.integers(1, 5)
    targets = [
        data.draw(st.sets(st.integers(i + 1, count - 1)) if i + 1 < count else st.just(set()))
        for i in range(count)
    ]
    got: list[Counter[int]] = [Counter() for _ in range(count)]

    def make(number: int) -> Any:
        @step(concurrency=data.draw(sizes), page_size=data.draw(sizes), buffer_size=5)
        async def node(p: APotato, items: list[int]) -> None:
            got[number].update(items)
            await asyncio.sleep(items[0] % 3)
            await p([(steps[other], items) for other in sorted(targets[number])])

        return node

    steps = [make(number) for number in range(count)]
    items = list(range(data.draw(st.integers(0, 40))))
    first = data.draw(st.sets(st.integers(0, count - 1), min_size=1))

    @entry_point
    async def start(p: APotato) -> None:
        for number in sorted(first):
            await p(steps[number], items)

    report = run(start)
    ways = [int(number in first) for number in range(count)]
    for number in range(count):
        for other in targets[number]:
            ways[other] += ways[number]
    assert got == [Counter({item: n for item in items if n}) for n in ways]
    assert all(counts.balanced and counts.state == "done" for counts in report.nodes.values())


# Trees.


@tree_traversal
class Numbers:
    """Go through a tree of `width` children down to `depth`, in lists of two."""

    def __init__(self, log: Log, width: int, depth: int) -> None:
        self.log, self.width, self.depth = log, width, depth

    async def traverse(
        self, p: APotato, payload: str, index: list[int]
    ) -> AsyncIterator[list[str]]:
        """Yield the children's names."""
        self.log.append((payload, index))
        await asyncio.sleep(len(payload) % 3)
        if len(index) < self.depth:
            for start in range(0, self.width, 2):
                numbers = range(start, min(start + 2, self.width))
                yield [f"{payload}.{number}" for number in numbers]


def test_a_tree_is_gone_through_depth_first() -> None:
    """In index order, one root after the other; `index` is the way there from the root."""
    log: Log = []
    report = run(sends(Numbers, ["a", "b"]), log, 3, 3)
    assert len(log) == 2 * (1 + 3 + 9 + 27)
    half = len(log) // 2
    for name, visits in (("a", log[:half]), ("b", log[half:])):
        assert [index for _, index in visits] == sorted(index for _, index in visits)
        assert all(payload == ".".join([name, *map(str, index)]) for payload, index in visits)
    counts = report.nodes["Numbers"]
    assert (counts.received, counts.passed_on, counts.in_flight) == (80, 80, 0)
    assert report.nodes["start"].emitted == 2


@given(st.integers(1, 4), st.integers(0, 4), st.integers(0, 4), st.integers(0, 3))
def test_every_node_of_every_tree_comes_once(
    concurrency: int, roots: int, width: int, depth: int
) -> None:
    """With any concurrency: `traverse` is called as often at once, and a child after its parent."""
    now = most = 0
    log: Log = []

    @tree_traversal(concurrency=concurrency, buffer_size=1)
    class Counted(Numbers):
        async def traverse(
            self, p: APotato, payload: str, index: list[int]
        ) -> AsyncIterator[list[str]]:
            nonlocal now, most
            now += 1
            most = max(most, now)
            async for children in super().traverse(p, payload, index):
                now -= 1
                yield children
                now += 1
                most = max(most, now)
            now -= 1
            await p(next_step, [payload])

    names = [f"root{number}" for number in range(roots)]
    leaves: Log = []

    @entry_point
    async def start(p: APotato, *args: Any) -> None:
        await p(Counted, names)

    @step(page_size=1)
    async def next_step(p: APotato, items: list[str]) -> None:
        leaves.extend(items)

    assert run(start, log, width, depth).ok
    payloads = [payload for payload, _ in log]
    size = sum(width**level for level in range(depth + 1))
    assert len(payloads) == len(set(payloads)) == roots * size
    assert sorted(leaves) == sorted(payloads)
    assert most <= concurrency
    for position, payload in enumerate(payloads):
        parent, _, child = payload.rpartition(".")
        assert not child or not parent or parent in payloads[:position]


def test_as_many_nodes_at_a_time_as_asked_for() -> None:
    """A tree with work for all keeps `concurrency` calls at work, the first in order first."""
    order: Log = []
    gates: dict[tuple[int, ...], asyncio.Event] = {}

    @tree_traversal(concurrency=3)
    class Gated:
        async def traverse(
            self, p: APotato, payload: Any, index: list[int]
        ) -> AsyncIterator[list[int]]:
            order.append(tuple(index))
            gates[tuple(index)] = asyncio.Event()
            if index:
                await gates[tuple(index)].wait()
            if len(index) < 2:
                yield [0] * 4

    async def check() -> None:
        task = asyncio.create_task(pipeline(sends(Gated, [0])))
        await turns(20)
        assert order == [(), (0,), (1,), (2,)]
        gates[1,].set()
        await turns(20)
        assert order[4:] == [(1, 0)]
        gates[0,].set()  # whose children come before the others of (1,)
        await turns(20)
        assert order[5:] == [(0, 0)]
        gates[1, 0].set()
        await turns(20)
        assert order[6:] == [(0, 1)]
        while len(order) < 21 or not all(gate.is_set() for gate in gates.values()):
            for gate in gates.values():
                gate.set()
            await turns(5)
        await task

    ended(check())


def test_a_large_tree_is_never_in_memory() -> None:
    """Of 111,111 nodes no more are held than lie beside one path to each call at work."""
    alive: weakref.WeakSet[Payload] = weakref.WeakSet()
    most = visits = 0

    @tree_traversal(concurrency=2)
    class Wide:
        async def traverse(
            self, p: APotato, payload: Payload, index: list[int]
        ) -> AsyncIterator[list[Payload]]:
            nonlocal most, visits
            visits += 1
            if visits % 100 == 0:
                most = max(most, len(alive))
            if len(index) < 5:
                children = [Payload() for _ in range(10)]
                alive.update(children)
                yield children
                del children

    run(sends(Wide, [Payload()]))
    assert visits == 111_111
    assert most <= 2 * 5 * 10 + 2 * 10
    gc.collect()
    assert not alive


class Payload:
    """Something whose life can be followed."""


def test_a_failing_node_of_a_tree() -> None:
    """It is tried again, then left out with what is below it, while the rest goes on."""
    log: Log = []

    @tree_traversal(retry={"attempts": 2, "backoff": 0}, on_error="skip", concurrency=2)
    class Flaky(Numbers):
        async def traverse(
            self, p: APotato, payload: str, index: list[int]
        ) -> AsyncIterator[list[str]]:
            if index == [1]:
                log.append("attempt")
                raise OSError(payload)
            async for children in super().traverse(p, payload, index):
                yield children
            if index == [2]:
                raise OSError("after its children")

    counts = run(sends(Flaky, ["a"]), log, 3, 2).nodes["Flaky"]
    assert log.count("attempt") == 2
    visited = sorted(each[1] for each in log if each != "attempt")
    below = [[0, 0], [0, 1], [0, 2], [2, 0], [2, 1], [2, 2]]
    assert visited == sorted([[], [0], [2], *below])
    assert (counts.received, counts.skipped, counts.retried) == (10, 2, 1)


def test_a_failure_in_a_tree_ends_the_run() -> None:
    """It names the node of the tree, and generators that were suspended are closed."""
    closed: Log = []

    @tree_traversal
    class Broken:
        async def traverse(
            self, p: APotato, payload: int, index: list[int]
        ) -> AsyncIterator[list[int]]:
            try:
                if len(index) == 3:
                    raise ValueError("deep")
                yield [1, 2]
            finally:
                closed.append(len(index))

    with pytest.raises(StepError, match=r"Visit\(payload=1, path=\(0, 0, 0\), tree=0\): .*deep"):
        run(sends(Broken, [0]))
    assert sorted(closed) == [0, 1, 2, 3]


def test_what_traverse_yields() -> None:
    """Anything but a list is refused; to send the node to itself is, too."""

    @tree_traversal
    class Odd:
        async def traverse(self, p: APotato, payload: Any, index: list[int]) -> AsyncIterator[Any]:
            if payload is None:
                await p(Odd, [1])
            yield payload

    cause = fails(sends(Odd, ["text"]))
    assert isinstance(cause, TypeError)
    assert str(cause) == "traverse yields lists of children, not 'text': yield [child, …]"
    assert "leads to itself" in str(fails(sends(Odd, [None])))


def test_a_time_out_in_a_tree_is_for_each_list() -> None:
    """What the children take does not count."""

    @tree_traversal(timeout="5s")
    class Slow:
        async def traverse(
            self, p: APotato, payload: float, index: list[int]
        ) -> AsyncIterator[list[float]]:
            await asyncio.sleep(payload)
            if not index:
                for _ in range(3):
                    yield [4] * 3
                    await asyncio.sleep(4)
            elif payload < 0:
                await asyncio.sleep(6)

    assert run(sends(Slow, [4])).nodes["Slow"].passed_on == 10
    with pytest.raises(StepError, match="took longer than 5 s"):
        run(sends(Slow, [6]))
