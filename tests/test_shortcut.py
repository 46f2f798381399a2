"""The loop through all steps of a line: quicker, and else nobody can tell."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import Plan, plans
from running import ended, graph, node, run, same
from test_promises import check_plan

from pipelines import SKIP, Later, Plumber, Route, StepError, shortcut
from pipelines.spec import NodeSpec
from pipelines.step import SkipEntry

#: Enough items for the loop to be taken, many times over.
MANY = 20_000


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs of any length go through the loop, every other one if nothing is special."""
    for name in ("ITEMS", "SAMPLE", "PAUSE"):
        monkeypatch.setattr(shortcut, name, 1)


class Calls:
    """What was called with what, in order; makes steps that leave a trace here."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Any]] = []

    def step(self, name: str, function: Callable[[Any], Any] = same) -> Callable[[Any], Any]:
        """Return a step that is noted before it does what `function` does."""

        def call(item: Any) -> Any:
            self.made.append((name, item))
            return function(item)

        return call

    def whole(self, first: str, last: str) -> int:
        """Return how many items had been through the last step when the next one began."""
        names = [name for name, _ in self.made]
        return sum(pair == (last, first) for pair in itertools.pairwise(names))


def line(source: Any, *steps: Any) -> dict[str, Any]:
    """Return the document of a source and steps ``a``, ``b``, …, each leading to the next."""
    names = ["s", *"abcdefgh"[: len(steps)]]
    edges = "; ".join(f"{one} > {two}" for one, two in itertools.pairwise(names))
    return graph(edges, **dict(zip(names, [source, *steps], strict=True)))


def skipping_multiples(of: int) -> Callable[[int], Any]:
    """Return a step that leaves multiples out."""
    return lambda number: number if number % of else SKIP


def failing_at(number: int, error: type[BaseException] = ValueError) -> Callable[[int], int]:
    """Return a step that raises at one number."""

    def step(item: int) -> int:
        if item == number:
            raise error(f"not {number}")
        return item

    return step


# That it is taken.


def test_quick_functions_are_called_item_by_item() -> None:
    """An item goes through all of them before the next one is taken."""
    calls = Calls()
    run(line(range(MANY), calls.step("a"), calls.step("b"), calls.step("c")))
    assert sorted(calls.made) == [(name, number) for name in "abc" for number in range(MANY)]
    assert calls.whole("a", "c") > 0.9 * MANY


def test_a_few_slow_items_go_from_stage_to_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that each step's time is measured."""
    monkeypatch.setattr(shortcut, "QUICK", 0.0)
    calls = Calls()
    run(line(range(7), calls.step("a"), calls.step("b")))
    assert calls.made[-8:] == [(name, number) for name in "ab" for number in (3, 4, 5, 6)]


def test_coroutine_functions_are_called_item_by_item() -> None:
    """Those that don't wait are no different from plain functions, nor is a line of both."""
    calls = Calls()
    b = calls.step("b")

    async def awaited(item: int) -> Any:
        return b(item)

    run(line(range(MANY), calls.step("a"), node(awaited, concurrency=1), calls.step("c")))
    assert sorted(calls.made) == [(name, number) for name in "abc" for number in range(MANY)]
    assert calls.whole("a", "c") > 0.9 * MANY


def diamond(source: Any, a: Any, b: Any, j: Any, o: Any) -> dict[str, Any]:
    """Return the document of a source, two branches, their join and what gets its results."""
    return graph("s > a b; a > j; b > j; j > o", s=source, a=a, b=b, j=j, o=o)


def test_branches_and_their_join_are_called_item_by_item() -> None:
    """An item goes through the branches and their join before the next one is taken."""
    calls = Calls()
    a, b = calls.step("a"), calls.step("b", lambda item: -item)
    run(diamond(range(MANY), a, b, lambda one, two: (one, two), calls.step("o")))
    assert [item for name, item in calls.made if name == "o"] == [(n, -n) for n in range(MANY)]
    assert calls.whole("a", "o") > 0.9 * MANY
    assert calls.whole("a", "b") == 0


@pytest.mark.parametrize("waits", ["a", "b", "j"])
@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_call_that_waits_where_streams_part_or_meet(waits: str, concurrency: int) -> None:
    """Every item before that one is through, and rows stay rows."""
    got: list[Any] = []
    at_wait: list[int] = []

    def step(name: str) -> Any:
        async def call(item: Any) -> Any:
            if name == waits and item in (MANY // 2, (MANY // 2, MANY // 2)):
                await asyncio.sleep(0.01)
                at_wait.append(len(got))
            return item

        return node(call, concurrency=concurrency)

    async def join(one: int, two: int) -> Any:
        return await step("j")["func"]((one, two))

    steps = step("a"), step("b"), node(join, concurrency=concurrency)
    report = run(diamond(range(MANY), *steps, got.append))
    assert got == [(number, number) for number in range(MANY)]
    assert at_wait == [MANY // 2]
    assert {counts.received for name, counts in report.nodes.items() if name != "s"} == {MANY}


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("fails", [False, True])
def test_a_call_that_waits_after_many_that_did_not(concurrency: int, fails: bool) -> None:
    """What came through before goes on at once, and nothing that follows is lost."""
    got: list[int] = []
    at_wait: list[int] = []
    tried: list[int] = []

    async def wait(item: int) -> int:
        if item == MANY // 2:
            tried.append(item)
            await asyncio.sleep(0.01)
            at_wait.append(len(got))
            if fails and len(tried) == 1:
                raise ValueError(item)
        return item

    step = node(wait, concurrency=concurrency, retry={"attempts": 2, "backoff": 0})
    steps = (same, step, node(quick, concurrency=concurrency), got.append)
    report = run(line(range(MANY), *steps))
    assert got == [*range(MANY)]
    assert at_wait[0] == MANY // 2
    assert len(tried) == 1 + fails
    assert all(counts.received == MANY for name, counts in report.nodes.items())


async def quick(item: Any) -> Any:
    """Be the coroutine function that changes nothing."""
    return item


@pytest.mark.parametrize(
    "document",
    [
        lambda a, b: graph("s > a; a > b; b > o", s=range(MANY), a=a, b=b, o=same),
        lambda a, b: diamond(range(MANY), a, b, lambda one, two: (one, two), same),
    ],
    ids=["line", "region"],
)
def test_a_call_that_waits_and_is_cancelled(document: Callable[[Any, Any], dict[str, Any]]) -> None:
    """The run ends at once, and the item is in flight."""
    begun = asyncio.Event()

    async def wait(item: int) -> int:
        if item == MANY // 2:
            begun.set()
            await asyncio.Event().wait()
        return item

    async def main() -> Plumber:
        plumber = Plumber(document(same, node(wait, concurrency=1)))
        plumber.create_pipeline()
        await begun.wait()
        plumber.cancel()
        with pytest.raises(asyncio.CancelledError):
            await plumber.join()
        return plumber

    report = ended(main()).report
    assert report is not None
    assert report.nodes["a"].received == MANY // 2 + 1
    assert report.nodes["b"].in_flight == 1
    assert report.nodes["b"].received == MANY // 2 + 1
    assert report.nodes["o"].received == MANY // 2


def test_the_traceback_of_a_call_that_has_waited() -> None:
    """It ends where the error was raised, with no frame of what noticed that it waits."""

    async def wait(item: int) -> int:
        if item == MANY // 2:
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(future.set_exception, ValueError("no"))
            await future
        return item

    with pytest.raises(StepError) as caught:
        run(line(range(MANY), node(wait, concurrency=1), same))
    frames = traceback.extract_tb(caught.value.cause.__traceback__)
    assert frames[-1].name == "wait"


def test_a_very_long_line() -> None:
    """So many functions are not written out."""
    steps = {f"n{number}": same for number in range(shortcut.MOST + 1)}
    got: list[int] = []
    names = ["s", *steps, "o"]
    edges = "; ".join(f"{one} > {two}" for one, two in itertools.pairwise(names))
    run(graph(edges, s=range(2_000), o=got.append, **steps))
    assert got == [*range(2_000)]


# What is out of the ordinary.


@pytest.mark.parametrize("of", [2, 10, 1_000])
def test_items_are_left_out(of: int) -> None:
    """Often or seldom, and in the middle of a line: what is behind does not see them."""
    got: list[int] = []
    report = run(line(range(MANY), same, skipping_multiples(of), got.append))
    assert got == [number for number in range(MANY) if number % of]
    assert report.nodes["b"].skipped == -(-MANY // of)
    assert report.nodes["a"].passed_on == report.nodes["b"].received == MANY


def test_a_source_leaves_items_out() -> None:
    """What it gives is looked at too."""
    source = [SKIP if number % 1_000 == 0 else number for number in range(MANY)]
    got: list[int] = []
    report = run(line(source, same, got.append))
    assert got == [number for number in range(MANY) if number % 1_000]
    assert report.nodes["s"].skipped == MANY // 1_000


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_failure_ends_the_run(stage: int) -> None:
    """It says which node and item, and what lies in the queues is accounted for."""
    steps = [same, same, same]
    steps[stage] = failing_at(15_000)
    plumber = Plumber(line(range(MANY), *steps))
    with pytest.raises(StepError, match="on item 15000: ValueError: not 15000") as caught:
        ended(plumber.run())
    assert caught.value.node == "abc"[stage]
    assert plumber.report is not None
    assert all(counts.balanced for counts in plumber.report.nodes.values())
    assert [plumber.report.nodes[name].failed for name in "abc"] == [
        int(name == "abc"[stage]) for name in "abc"
    ]
    assert plumber.report.nodes["c"].passed_on == 15_000


def test_a_traceback_shows_what_the_user_wrote() -> None:
    """And nothing that was written here, which has no file to be read in."""
    with pytest.raises(StepError) as caught:
        run(line(range(MANY), same, failing_at(15_000), same))
    assert isinstance(caught.value.__cause__, ValueError)
    frames = traceback.extract_tb(caught.value.__cause__.__traceback__)
    assert frames[-1].name == "step"
    assert not [frame for frame in frames if frame.filename.startswith("<")]


def test_failures_are_put_up_with() -> None:
    """The items behind one that failed go on in their order."""
    got: list[int] = []
    letters: list[Any] = []
    document = line(
        range(MANY),
        node(failing_at(11_000), on_error="skip"),
        node(failing_at(12_000), on_error="dead_letter"),
        got.append,
    )
    document["dead_letter"] = {"func": letters.append}
    report = run(document)
    assert got == [number for number in range(MANY) if number not in (11_000, 12_000)]
    assert [letter["item"] for letter in letters] == [12_000]
    assert (report.nodes["a"].skipped, report.nodes["b"].dead_lettered) == (1, 1)


def test_a_failed_item_is_tried_again() -> None:
    """While it waits for that, nothing overtakes it."""
    tries: list[int] = []

    def flaky(number: int) -> int:
        if number == 15_000 and len(tries) < 2:
            tries.append(number)
            raise ValueError
        return number

    got: list[int] = []
    steps = same, node(flaky, retry={"attempts": 3, "backoff": 0.01}), got.append
    report = run(line(range(MANY), *steps))
    assert got == [*range(MANY)]
    assert (len(tries), report.nodes["b"].retried) == (2, 2)


def test_a_route_at_the_end_of_a_line() -> None:
    """Its value goes where it says."""
    low: list[int] = []
    high: list[int] = []

    def sort(number: int) -> Any:
        return Route("low", number) if number % 1_000 == 0 else Route("high", number)

    edges = "s > a; a > b; b > low high"
    run(graph(edges, s=range(MANY), a=same, b=sort, low=low.append, high=high.append))
    assert low == [*range(0, MANY, 1_000)]
    assert len(high) == MANY - len(low)


@pytest.mark.parametrize(
    ("error", "says"),
    [(StopIteration, "RuntimeError: the step raised StopIteration"), (KeyError, "KeyError")],
)
def test_what_a_step_may_raise(error: type[Exception], says: str) -> None:
    """Whatever it is, it is that item's."""
    with pytest.raises(StepError, match=f"node 'b' failed on item 15000: {says}"):
        run(line(range(MANY), same, failing_at(15_000, error), same))


def test_a_result_that_must_not_be() -> None:
    """A coroutine is no result of a plain function, however late it comes."""

    async def late() -> None: ...

    def step(number: int) -> Any:
        return late() if number == 15_000 else number

    with pytest.raises(StepError, match=r"node 'b' failed on item 15000: .*coroutine"):
        run(line(range(MANY), same, step, same))


class Shy:
    """An object that does not tell its class, as a proxy whose object is gone."""

    @property
    def __class__(self) -> type:
        """Refuse to tell."""
        raise ReferenceError("gone")

    @__class__.setter
    def __class__(self, value: type) -> None: ...


class Boastful:
    """An object that claims to be of a class that means something."""

    @property
    def __class__(self) -> type:
        """Claim to be a `Route`."""
        return Route

    @__class__.setter
    def __class__(self, value: type) -> None: ...


@pytest.mark.parametrize("kind", [Shy, Boastful])
def test_objects_that_do_not_tell_their_class(kind: Callable[[], Any]) -> None:
    """They are values like any others."""
    odd = kind()
    got: list[Any] = []
    swap = lambda number: odd if number == 15_000 else number  # noqa: E731
    report = run(line([*range(5_000), odd, *range(5_000, MANY)], same, swap, same, got.append))
    assert report.nodes["d"].passed_on == MANY + 1
    assert got[5_000] is odd
    assert got[15_001] is odd


# Other heads and ends of a line.


@pytest.mark.parametrize("scale", [1, 3])
def test_rows_of_a_join(scale: int) -> None:
    """They are handed over as several arguments, with the node's own behind them."""

    async def numbers() -> AsyncIterator[int]:
        for number in range(MANY):
            yield number

    def add(left: int, right: int, scale: int = 1) -> int:
        return (left + right) * scale

    calls = Calls()
    join = node(add, {"scale": scale} if scale > 1 else None)
    steps = {"j": join, "k": calls.step("k"), "o": calls.step("o")}
    run(graph("s > j; t > j; j > k; k > o", s=numbers, t=numbers, **steps))
    sums = [2 * scale * number for number in range(MANY)]
    assert [item for name, item in calls.made if name == "o"] == sums
    assert calls.whole("k", "o") > 0.9 * MANY


def test_values_that_a_step_yields() -> None:
    """What they are made of fails, is left out and routed as ever."""

    def ten(number: int) -> Iterator[Any]:
        for digit in range(10):
            if number % 500 == 499 and digit == 5:
                raise ValueError
            yield SKIP if number % 500 == 250 and digit == 5 else 10 * number + digit

    got: list[int] = []
    report = run(line(range(2_000), node(ten, on_error="skip"), same, got.append))
    gone = {10 * number + digit for number in range(499, 2_000, 500) for digit in range(5, 10)}
    gone |= {10 * number + 5 for number in range(250, 2_000, 500)}
    assert got == [number for number in range(20_000) if number not in gone]
    assert report.nodes["a"].emitted == report.nodes["b"].received == len(got)


def test_a_last_node_that_gains_an_edge() -> None:
    """Results that nobody wanted so far go on from then on."""
    got: list[int] = []

    def connect(number: int) -> int:
        if number == 10_000:
            plumber.connect("b", NodeSpec("new", func=got.append))
        return number

    plumber = Plumber(line(range(MANY), same, connect))
    report = ended(plumber.run())
    assert got
    assert got == [*range(MANY - len(got), MANY)]
    assert report.nodes["new"].received == len(got)


# The account of it.


def test_the_time_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the steps took where each was measured."""
    now = 0.0

    def spend(seconds: float) -> Callable[[Any], Any]:
        def step(item: Any) -> Any:
            nonlocal now
            now += seconds
            return item

        return step

    for module in [each for name, each in sys.modules.items() if name.startswith("pipelines.")]:
        if getattr(module, "clock", None) is time.perf_counter:
            monkeypatch.setattr(module, "clock", lambda: now)
    report = run(line(range(MANY), spend(3e-7), spend(1e-7)))
    assert report.nodes["a"].busy == pytest.approx(3e-7 * MANY, rel=1e-3)
    assert report.nodes["b"].busy == pytest.approx(1e-7 * MANY, rel=1e-3)


# In general.


@pytest.mark.usefixtures("at_once")
@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(plans())
def test_a_random_graph_gives_what_the_model_gives(plan: Plan) -> None:
    """Graphs of all kinds keep what they promise where every run could take the loop."""
    check_plan(plan)


def oddities(*more: str) -> st.SearchStrategy[dict[int, str]]:
    """Return a strategy of what a step makes of some items."""
    kinds = ["skip", "leave", "raise", "list", "dict", "later", *more]
    return st.dictionaries(st.integers(0, 99), st.sampled_from(kinds), max_size=8)


def odd_step(odd: dict[int, str]) -> Callable[[Any], Any]:
    """Return a step that makes something else of some items; their number comes first in each."""
    asked: set[int] = set()

    def step(item: Any) -> Any:
        number = item[0]
        match odd.get(number):
            case "skip":
                return SKIP
            case "leave":
                raise SkipEntry
            case "raise":
                raise ValueError
            case "list":
                return [number]
            case "dict":
                return {0: number}
            case "later" if number not in asked:
                asked.add(number)
                return Later(0.01)
        return item

    return step


def later_step(odd: dict[int, str], concurrency: int) -> Any:
    """Return the node of a coroutine function like `odd_step`, whose calls may wait as well."""
    step = odd_step(odd)

    async def awaited(item: Any) -> Any:
        if odd.get(item[0]) == "wait":
            await asyncio.sleep(0)
        return step(item)

    return node(awaited, on_error="skip", concurrency=concurrency)


def on_with(odd: dict[int, str], item: Any) -> Any:
    """Return what goes on behind such a step, in the end; `None` for nothing."""
    match odd.get(item[0]):
        case "skip" | "leave" | "raise":
            return None
        case "list":
            return [item[0]]
        case "dict":
            return {0: item[0]}
    return item


@pytest.mark.usefixtures("at_once")
@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(st.lists(oddities(), min_size=2, max_size=5), st.integers(1, 100))
def test_a_random_line_gives_what_the_model_gives(plan: list[dict[int, str]], count: int) -> None:
    """Values, their order and the counters are right, whatever each step makes of each item."""
    left: list[Any] = [(number,) for number in range(count)]
    expected: list[tuple[int, int]] = []
    for odd in plan:
        received = len(left)
        left = [made for item in left if (made := on_with(odd, item)) is not None]
        expected.append((received, received - len(left)))
    got: list[Any] = []
    steps = [node(odd_step(odd), on_error="skip") for odd in plan]
    report = run(line([(number,) for number in range(count)], *steps, got.append))
    assert got == left
    counts = [report.nodes[name] for name in "abcdefgh"[: len(plan)]]
    assert [(each.received, each.skipped) for each in counts] == expected


@pytest.mark.usefixtures("at_once")
@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(
    st.fixed_dictionaries(dict.fromkeys("abcj", oddities("wait"))),
    st.integers(1, 100),
    st.sampled_from([0, 1, 3]),
)
def test_a_random_region_gives_what_the_model_gives(
    plan: dict[str, dict[int, str]], count: int, concurrency: int
) -> None:
    """So are they where the streams part and are joined, of functions or of coroutine functions."""

    def step(name: str) -> Any:
        odd = plan[name]
        return later_step(odd, concurrency) if concurrency else node(odd_step(odd), on_error="skip")

    seen: dict[str, int] = dict.fromkeys("abcj", 0)
    expected: list[Any] = []
    for item in [(number,) for number in range(count)]:

        def through(name: str, given: Any) -> Any:
            if given is not None:
                seen[name] += 1
                return on_with(plan[name], given)
            return None

        one, two = through("b", through("a", item)), through("c", item)
        row = None if one is None or two is None else (item[0], one, two)
        if (made := through("j", row)) is not None:
            expected.append(made)
    got: list[Any] = []
    nodes = {"r": lambda one, two: (one[0], one, two), "o": got.append}
    items = [(number,) for number in range(count)]
    edges = "s > a c; a > b; b > r; c > r; r > j; j > o"
    report = run(graph(edges, s=items, **{name: step(name) for name in "abcj"}, **nodes))
    assert got == expected
    assert {name: report.nodes[name].received for name in "abcj"} == seen
