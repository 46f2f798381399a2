"""What becomes of an item that fails, in every kind of node, and of the exits when a run ends."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import portable
import psutil
import pytest
from running import ended, graph, later, node, really_ended, run, same, turns, until

from pipelines import SKIP, GraphError, Later, PipelinesError, Plumber, Route, RunReport, StepError
from pipelines.errors import ExecutorError
from pipelines.lane import Lane
from pipelines.metrics import NodeCounts
from pipelines.processes import ProcessExecutor
from pipelines.step import Shape, Step

# Every kind of node whose step fails on item 3 of ten.


async def _fails_async(value: Any) -> Any:
    await asyncio.sleep(0)
    return portable.fails_on_three(value)


async def _fails_seed(self: Any, q_elt: tuple[Any, ...]) -> Any:
    return portable.fails_on_three(q_elt[0])


def _fails_generator(value: Any) -> Iterator[Any]:
    if value == 3:
        raise ValueError("no 3")
    yield value


async def _fails_async_generator(value: Any) -> AsyncIterator[Any]:
    await asyncio.sleep(0)
    if value == 3:
        raise ValueError("no 3")
    yield value


class _FailsClass:
    def __call__(self, value: Any) -> Any:
        return portable.fails_on_three(value)


class _FailsAsyncClass:
    async def __call__(self, value: Any) -> Any:
        return portable.fails_on_three(value)


def _fails_batch(values: list[Any]) -> Any:
    return portable.fails_on_three(values[0])


async def _fails_async_batch(values: list[Any]) -> Any:
    return portable.fails_on_three(values[0])


KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "sync": (portable.fails_on_three, {}),
    "serial": (_fails_async, {"concurrency": 1}),
    "pool": (_fails_async, {"concurrency": 4}),
    "unordered": (_fails_async, {"concurrency": 4, "ordered": False}),
    "generator": (_fails_generator, {}),
    "async generator": (_fails_async_generator, {"concurrency": 1}),
    "async generator pool": (_fails_async_generator, {"concurrency": 4}),
    "class": (_FailsClass, {}),
    "async class": (_FailsAsyncClass, {}),
    "batch": (_fails_batch, {"batch": {"size": 1}}),
    "async batch": (_fails_async_batch, {"batch": {"size": 1}}),
    "rate": (portable.fails_on_three, {"rate_limit": "100000/s"}),
    "thread": (portable.fails_on_three, {"executor": "thread", "concurrency": 2}),
    "thread generator": (_fails_generator, {"executor": "thread", "concurrency": 2}),
    "process": (portable.fails_on_three, {"executor": "process", "concurrency": 2}),
    "process generator": (portable.fails_then_yields, {"executor": "process", "concurrency": 1}),
    "seed": (_fails_seed, {}),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def failing(kind: str, **properties: Any) -> dict[str, Any]:
    """Return the document of a node of a kind that fails on 3."""
    target, own = KINDS[kind]
    said = own | properties
    return {"coro": target, "properties": said} if kind == "seed" else node(target, **said)


def end_of(kind: str) -> Callable[..., Any]:
    """Return how to run a graph with a kind of node."""
    real = kind.startswith(("thread", "process")) or kind == "rate"
    return really_ended if real else ended


def go(kind: str, out: list[Any], **properties: Any) -> RunReport:
    """Run ten items through a node of a kind that fails on 3."""
    document = graph("s > f; f > o", s=range(10), f=failing(kind, **properties), o=out.append)
    if properties.get("on_error") == "dead_letter":
        document["dead_letter"] = {"func": LETTERS.append}
    report = end_of(kind)(Plumber(document).run())
    assert isinstance(report, RunReport)
    assert all(each.balanced for each in report.nodes.values())
    return report


LETTERS: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def no_letters() -> None:
    """Start without dead letters."""
    LETTERS.clear()


WITHOUT_THREE = [n for n in range(10) if n != 3]


@every_kind
def test_fail_ends_the_run(kind: str) -> None:
    """By default the first failure ends the run, with an error that names everything."""
    with pytest.raises(StepError) as caught:
        go(kind, [])
    error = caught.value
    assert error.node == "f"
    assert error.item == ([3] if "batch" in kind else 3)
    assert error.attempt == 1
    assert isinstance(error.cause, ValueError)
    assert error.__cause__ is error.cause
    assert "ValueError: no 3" in str(error)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("process")])
def test_the_error_has_the_users_traceback(kind: str) -> None:
    """The traceback of the cause leads to the line that raised."""
    with pytest.raises(StepError) as caught:
        go(kind, [])
    frames = traceback.extract_tb(caught.value.cause.__traceback__)
    assert (
        'raise ValueError("no 3")' in (frames[-1].line or "") or "fails_on_three" in frames[-1].name
    )


def test_the_error_of_a_process_has_the_workers_traceback() -> None:
    """What a worker process raised carries its own traceback as a note."""
    with pytest.raises(StepError) as caught:
        go("process", [])
    assert "in fails_on_three" in "\n".join(caught.value.cause.__notes__)


@every_kind
def test_skip_goes_on(kind: str) -> None:
    """Under on_error: skip the item is counted as skipped, and all others come out."""
    out: list[Any] = []
    counts = go(kind, out, on_error="skip").nodes["f"]
    assert sorted(out) == WITHOUT_THREE
    assert (counts.received, counts.passed_on, counts.skipped, counts.failed) == (10, 9, 1, 0)
    assert counts.errors == 1
    assert counts.last_error == "ValueError: no 3"


@every_kind
def test_dead_letter_goes_on(kind: str) -> None:
    """Under on_error: dead_letter the item is written down, and all others come out."""
    out: list[Any] = []
    counts = go(kind, out, on_error="dead_letter").nodes["f"]
    assert sorted(out) == WITHOUT_THREE
    assert (counts.received, counts.passed_on, counts.dead_lettered) == (10, 9, 1)
    (letter,) = LETTERS
    assert letter["node"] == "f"
    assert letter["item"] == ([3] if "batch" in kind else 3)
    assert letter["error"] == "ValueError: no 3"
    assert letter["attempts"] == 1


# Retry.


class Flaky:
    """Fails the first `times` calls for each item."""

    def __init__(self, times: int, error: BaseException | type[BaseException] = OSError) -> None:
        self.times = times
        self.error = error
        self.calls: dict[Any, list[float]] = {}

    def note(self, value: Any) -> Any:
        """Make one call."""
        calls = self.calls.setdefault(value, [])
        calls.append(asyncio.get_running_loop().time())
        if len(calls) <= self.times:
            raise self.error
        return value

    def waits(self, value: Any) -> list[float]:
        """Return the seconds between the calls for an item."""
        return [b - a for a, b in itertools.pairwise(self.calls[value])]


def flaky_kinds(flaky: Flaky) -> dict[str, dict[str, Any]]:
    """Return nodes of every kind that call it."""

    async def coroutine(value: Any) -> Any:
        return flaky.note(value)

    def generator(value: Any) -> Iterator[Any]:
        yield flaky.note(value)

    async def async_generator(value: Any) -> AsyncIterator[Any]:
        yield flaky.note(value)

    def batch(values: list[Any]) -> Any:
        return flaky.note(values[0])

    return {
        "sync": node(flaky.note),
        "unordered sync": node(flaky.note, ordered=False),
        "serial": node(coroutine, concurrency=1),
        "pool": node(coroutine, concurrency=4),
        "unordered": node(coroutine, concurrency=4, ordered=False),
        "generator": node(generator),
        "async generator": node(async_generator, concurrency=4),
        "batch": node(batch, batch={"size": 1}),
    }


FLAKY = tuple(flaky_kinds(Flaky(0)))


def retried(kind: str, flaky: Flaky, count: int, **retry: Any) -> tuple[RunReport, list[Any]]:
    """Run items through a flaky node."""
    out: list[Any] = []
    document = flaky_kinds(flaky)[kind]
    document["properties"]["retry"] = retry
    return run(graph("s > f; f > o", s=range(count), f=document, o=out.append)), out


@pytest.mark.parametrize("kind", FLAKY)
def test_retry_calls_again(kind: str) -> None:
    """An item that fails is called again, at most `attempts` times in all."""
    flaky = Flaky(2)
    report, out = retried(kind, flaky, 5, attempts=3, backoff="1s", jitter=False)
    assert sorted(out) == list(range(5))
    assert {len(calls) for calls in flaky.calls.values()} == {3}
    assert report.nodes["f"].retried == 10
    assert report.nodes["f"].errors == 0 or report.nodes["f"].errors == 10
    if "unordered" not in kind:
        assert out == sorted(out)


@pytest.mark.parametrize("kind", FLAKY)
def test_retry_gives_up(kind: str) -> None:
    """After the last attempt the item has failed; the error says which attempt that was."""
    flaky = Flaky(9)
    with pytest.raises(StepError, match=r"\(attempt 3\)") as caught:
        retried(kind, flaky, 1, attempts=3, backoff="1s")
    assert caught.value.attempt == 3
    assert len(flaky.calls[0]) == 3


@pytest.mark.parametrize("kind", FLAKY)
def test_the_backoff_doubles_to_its_bound(kind: str) -> None:
    """Without jitter the waits are backoff, twice that, …, and never more than max_backoff."""
    flaky = Flaky(5)
    retried(kind, flaky, 1, attempts=6, backoff="1s", max_backoff="5s", jitter=False)
    assert flaky.waits(0) == pytest.approx([1, 2, 4, 5, 5])


def test_jitter_stays_within_the_bounds() -> None:
    """With jitter each wait lies between nothing and that bound, and they differ."""
    flaky = Flaky(3)
    retried("pool", flaky, 50, attempts=4, backoff="1s", max_backoff="3s", jitter=True)
    for bound, waits in zip([1, 2, 3], zip(*map(flaky.waits, range(50)), strict=True), strict=True):
        assert all(0 <= wait <= bound + 0.001 for wait in waits)
        assert max(waits) - min(waits) > bound / 3


class Mine(ConnectionError):
    """An error of one's own."""


@pytest.mark.parametrize(
    ("names", "calls"),
    [
        ([], 3),
        (["Mine"], 3),
        ([f"{Mine.__module__}.Mine"], 3),
        (["ConnectionError"], 3),
        (["OSError"], 3),
        (["builtins.OSError"], 3),
        (["Exception"], 3),
        (["KeyError", "Mine"], 3),
        (["KeyError"], 1),
        (["other.Mine"], 1),
    ],
)
def test_retry_on_names(names: list[str], calls: int) -> None:
    """`on` names classes, also base classes, with or without the module."""
    flaky = Flaky(9, Mine)
    retry = {"attempts": 3, "backoff": 0} | ({"on": names} if names else {})
    with pytest.raises(StepError):
        retried("pool", flaky, 1, **retry)
    assert len(flaky.calls[0]) == calls


@pytest.mark.parametrize("kind", ["sync", "serial", "pool", "unordered"])
def test_later_counts_as_no_attempt(kind: str) -> None:
    """`Later` puts an item off as often as it likes, without using up attempts."""
    calls = 0

    def poll(value: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls < 10:
            return Later(1)
        if calls < 12:
            raise OSError
        return value

    async def poll_async(value: Any) -> Any:
        return poll(value)

    own = {"concurrency": 4} if kind in ("pool", "unordered") else {"concurrency": 1}
    step = node(poll if kind == "sync" else poll_async, **({} if kind == "sync" else own))
    step["properties"] |= {"retry": {"attempts": 3, "backoff": 0}, "ordered": kind != "unordered"}
    report = run(graph("s > f", s=range(1), f=step))
    assert calls == 12
    assert report.nodes["f"].retried == 2
    assert report.nodes["f"].errors in (0, 2)


def test_a_retry_holds_up_nobody_else() -> None:
    """While an item waits for its next attempt the others of an unordered node go on."""
    out: list[Any] = []

    async def first_fails(value: int) -> int:
        if value == 0 and asyncio.get_running_loop().time() < 5:
            raise OSError
        return value

    step = node(
        first_fails,
        concurrency=2,
        ordered=False,
        retry={"attempts": 9, "backoff": "6s", "jitter": False},
    )
    run(graph("s > f; f > o", s=range(100), f=step, o=out.append))
    assert out == [*range(1, 100), 0]


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_what_was_yielded_is_not_yielded_twice(kind: str) -> None:
    """A generator that fails after its first value is not tried again: that would double it."""
    out: list[Any] = []
    calls = 0

    def generate(value: int) -> Iterator[int]:
        nonlocal calls
        calls += 1
        yield value
        raise OSError

    async def generate_async(value: int) -> AsyncIterator[int]:
        for each in generate(value):
            yield each

    step = node(
        generate if kind == "generator" else generate_async,
        retry={"attempts": 3, "backoff": 0},
        on_error="skip",
    )
    run(graph("s > f; f > o", s=[1], f=step, o=out.append))
    assert (out, calls) == ([1], 1)


@pytest.mark.parametrize("executor", ["inline", "thread", "process"])
def test_what_was_yielded_before_a_failure_goes_on(executor: str) -> None:
    """A generator that fails after its first value has sent it, wherever the generator runs."""
    out: list[Any] = []
    own = {} if executor == "inline" else {"executor": executor, "concurrency": 1}
    step = node(portable.yields_then_fails, on_error="skip", **own)
    really_ended(Plumber(graph("s > f; f > o", s=range(6), f=step, o=out.append)).run())
    assert out == list(range(6))


# Time-outs.


async def _hangs(value: int) -> int:
    if value == 3:
        await asyncio.sleep(1000)
    return value


async def _hangs_generator(value: int) -> AsyncIterator[int]:
    if value == 3:
        await asyncio.sleep(1000)
    yield value


async def _hangs_batch(values: list[int]) -> int:
    return await _hangs(values[0])


HANGING = {
    "serial": node(_hangs, concurrency=1),
    "pool": node(_hangs, concurrency=4),
    "unordered": node(_hangs, concurrency=4, ordered=False),
    "generator": node(_hangs_generator, concurrency=1),
    "generator pool": node(_hangs_generator, concurrency=4),
    "batch": node(_hangs_batch, batch={"size": 1}),
    "thread": node(portable.sleeps_on_three, executor="thread", concurrency=1),
    "process": node(portable.sleeps_on_three, executor="process", concurrency=1),
}


@pytest.mark.parametrize("kind", [kind for kind in HANGING if kind not in ("thread", "process")])
def test_a_call_that_takes_too_long_is_ended(kind: str) -> None:
    """It has failed with a TimeoutError after the time-out, and at most a quarter more."""
    out: list[int] = []
    document = HANGING[kind] | {
        "properties": HANGING[kind]["properties"] | {"timeout": "2s", "on_error": "skip"}
    }

    async def main() -> float:
        began = asyncio.get_running_loop().time()
        report = await Plumber(graph("s > f; f > o", s=range(10), f=document, o=out.append)).run()
        assert report.nodes["f"].last_error == "TimeoutError: the call took longer than 2 s"
        return asyncio.get_running_loop().time() - began

    assert 2 <= ended(main()) <= 2.5
    assert sorted(out) == [n for n in range(10) if n != 3]


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_call_elsewhere_that_takes_too_long_is_left_or_killed(kind: str) -> None:
    """The node goes on with another thread, or another process."""
    import threading

    gate = threading.Event()

    def hang(value: int) -> int:
        if value == 3:
            gate.wait()
        return value

    out: list[int] = []
    step = node(hang, executor="thread", concurrency=1) if kind == "thread" else HANGING[kind]
    step = step | {"properties": step["properties"] | {"timeout": "500ms", "on_error": "skip"}}
    try:
        document = graph("s > f; f > o", s=range(10), f=step, o=out.append)
        report = really_ended(Plumber(document).run())
    finally:
        gate.set()
    assert out == [n for n in range(10) if n != 3]
    assert "TimeoutError" in report.nodes["f"].last_error


def test_the_start_of_a_worker_is_no_part_of_its_call() -> None:
    """A time-out shorter than a process takes to start ends no call."""
    out: list[int] = []
    step = node(portable.naps, executor="process", concurrency=3, timeout="80ms")
    really_ended(Plumber(graph("s > f; f > o", s=range(60), f=step, o=out.append)).run())
    assert out == list(range(60))


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("backoff", [0, "500ms", "3s"])
def test_a_timeout_may_be_tried_again(concurrency: int, backoff: int | str) -> None:
    """A TimeoutError is an error like any other for `retry`, and each attempt has its own time."""
    calls = 0

    async def slow_twice(value: int) -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(1000 if calls < 3 else 0)
        return value

    retry = {"attempts": 3, "backoff": backoff, "jitter": False, "on": ["TimeoutError"]}
    step = node(slow_twice, timeout="1s", retry=retry, concurrency=concurrency)
    report = run(graph("s > f; f > o", s=range(1), f=step, o=same))
    assert calls == 3
    assert report.nodes["f"].passed_on == 1


def test_waiting_for_the_next_attempt_takes_no_time() -> None:
    """The pause between two attempts may be longer than a call may take."""
    flaky = Flaky(1)
    step = flaky_kinds(flaky)["serial"]
    step["properties"] |= {"timeout": "1s", "retry": {"backoff": "9s", "jitter": False}}
    report = run(graph("s > f; f > o", s=range(3), f=step, o=same), within=100)
    assert report.nodes["f"].passed_on == 3


def test_a_step_that_answers_its_timeout() -> None:
    """A step that catches the cancellation of a time-out and returns has returned."""
    out: list[Any] = []

    async def partial(value: int) -> str:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            return f"part of {value}"
        return f"all of {value}"

    for concurrency in (1, 4):
        step = node(partial, timeout="1s", concurrency=concurrency)
        run(graph("s > f; f > o", s=range(2), f=step, o=out.append))
    assert out == ["part of 0", "part of 1"] * 2


def test_a_timeout_of_the_steps_own() -> None:
    """`asyncio.timeout` inside a step is the step's own affair."""
    out: list[Any] = []

    async def own(value: int) -> str:
        try:
            async with asyncio.timeout(1):
                await asyncio.sleep(1000)
        except TimeoutError:
            return "late"
        return "in time"

    for concurrency in (1, 4):
        run(
            graph(
                "s > f; f > o",
                s=range(2),
                f=node(own, timeout="9s", concurrency=concurrency),
                o=out.append,
            )
        )
    assert out == ["late"] * 4


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("generator", [False, True])
def test_a_cancel_at_the_moment_of_a_timeout(concurrency: int, generator: bool) -> None:
    """A cancel is not lost when it meets a time-out in the same turn of the loop."""
    step: Any = _hang_generator if generator else _hang

    async def main(when: float) -> None:
        document = graph(
            "s > f",
            s=itertools.count,
            f=node(step, timeout="1s", on_error="skip", concurrency=concurrency),
        )
        plumber = Plumber(document)
        asyncio.get_running_loop().call_at(when, plumber.cancel)
        with pytest.raises(asyncio.CancelledError):
            await plumber.run()

    for eighth in range(1, 26):
        ended(main(eighth / 8), within=50)


async def _hang(value: int) -> None:
    await asyncio.sleep(1000)


async def _hang_generator(value: int) -> AsyncIterator[int]:
    await asyncio.sleep(1000)
    yield value


def test_the_time_of_those_behind_is_no_part_of_a_call() -> None:
    """A generator that waits for room is not timed out for it."""
    out: list[int] = []

    async def many(value: int) -> AsyncIterator[int]:
        for number in range(10):
            yield number

    async def slow(value: int) -> None:
        await asyncio.sleep(1)
        out.append(value)

    document = graph(
        "s > f; f > o", s=range(1), f=node(many, timeout="2s"), o=node(slow, buffer_size=1)
    )
    run(document)
    assert out == list(range(10))


# How much is too much.


@pytest.mark.parametrize(
    ("limit", "failures", "ok"),
    [(0, 1, False), (1, 1, True), (3, 3, True), (3, 4, False), (0, 0, True)],
)
def test_max_failures_as_a_count(limit: int, failures: int, ok: bool) -> None:
    """One more tolerated failure than allowed, in all nodes together, ends the run."""

    def fail(value: int) -> int:
        if value < failures:
            raise ValueError(value)
        return value

    document = graph(
        "s > a b", s=range(20), a=node(fail, on_error="skip"), b=node(same, on_error="skip")
    ) | {"runtime": {"max_failures": limit}}
    if ok:
        assert run(document).ok
    else:
        with pytest.raises(PipelinesError, match=rf"max_failures \({limit}\)"):
            run(document)


@pytest.mark.parametrize(
    ("share", "every", "count", "ok"),
    [("5%", 10, 1000, False), ("10%", 10, 1000, True), ("5%", 10, 10, False), ("50%", 3, 30, True)],
)
def test_max_failures_as_a_share(share: str, every: int, count: int, ok: bool) -> None:
    """More than a share of a node's items ends the run: early if there are many, or at its end."""

    def fail(value: int) -> int:
        if value % every == every - 1:
            raise ValueError(value)
        return value

    document = graph("s > a", s=range(count), a=node(fail, on_error="skip"))
    document["runtime"] = {"max_failures": share}
    if ok:
        assert run(document).ok
    else:
        plumber = Plumber(document)
        with pytest.raises(PipelinesError, match="max_failures"):
            ended(plumber.run())
        assert plumber.report is not None
        assert plumber.report.nodes["a"].received <= 400


# Dead letters.


def dead(document: dict[str, Any], target: Any, **args: Any) -> dict[str, Any]:
    """Return a graph with a step for dead letters."""
    return document | {"dead_letter": {"func": target} | ({"args": args} if args else {})}


def buried(step: Any, args: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a graph whose one node writes dead letters."""
    f = node(step, args, on_error="dead_letter", **more)
    return graph("s > f", s=range(5), f=f)


def test_a_dead_letter_says_everything() -> None:
    """Node, item, arguments, error, traceback, attempts, time and the graph's hash are there."""

    def fail(value: int, mode: str) -> None:
        raise KeyError(mode)

    document = buried(fail, {"mode": "x"}, retry={"attempts": 2, "backoff": 0})
    began = time.time()
    plumber = Plumber(dead(document, LETTERS.append))
    ended(plumber.run())
    assert [letter["item"] for letter in LETTERS] == list(range(5))
    letter = LETTERS[0]
    assert letter["node"] == "f"
    assert letter["args"] == {"mode": "x"}
    assert letter["error"] == "KeyError: 'x'"
    assert "in fail" in letter["traceback"]
    assert "raise KeyError(mode)" in letter["traceback"]
    assert letter["attempts"] == 2
    assert began - 1 <= letter["time"] <= time.time() + 1
    assert letter["graph"] == plumber.spec.fingerprint()


@pytest.mark.parametrize(
    "args",
    [{"table": {1: "a", "b": 2}}, {"table": {(1, 2): 3}}, {"table": {None: 1}}, {"what": object()}],
)
def test_any_arguments_may_stand_in_a_dead_letter(args: dict[str, Any]) -> None:
    """Arguments that JSON can't hold are no reason to lose a letter."""

    def fail(value: int, **args: Any) -> None:
        raise ValueError(value)

    run(dead(buried(fail, args), LETTERS.append))
    assert len(LETTERS) == 5
    assert set(LETTERS[0]["args"]) == set(args)


def test_any_source_may_stand_before_a_dead_letter() -> None:
    """Neither may the items of a source that is a plain list."""

    def fail(value: Any) -> None:
        raise ValueError("no")

    document = graph("s > f", s=[{1: 2, "a": 3}, {(1, 2): 3}], f=node(fail, on_error="dead_letter"))
    run(dead(document, LETTERS.append))
    assert len(LETTERS) == 2


def test_the_dead_letter_step_may_be_anything() -> None:
    """A function, a coroutine function, or a class that is entered and exited."""
    seen: list[Any] = []

    async def write(letter: dict[str, Any], prefix: str) -> None:
        await asyncio.sleep(0)
        seen.append((prefix, letter["item"]))

    class Writer:
        def __init__(self, prefix: str) -> None:
            self.prefix = prefix

        async def __aenter__(self) -> None:
            seen.append("enter")

        async def __aexit__(self, *_: object) -> None:
            seen.append("exit")

        async def __call__(self, letter: dict[str, Any]) -> None:
            await write(letter, self.prefix)

    run(dead(buried(portable.fails_on_three), write, prefix="f"))
    run(dead(buried(portable.fails_on_three), Writer, prefix="c"))
    assert seen == [("f", 3), "enter", ("c", 3), "exit"]


def test_dead_letters_are_written_one_after_another() -> None:
    """However many calls are in flight, the dead-letter step is called for one letter at a time."""
    writing = 0

    async def fail(value: int) -> None:
        raise ValueError(value)

    async def write(letter: dict[str, Any]) -> None:
        nonlocal writing
        writing += 1
        assert writing == 1
        await asyncio.sleep(0.01)
        writing -= 1
        LETTERS.append(letter)

    run(dead(buried(fail, concurrency=5), write))
    assert len(LETTERS) == 5


@pytest.mark.parametrize("kind", ["sync", "pool", "generator", "batch"])
def test_a_dead_letter_that_cant_be_written_ends_the_run(kind: str) -> None:
    """A full disk is an error: the letter's item would be lost. Both errors are told."""

    def full(letter: dict[str, Any]) -> None:
        raise OSError(28, "No space left on device")

    document = dead(graph("s > f", s=range(10), f=failing(kind, on_error="dead_letter")), full)
    plumber = Plumber(document)
    with pytest.raises(
        StepError, match=r"node 'f' .*dead letter of .*3.* could not be written"
    ) as caught:
        ended(plumber.run())
    assert isinstance(caught.value.cause, OSError)
    assert "no 3" in "".join(traceback.format_exception(caught.value))
    assert plumber.report is not None
    assert plumber.report.nodes["f"].failed == 1


@pytest.mark.parametrize("when", ["start", "close"])
def test_a_dead_letter_step_that_cant_start_or_close(when: str) -> None:
    """That is the run's error, and the graph's nodes are exited all the same."""

    class Broken:
        def __enter__(self) -> None:
            if when == "start":
                raise OSError("broken")

        def __exit__(self, *_: object) -> None:
            if when == "close":
                raise OSError("broken")

        def __call__(self, letter: Any) -> None:
            pass

    doing = "while starting" if when == "start" else "while closing"
    with pytest.raises(StepError, match=f"node 'dead_letter' failed {doing}: OSError: broken"):
        run(dead(buried(portable.fails_on_three), Broken))


# Odd errors.


class Mute(Exception):
    """An error that can't be shown."""

    def __str__(self) -> str:
        raise RuntimeError("str")

    __repr__ = __str__


class Odd:
    """An item that can't be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("repr")


@pytest.mark.parametrize("on_error", ["fail", "skip", "dead_letter"])
@pytest.mark.parametrize("kind", ["sync", "async", "generator", "thread"])
def test_an_error_that_cant_be_shown(kind: str, on_error: str) -> None:
    """An error whose str raises is an error like any other."""

    def fail(value: Any) -> None:
        raise Mute

    async def fail_async(value: Any) -> None:
        raise Mute

    def generate(value: Any) -> Iterator[Any]:
        yield from ()
        raise Mute

    step = {"sync": fail, "async": fail_async, "generator": generate, "thread": fail}[kind]
    executor = {"executor": "thread"} if kind == "thread" else {}
    document = graph("s > f", s=[Odd()], f=node(step, on_error=on_error, **executor))
    if on_error == "dead_letter":
        document = dead(document, LETTERS.append)
    end = really_ended if kind == "thread" else ended
    if on_error == "fail":
        with pytest.raises(StepError, match=r"node 'f' failed on item .*Odd.*Mute"):
            end(Plumber(document).run())
    else:
        assert "Mute" in end(Plumber(document).run()).nodes["f"].last_error


def test_a_long_item_is_cut() -> None:
    """A message quotes 200 characters of an item; the item itself is there whole."""

    def fail(value: str) -> None:
        raise ValueError

    with pytest.raises(StepError) as caught:
        run(graph("s > f", s=["x" * 10_000], f=fail))
    assert len(str(caught.value)) < 300
    assert caught.value.item == "x" * 10_000


STOPPING = {
    "sync": node(portable.raises_stop),
    "rate": node(portable.raises_stop, rate_limit="100000/s"),
    "thread": node(portable.raises_stop, executor="thread"),
    "process": node(portable.raises_stop, executor="process", concurrency=1),
    "batch": node(lambda values: portable.raises_stop(values[0]), batch={"size": 1}),
}


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("kind", STOPPING)
def test_a_step_that_raises_stop_iteration(kind: str, on_error: str) -> None:
    """A bare `next` in a step ends neither the stream nor the loop: it is that item's failure."""
    out: list[Any] = []
    step = STOPPING[kind] | {"properties": STOPPING[kind]["properties"] | {"on_error": on_error}}
    document = graph("s > f; f > o", s=range(10), f=step, o=out.append)
    end = ended if kind in ("sync", "batch") else really_ended
    if on_error == "fail":
        with pytest.raises(StepError, match=r"node 'f' failed on item \[?3\]?: (Stop|Runtime)"):
            end(Plumber(document).run())
    else:
        report = end(Plumber(document).run())
        assert out == [n for n in range(10) if n != 3]
        assert report.nodes["f"].skipped == 1


@pytest.mark.parametrize("executor", ["inline", "thread", "process"])
def test_a_constructor_that_raises_stop_iteration(executor: str) -> None:
    """Wherever a class is constructed, what it raises is the run's error."""
    with pytest.raises(StepError, match=r"node 'f' failed while starting: .*no more"):
        really_ended(
            Plumber(graph("s > f", s=range(3), f=node(portable.NotReady, executor=executor))).run()
        )


async def _cancels_async(value: Any) -> Any:
    if value == 3:
        raise asyncio.CancelledError("mine")
    return value


def _cancels(value: Any) -> Any:
    if value == 3:
        raise asyncio.CancelledError("mine")
    return value


def _cancels_generator(value: Any) -> Iterator[Any]:
    yield _cancels(value)


async def _cancels_async_generator(value: Any) -> AsyncIterator[Any]:
    yield _cancels(value)


CANCELLING = {
    "sync": node(_cancels),
    "serial": node(_cancels_async, concurrency=1),
    "pool": node(_cancels_async, concurrency=4),
    "unordered": node(_cancels_async, concurrency=4, ordered=False),
    "generator": node(_cancels_generator),
    "async generator": node(_cancels_async_generator),
    "thread": node(_cancels, executor="thread"),
    "process": node(portable.raises_cancelled, executor="process", concurrency=1),
    "batch": node(lambda values: _cancels(values[0]), batch={"size": 1}),
}


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("kind", CANCELLING)
def test_a_step_that_raises_cancelled_error(kind: str, on_error: str) -> None:
    """A CancelledError that a step raises by itself is a failure like any other."""
    step = CANCELLING[kind] | {
        "properties": CANCELLING[kind]["properties"] | {"on_error": on_error}
    }
    document = graph("s > f; f > o", s=[2, 3, 4] * 3, f=step, o=same)
    end = really_ended if kind in ("thread", "process") else ended
    if on_error == "fail":
        with pytest.raises(StepError, match=r"node 'f' failed on item .*CancelledError") as caught:
            end(Plumber(document).run())
        assert isinstance(caught.value.cause, asyncio.CancelledError)
    else:
        report = end(Plumber(document).run())
        assert report.nodes["f"].skipped == (9 if kind == "process" else 3)


async def _agen_cancels() -> AsyncIterator[int]:
    yield 1
    raise asyncio.CancelledError("mine")


def _gen_cancels() -> Iterator[int]:
    yield 1
    raise asyncio.CancelledError("mine")


async def _seed_cancels(self: Any, output_q: Any) -> None:
    await output_q.put(1)
    raise asyncio.CancelledError("mine")


@pytest.mark.parametrize("kind", ["generator", "async generator", "seed", "thread"])
def test_a_source_that_raises_cancelled_error(kind: str) -> None:
    """So is that of a source."""
    source = {
        "generator": node(_gen_cancels),
        "async generator": node(_agen_cancels),
        "seed": {"coro": _seed_cancels},
        "thread": node(_gen_cancels, executor="thread"),
    }[kind]
    with pytest.raises(StepError, match="node 's' failed while making its items: CancelledError"):
        really_ended(Plumber(graph("s > o", s=source, o=same)).run())


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_step_that_cancels_its_own_task(concurrency: int) -> None:
    """What a careless library does must not leave the run waiting for a worker that is gone."""

    async def careless(value: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with pytest.raises((StepError, asyncio.CancelledError)):
        run(graph("s > f; f > o", s=range(9), f=node(careless, concurrency=concurrency), o=same))


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize(
    "kind", ["sync", "serial", "pool", "generator", "async generator", "thread"]
)
def test_a_step_that_ends_the_program(kind: str, error: type[BaseException]) -> None:
    """SystemExit and its like are not tolerated: they come out as they are, after the exits."""
    exits: list[Any] = []

    def quit_(value: int) -> int:
        if value == 3:
            raise error(7)
        return value

    async def quit_async(value: int) -> int:
        return quit_(value)

    def generate(value: int) -> Iterator[int]:
        yield quit_(value)

    async def generate_async(value: int) -> AsyncIterator[int]:
        yield quit_(value)

    step = {
        "sync": node(quit_),
        "serial": node(quit_async, concurrency=1),
        "pool": node(quit_async, concurrency=4),
        "generator": node(generate),
        "async generator": node(generate_async),
        "thread": node(quit_, executor="thread"),
    }[kind]
    step["properties"] |= {"on_error": "skip", "retry": {"attempts": 3, "backoff": 0}}
    document = graph(
        "s > k; k > f; f > o", s=itertools.count, k=note_exits(exits, "k"), f=step, o=same
    )
    plumber = Plumber(document)
    with pytest.raises(error):
        plumber.run_sync()
    assert [name for name, _ in exits] == ["k"]
    assert plumber.report is not None
    assert not plumber.report.ok
    assert all(each.balanced for each in plumber.report.nodes.values())


# Misuse.


def _returns_generator(value: Any) -> Any:
    return (each for each in [value])


def _returns_coroutine(value: Any) -> Any:
    return later(value)


async def _returns_coroutine_async(value: Any) -> Any:
    return later(value)


def _returns_async_generator(value: Any) -> Any:
    return _hang_generator(value)


@pytest.mark.parametrize(
    ("step", "advice"),
    [
        (_returns_generator, "yield from"),
        (_returns_async_generator, "async for"),
        (_returns_coroutine, "async def"),
        (_returns_coroutine_async, "async def"),
        (lambda value: _hang(value), "async def"),  # noqa: PLW0108 (a lambda is what people write)
    ],
)
@pytest.mark.parametrize(
    "where", [{}, {"on_error": "skip"}, {"executor": "thread"}, {"batch": {"size": 1}}]
)
def test_a_step_that_is_not_what_it_was_declared_to_be(
    step: Any, advice: str, where: dict[str, Any]
) -> None:
    """A function that returns a generator or a coroutine is told what to write."""
    if step is _returns_coroutine_async:
        where = {key: value for key, value in where.items() if key != "executor"}
    with pytest.raises(StepError, match=advice) as caught:
        really_ended(
            Plumber(graph("s > f; f > o", s=range(3), f=node(step, **where), o=same)).run()
        )
    assert isinstance(caught.value.cause, TypeError)


@pytest.mark.parametrize(
    "kind", ["sync", "pool", "generator", "async generator", "thread", "source"]
)
def test_a_route_to_nowhere(kind: str) -> None:
    """A `Route` to a node that no edge leads to is an error that lists those there are."""

    def route(value: int) -> Any:
        return Route("missing", value)

    async def route_async(value: int) -> Any:
        return Route("missing", value)

    def generate(value: int) -> Iterator[Any]:
        yield Route("missing", value)

    async def generate_async(value: int) -> AsyncIterator[Any]:
        yield Route("missing", value)

    step = {
        "sync": node(route),
        "pool": node(route_async),
        "generator": node(generate),
        "async generator": node(generate_async),
        "thread": node(route, executor="thread"),
        "source": node(same),
    }[kind]
    source: Any = [Route("missing", 1)] if kind == "source" else range(3)
    with pytest.raises(StepError, match=r"'missing'.*edges lead to"):
        really_ended(Plumber(graph("s > f; f > o", s=source, f=step, o=same)).run())


@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_later_from_a_source(executor: str) -> None:
    """A source can't put off an item that it made."""
    with pytest.raises(StepError, match="Later is of no use here"):
        really_ended(Plumber(graph("s > o", s=node([Later(1)], executor=executor), o=same)).run())


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_later_from_a_generator(kind: str) -> None:
    """Neither can a step that yields."""

    def generate(value: int) -> Iterator[Any]:
        yield Later(1)

    async def generate_async(value: int) -> AsyncIterator[Any]:
        yield Later(1)

    step = generate if kind == "generator" else generate_async
    with pytest.raises(StepError, match="Later is of no use here"):
        run(graph("s > f; f > o", s=range(3), f=step, o=same))


def test_control_objects_from_a_source_are_obeyed() -> None:
    """A source may skip and route what it makes."""
    a: list[int] = []
    b: list[int] = []
    source = [1, SKIP, Route("a", 2), Route({}), Route({"a": 3, "b": 4}), 5]
    report = run(graph("s > a b", s=node(source), a=a.append, b=b.append))
    assert (a, b) == ([1, 2, 3, 5], [1, 4, 5])
    assert report.nodes["s"].skipped == 2


def test_a_source_that_gives_nothing_to_iterate_over() -> None:
    """A source that returns a number is told what it must give."""
    with pytest.raises(StepError, match="must give an iterable, not int"):
        run(graph("s > o", s=lambda: 3, o=same))


# Sources that fail.


def _source_fails() -> Iterator[int]:
    yield from range(5)
    raise OSError("source")


async def _source_fails_async() -> AsyncIterator[int]:
    for number in range(5):
        yield number
    raise OSError("source")


async def _source_fails_seed(self: Any, output_q: Any) -> None:
    for number in range(5):
        await output_q.put(number)
    raise OSError("source")


SOURCES = {
    "generator": node(_source_fails),
    "async generator": node(_source_fails_async),
    "seed": {"coro": _source_fails_seed},
    "thread": node(_source_fails, executor="thread"),
    "paced": node(_source_fails, rate_limit="100000/s"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_that_fails_ends_the_run(kind: str) -> None:
    """What it made before is passed on, then the run fails and names the source."""
    with pytest.raises(StepError, match="node 's' failed while making its items: OSError: source"):
        really_ended(Plumber(graph("s > a; a > o", s=SOURCES[kind], a=same, o=same)).run())


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_that_fails_may_just_end(kind: str) -> None:
    """Under on_error: skip a source that fails has ended, with all that it made before."""
    out: list[int] = []
    source = SOURCES[kind] | {
        "properties": SOURCES[kind].get("properties", {}) | {"on_error": "skip"}
    }
    report = really_ended(Plumber(graph("s > a; a > o", s=source, a=same, o=out.append)).run())
    assert out == list(range(5))
    assert report.ok
    assert report.nodes["s"].errors == 1


@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_a_source_that_cant_start_is_tried_again(executor: str) -> None:
    """A source from which nothing has come yet may be started again."""
    starts = 0
    out: list[int] = []

    def source() -> Iterator[int]:
        nonlocal starts
        starts += 1
        if starts < 3:
            raise OSError
        yield from range(5)

    step = node(source, retry={"attempts": 3, "backoff": 0}, executor=executor)
    really_ended(Plumber(graph("s > o", s=step, o=out.append)).run())
    assert (starts, out) == (3, list(range(5)))


# Enter and exit.


def note_exits(seen: list[Any], name: str, fails: str = "") -> type:
    """Return a step class that notes its exit, and fails where it is told to."""

    class Noting:
        def __init__(self) -> None:
            if fails == "construct":
                raise OSError(f"{name} construct")

        def __enter__(self) -> None:
            if fails == "enter":
                raise OSError(f"{name} enter")

        def __exit__(self, *raised: object) -> None:
            seen.append((name, raised[1]))
            if fails == "exit":
                raise OSError(f"{name} exit")
            if fails == "cancelled":
                raise asyncio.CancelledError
            if fails == "system exit":
                raise SystemExit(7)

        def __call__(self, value: Any) -> Any:
            return value

    return Noting


def note_async_exits(seen: list[Any], name: str, fails: str = "") -> type:
    """Return the same with async enter and exit."""

    class Noting:
        async def __aenter__(self) -> None:
            await asyncio.sleep(0)
            if fails == "enter":
                raise OSError(f"{name} enter")

        async def __aexit__(self, *raised: object) -> None:
            await asyncio.sleep(0)
            seen.append((name, raised[1]))
            if fails == "exit":
                raise OSError(f"{name} exit")

        async def __call__(self, value: Any) -> Any:
            return value

    return Noting


MAKERS = [note_exits, note_async_exits]


@pytest.mark.parametrize("make", MAKERS)
def test_exits_run_once_in_order_in_a_good_run(make: Any) -> None:
    """A node exits when it has ended: those before first, without an error."""
    seen: list[Any] = []
    run(graph("s > a; a > b; b > c", s=range(3), **{name: make(seen, name) for name in "abc"}))
    assert seen == [("a", None), ("b", None), ("c", None)]


@pytest.mark.parametrize("make", MAKERS)
def test_exits_run_in_reverse_after_a_failure(make: Any) -> None:
    """After a failure the last node of the graph exits first; each exit gets the run's error."""
    seen: list[Any] = []
    nodes = {name: make(seen, name) for name in "abc"}
    document = graph(
        "s > a; a > b; b > f; f > c", s=itertools.count, f=portable.fails_on_three, **nodes
    )
    with pytest.raises(StepError) as caught:
        run(document)
    assert [name for name, _ in seen] == ["c", "b", "a"]
    assert all(error is caught.value for _, error in seen)


@pytest.mark.parametrize("make", MAKERS)
def test_exits_run_after_a_cancel(make: Any) -> None:
    """All nodes exit after a cancel too, in reverse, and get a CancelledError."""
    seen: list[Any] = []

    async def main() -> None:
        nodes = {name: make(seen, name) for name in "abc"}
        plumber = Plumber(graph("s > a; a > b; b > l; l > c", s=itertools.count, l=later, **nodes))
        plumber.create_pipeline()
        await until(lambda: plumber["c"].received)
        plumber.cancel()
        with pytest.raises(asyncio.CancelledError):
            await plumber.join()

    really_ended(main())
    assert [name for name, _ in seen] == ["c", "b", "a"]
    assert all(isinstance(error, asyncio.CancelledError) for _, error in seen)


@pytest.mark.parametrize("make", MAKERS)
def test_an_exit_that_raises_fails_a_good_run(make: Any) -> None:
    """An exit that raises when all went well is the run's error; the others exit all the same."""
    seen: list[Any] = []
    nodes = {name: make(seen, name, "exit" if name == "b" else "") for name in "abc"}
    with pytest.raises(StepError, match="node 'b' failed while closing: OSError: b exit"):
        run(graph("s > a; a > b; b > c", s=range(3), **nodes))
    assert sorted(name for name, _ in seen) == ["a", "b", "c"]


@pytest.mark.parametrize("make", MAKERS)
def test_an_exit_that_raises_hides_nothing(make: Any) -> None:
    """After a failure the first error stays the run's; that of an exit is noted on it."""
    seen: list[Any] = []
    nodes = {name: make(seen, name, "exit" if name == "b" else "") for name in "abc"}
    document = graph("s > a; a > b; b > f; f > c", s=range(9), f=portable.fails_on_three, **nodes)
    with pytest.raises(StepError, match="node 'f' failed on item 3") as caught:
        run(document)
    assert [name for name, _ in seen] == ["c", "b", "a"]
    assert any("b exit" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("fails", ["cancelled", "system exit"])
def test_an_exit_that_raises_what_it_should_not(fails: str) -> None:
    """Not even a CancelledError or SystemExit from one exit keeps the others from running."""
    seen: list[Any] = []
    nodes = {name: note_exits(seen, name, fails if name == "b" else "") for name in "abc"}
    document = graph("s > a; a > b; b > f; f > c", s=range(9), f=portable.fails_on_three, **nodes)
    with pytest.raises((StepError, SystemExit)):
        ended(Plumber(document).run())
    assert [name for name, _ in seen] == ["c", "b", "a"]


def test_an_exit_that_raises_cancelled_error_fails_a_good_run() -> None:
    """A CancelledError that an exit raises by itself is no cancel of the run."""
    seen: list[Any] = []
    with pytest.raises(StepError, match="node 'a' failed while closing: CancelledError"):
        run(graph("s > a", s=range(3), a=note_exits(seen, "a", "cancelled")))


@pytest.mark.parametrize("fails", ["construct", "enter"])
def test_a_step_that_cant_start(fails: str) -> None:
    """The run fails before any item is made; what was entered is exited, with the error."""
    seen: list[Any] = []
    made: list[int] = []

    def source() -> Iterator[int]:
        made.append(1)
        yield 1

    nodes = {name: note_exits(seen, name, fails if name == "b" else "") for name in "abc"}
    plumber = Plumber(graph("s > a; a > b; b > l; l > c", s=source, l=later, **nodes))
    with pytest.raises(
        StepError, match=f"node 'b' failed while starting: OSError: b {fails}"
    ) as caught:
        ended(plumber.run())
    assert made == []
    assert "b" not in [name for name, _ in seen]
    assert "a" in [name for name, _ in seen]
    assert all(error is caught.value for _, error in seen)


def test_an_exit_that_swallows_the_error_changes_nothing() -> None:
    """An exit that returns true does not make a failed run a good one."""

    class Swallows:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> bool:
            return True

        def __call__(self, value: Any) -> Any:
            return portable.fails_on_three(value)

    with pytest.raises(StepError):
        run(graph("s > f", s=range(9), f=Swallows))


def test_a_class_without_enter_is_constructed_and_called() -> None:
    """Enter and exit are optional, and so is either kind."""

    class Adder:
        def __init__(self, amount: int) -> None:
            self.amount = amount

        def __call__(self, value: int) -> int:
            return value + self.amount

    out: list[int] = []
    run(graph("s > a; a > o", s=range(3), a=node(Adder, {"amount": 5}), o=out.append))
    assert out == [5, 6, 7]


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_a_class_elsewhere_is_entered_and_exited_there(executor: str, tmp_path: Path) -> None:
    """In threads once, in processes once each; after a failure the exits get the error."""
    diary = tmp_path / "diary"
    step = node(portable.Diary, {"path": str(diary)}, executor=executor, concurrency=1)
    really_ended(Plumber(graph("s > f", s=range(3), f=step)).run())
    assert diary.read_text().split("\n")[:-1] == ["enter", "exit None"]
    diary.unlink()
    with pytest.raises(StepError):
        really_ended(Plumber(graph("s > f", s=range(9), f=step)).run())
    assert diary.read_text().split("\n")[:-1] == ["enter", "exit StepError"]


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_an_exit_elsewhere_that_raises(executor: str) -> None:
    """It is the run's error, as that of a step in the loop."""
    step = node(portable.BadExit, executor=executor, concurrency=2)
    with pytest.raises(StepError, match=r"node 'f' failed while closing: .*exit failed"):
        really_ended(Plumber(graph("s > f", s=range(30), f=step)).run())


# Worker processes.


def test_a_worker_that_is_killed() -> None:
    """One clear error names the node, the signal and what was in hand."""
    step = node(portable.dies_on_three, executor="process", concurrency=2)
    with pytest.raises(
        StepError, match=r"worker process of node 'f' was killed by SIGKILL with \d+ item"
    ) as caught:
        really_ended(Plumber(graph("s > f", s=range(10), f=step)).run())
    assert isinstance(caught.value.cause, ExecutorError)


def test_a_worker_that_quits() -> None:
    """So it does for one that ends by itself."""
    step = node(portable.quits_on_three, executor="process", concurrency=2)
    with pytest.raises(StepError, match=r"worker process of node 'f' ended with exit code 7"):
        really_ended(Plumber(graph("s > f", s=range(10), f=step)).run())


def test_workers_that_quit_while_others_start() -> None:
    """Each error tells how its own worker ended."""
    letters: list[Any] = []
    step = node(portable.quits_on_three, executor="process", concurrency=4, on_error="dead_letter")
    document = graph("s > f", s=[3] * 60, f=step) | {"dead_letter": {"func": letters.append}}
    really_ended(Plumber(document).run(), within=60)
    assert len(letters) == 60
    assert not [each["error"] for each in letters if "exit code 7" not in each["error"]]


def test_a_worker_that_is_killed_once(tmp_path: Path) -> None:
    """Under retry another worker makes the calls again, and nothing is lost."""
    out: list[int] = []
    step = node(
        portable.dies_once_on_three,
        {"mark": str(tmp_path / "died")},
        executor="process",
        concurrency=2,
        retry={"attempts": 2, "backoff": 0, "on": ["ExecutorError"]},
    )
    report = really_ended(Plumber(graph("s > f; f > o", s=range(50), f=step, o=out.append)).run())
    assert out == list(range(50))
    assert report.nodes["f"].retried >= 1


@pytest.mark.parametrize("what", ["item", "result", "item that can't be unpickled", "bomb", "mine"])
def test_what_cant_travel(what: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Only the item concerned fails; the others of its chunk, and the worker, go on."""
    out: list[Any] = []
    items: list[Any] = list(range(10))
    if what == "item":
        items[3] = lambda: 1
    elif what == "item that can't be unpickled":
        items[3] = portable.Trap()
    targets = {
        "result": portable.unpicklable,
        "bomb": portable.bomb_on_three,
        "mine": portable.mine_on_three,
    }
    target = targets.get(what, portable.same)
    step = node(target, executor="process", concurrency=1, on_error="skip")
    report = really_ended(Plumber(graph("s > f; f > o", s=node(items), f=step, o=out.append)).run())
    assert out == [n for n in range(10) if n != 3]
    assert report.nodes["f"].skipped == 1
    assert "Error" in report.nodes["f"].last_error
    assert capfd.readouterr().err == ""


def test_a_step_that_cant_travel() -> None:
    """A step made at run time is refused with advice, before anything runs."""
    with pytest.raises((GraphError, StepError), match="top of a module"):
        really_ended(
            Plumber(graph("s > f", s=range(3), f=node(lambda n: n, executor="process"))).run()
        )


def test_an_error_that_cant_travel() -> None:
    """An exception that can't be unpickled arrives as one that says what it was."""
    step = node(portable.awkward, executor="process", concurrency=1)
    with pytest.raises(StepError, match="Awkward: very awkward"):
        really_ended(Plumber(graph("s > f", s=range(3), f=step)).run())


def test_a_cancel_while_a_worker_starts() -> None:
    """A worker whose step is never ready does not keep a cancelled run alive."""

    async def main() -> None:
        step = node(portable.NeverReady, executor="process", concurrency=2)
        plumber = Plumber(graph("s > f", s=range(3), f=step))
        plumber.create_pipeline()
        await asyncio.sleep(0.3)
        plumber.cancel()
        with pytest.raises(asyncio.CancelledError):
            await plumber.join()

    really_ended(main())


def test_a_cancel_before_a_worker_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose start still waits in its lane when the run is cancelled never starts."""
    diary, gate = tmp_path / "diary", threading.Event()
    held: list[asyncio.Future[Any]] = []

    class SecondHeld(Lane):
        def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
            super().__init__(name, loop)
            if name.endswith(":1"):
                held.append(self.submit(gate.wait))

    monkeypatch.setattr("pipelines.executor.Lane", SecondHeld)

    async def main() -> None:
        step = node(portable.Diary, {"path": str(diary)}, executor="process", concurrency=2)
        plumber = Plumber(graph("s > f", s=range(20), f=step))
        plumber.create_pipeline()
        await until(lambda: diary.exists() and diary.read_text())
        await turns(5)  # until the other start is in its lane
        plumber.cancel()
        await until(lambda: plumber["f"].state == "stopped")
        await turns(50)  # until the exit has seen to the workers
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await plumber.join()
        await asyncio.gather(*held)

    really_ended(main())
    assert diary.read_text().count("enter") == 1  # of the other one


def test_a_cancel_while_a_worker_works() -> None:
    """A worker in the middle of a call is killed."""

    async def main() -> None:
        step = node(portable.sleeps_on_three, executor="process", concurrency=2)
        plumber = Plumber(graph("s > f; f > o", s=[1, 3, 3, 3], f=step, o=same))
        plumber.create_pipeline()
        await until(lambda: plumber["o"].counts().received)
        plumber.cancel()
        with pytest.raises(asyncio.CancelledError):
            await plumber.join()

    really_ended(main())


def test_all_workers_are_there_before_the_first_item(tmp_path: Path) -> None:
    """So no item ever waits for a worker that is long in starting."""
    diary = tmp_path / "diary"
    entered: list[int] = []

    def source() -> Iterator[int]:
        entered.append(diary.read_text().count("enter"))
        yield from range(3)

    step = node(portable.Diary, {"path": str(diary)}, executor="process", concurrency=3)
    really_ended(Plumber(graph("s > f; f > o", s=source, f=step, o=same)).run())
    assert entered == [3]


def test_a_second_worker_that_cant_start(tmp_path: Path) -> None:
    """The run fails before an item is made, as where none can start."""
    args = {"folder": str(tmp_path)}
    step = node(portable.OnlyOne, args, executor="process", concurrency=2, on_error="skip")
    plumber = Plumber(graph("s > f; f > o", s=itertools.count(), f=step, o=same))
    with pytest.raises(StepError, match="'f' failed while starting: RuntimeError: only one of us"):
        really_ended(plumber.run())
    assert plumber.report is not None
    assert plumber.report.nodes["s"].received == 0


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_results_that_waited_for_a_slow_one(executor: str) -> None:
    """They are told of, as those that did not: the source waits for the second batch."""
    batches: list[Any] = []
    both = asyncio.Event()

    async def source() -> AsyncIterator[int]:
        for value in range(4):
            yield value
        await both.wait()
        yield 4

    def gather(batch: list[int]) -> None:
        batches.append(batch)
        if len(batches) == 2:
            both.set()

    step = node(portable.first_is_slow, executor=executor, concurrency=2)
    document = graph("s > f; f > b", s=source, f=step, b=node(gather, batch={"size": 2}))
    really_ended(Plumber(document).run())
    assert batches == [[0, 1], [2, 3], [4]]


def test_a_timeout_while_a_dead_worker_is_buried(tmp_path: Path) -> None:
    """The next worker is not taken for it: of three items one fails."""
    letters: list[Any] = []

    def is_gone() -> bool:
        return not psutil.pid_exists(int((tmp_path / "pid").read_text()))

    async def source() -> AsyncIterator[int]:
        yield 0
        yield 1
        await until(lambda: letters)
        (tmp_path / "over").touch()
        await until(is_gone)
        yield 2

    step = node(
        portable.lingers_on_one,
        {"folder": str(tmp_path)},
        executor="process",
        concurrency=1,
        timeout="200ms",
        on_error="dead_letter",
    )
    document = graph("s > f; f > o", s=source, f=step, o=same)
    really_ended(Plumber(document | {"dead_letter": {"func": letters.append}}).run())
    assert [each["item"] for each in letters] == [1]


def test_a_worker_that_leaves_a_fork_behind(tmp_path: Path) -> None:
    """Its death is noticed though the fork holds its end of the line."""
    args = {"folder": str(tmp_path)}
    step = node(portable.leaves_a_fork_on_three, args, executor="process", concurrency=1)
    try:
        with pytest.raises(StepError, match="was killed by SIGKILL"):
            really_ended(Plumber(graph("s > f", s=range(9), f=step)).run())
    finally:
        (tmp_path / "over").touch()


def test_an_item_whose_fault_cant_travel_either() -> None:
    """It fails, and no other item's result comes out in its place."""
    out: list[Any] = []
    riddle = portable.Riddle()
    step = node(portable.same, executor="process", concurrency=1, on_error="skip")
    items = node(["a", "b", riddle, "c"])
    report = really_ended(Plumber(graph("s > f; f > o", s=items, f=step, o=out.append)).run())
    assert out == ["a", "b", "c"]
    assert "WorkerOnly: no idea" in report.nodes["f"].last_error


def test_a_worker_that_cant_be_replaced(tmp_path: Path) -> None:
    """What it can't be called with fails, item by item, and the run goes on."""
    out: list[Any] = []
    args = {"folder": str(tmp_path)}
    step = node(portable.OnlyOne, args, executor="process", concurrency=1, on_error="skip")
    items = node([*range(40), portable.Trap(), portable.Killer(), *range(5)])
    report = really_ended(Plumber(graph("s > f; f > o", s=items, f=step, o=out.append)).run())
    assert report.nodes["f"].skipped == 47 - len(out)
    assert "only one of us" in report.nodes["f"].last_error


def test_a_cancel_while_a_retry_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What went through in the same run of items before is still counted."""
    monkeypatch.setattr("pipelines.shortcut.MOST", 0)  # so that the run goes from stage to stage

    def fail(item: int) -> int:
        if item == 2:
            raise OSError(item)
        return item

    async def main() -> RunReport:
        step = node(fail, retry={"attempts": 2, "backoff": 60})
        plumber = Plumber(graph("s > f; f > o", s=range(9), f=step, o=same))
        plumber.create_pipeline()
        await until(lambda: plumber["f"].retried and plumber["o"].received)
        plumber.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await plumber.join()
        assert not getattr(cancelled.value, "__notes__", ())
        assert plumber.report is not None
        return plumber.report

    counts = really_ended(main()).nodes
    assert counts["f"].passed_on == counts["o"].received == 2


def test_a_call_that_is_given_up() -> None:
    """Its worker is killed before its lane is used again, by another one."""

    async def main() -> None:
        executor = ProcessExecutor("f", Step(portable.sleeps_on_three, {}, Shape()), 1)
        await executor.open()
        try:
            call = asyncio.ensure_future(executor.run(0, [3]))
            await turns(5)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await executor.run(0, [4, 5]))[0] == [4, 5]
        finally:
            await executor.close()

    really_ended(main())


def test_a_start_that_is_given_up() -> None:
    """Its process, which comes all the same, is killed before another one is started."""
    gate = threading.Event()

    async def main() -> None:
        executor = ProcessExecutor("f", Step(portable.same, {}, Shape()), 2)
        await executor.open()
        try:
            held = executor.lanes[1].submit(gate.wait)
            starting = asyncio.ensure_future(executor.run(1, [4]))
            await turns(2)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            gate.set()
            assert (await executor.run(1, [4, 5]))[0] == [4, 5]
            await held
        finally:
            await executor.close()

    really_ended(main())


@pytest.mark.parametrize("size", [100, 2**16, 10**7])
def test_items_and_results_of_any_size(size: int) -> None:
    """They travel there and back whole."""
    out: list[bytes] = []
    step = node(portable.same, executor="process", concurrency=2)
    items = node([bytes([number]) * size for number in range(5)])
    really_ended(Plumber(graph("s > f; f > o", s=items, f=step, o=out.append)).run())
    assert [(len(each), each[0]) for each in out] == [(size, number) for number in range(5)]


def test_a_worker_whose_exit_never_ends() -> None:
    """A cancel gets past a worker that hangs in its exit."""
    from pipelines.executor import Executor

    async def main() -> None:
        step = node(portable.NeverGone, executor="process", concurrency=1)
        plumber = Plumber(graph("s > f; f > o", s={}, f=step, o=same))
        plumber.create_pipeline()
        await asyncio.sleep(0)
        await plumber.put("s", 1)
        await until(lambda: plumber["o"].counts().received)
        plumber.cancel()
        with pytest.raises(asyncio.CancelledError):
            await plumber.join()

    patience, Executor.patience = Executor.patience, 0.2
    try:
        really_ended(main())
    finally:
        Executor.patience = patience


# Counters.


@every_kind
def test_a_failed_run_balances(kind: str) -> None:
    """Whatever ended the run, every item that a node received is accounted for."""
    seen: list[NodeCounts] = []
    document = graph("s > a; a > f; f > o", s=range(300), a=later, f=failing(kind), o=same)
    plumber = Plumber(document)
    with pytest.raises(StepError) as caught:
        end_of(kind)(plumber.run())
    assert plumber.report is not None
    seen = list(plumber.report.nodes.values())
    assert all(each.balanced for each in seen)
    assert plumber.report.nodes["f"].failed == 1
    assert getattr(caught.value, "__notes__", []) == []
