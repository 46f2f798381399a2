"""Input nodes: what makes their items, what feeds them besides, and what if that breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

import pytest
from running import named

from pipelines import Plumber, RunReport, StepError


def line(source: dict[str, Any], sink: Callable[[Any], Any], **more: Any) -> dict[str, Any]:
    """Return a graph of an input node `inp` and a sink `out`, with a plain step between."""
    nodes = {"inp": source, "text": {"func": str}, "out": {"func": sink}}
    return {"nodes": nodes, "graph": {"inp": ["text"], "text": ["out"]}, **more}


@pytest.mark.parametrize("count", [0, 1, 150, 1_000])
async def test_items_may_be_put_before_anything_has_started(count: int) -> None:
    """A put right after entering the block waits for the node, and nothing is lost."""
    got: list[str] = []
    async with Plumber(line({}, got.append)) as plumber:
        for number in range(count):
            await plumber.put("inp", number)
    assert got == [str(number) for number in range(count)]


async def make_async() -> AsyncIterator[str]:
    """Make two items, from an async generator."""
    for item in "ab":
        yield item


async def make_seed(self: Any, output_q: Any) -> None:
    """Make two items by the seed's protocol."""
    for item in "ab":
        await output_q.put(item)


@pytest.mark.parametrize(
    "source", [{"func": ["a", "b"]}, {"func": make_async}, {"coro": make_seed}], ids=named
)
async def test_items_may_be_put_besides_those_that_a_step_makes(source: dict[str, Any]) -> None:
    """Whatever makes the items, what is put comes too, also after the step has ended."""
    got: list[str] = []
    three = asyncio.Event()

    def keep(item: str) -> None:
        got.append(item)
        if len(got) == 3:
            three.set()

    async with Plumber(line(source, keep)) as plumber:
        await plumber.put("inp", "c")
        await three.wait()
        await plumber.put("inp", "d")
    assert sorted(got) == ["a", "b", "c", "d"]


async def test_an_error_in_the_block_reaches_the_caller() -> None:
    """Even one in its first line, before the run has begun: the run is cancelled."""
    got: list[str] = []
    plumber = Plumber(line({}, got.append))
    with pytest.raises(LookupError, match="no node is named 'nope'"):
        async with plumber:
            await plumber.put("nope", 1)
    assert plumber.report is not None
    assert (plumber.report.reason, got) == ("cancelled", [])


async def test_a_cancel_before_the_run_has_begun_ends_it() -> None:
    """Nothing is made, and `join` says what happened."""
    got: list[str] = []
    plumber = Plumber(line({"func": [1]}, got.append))
    plumber.create_pipeline()
    plumber.cancel()
    with pytest.raises(asyncio.CancelledError):
        await plumber.join()
    assert got == []


class Source:
    """A source that is entered and exited around the run."""

    events: list[str]

    def __init__(self, count: int) -> None:
        self.count = count
        type(self).events = ["made"]

    def __enter__(self) -> Self:
        self.events.append("entered")
        return self

    def __exit__(self, *error: object) -> None:
        self.events.append("exited")

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.count))


class Called:
    """A source that has to be called for its items."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self) -> list[int]:
        return list(range(self.count))


@pytest.mark.parametrize("kind", [Source, Called])
async def test_a_class_may_make_the_items(kind: type) -> None:
    """It is constructed with the node's args, and iterated over or called."""
    got: list[str] = []
    await Plumber(line({"func": kind, "args": {"count": 2}}, got.append)).run()
    assert got == ["0", "1"]


async def test_a_class_that_makes_the_items_is_entered_and_exited() -> None:
    """As on any other node."""
    await Plumber(line({"func": Source, "args": {"count": 1}}, print)).run()
    assert Source.events == ["made", "entered", "exited"]


def break_off() -> Iterator[int]:
    """Make one item, then break."""
    yield 1
    raise OSError("gone")


async def run_broken(**properties: Any) -> tuple[RunReport, list[str], list[Any]]:
    """Run a graph whose source breaks; return its report, its output and the dead letters."""
    got: list[str] = []
    letters: list[Any] = []
    graph = line({"func": break_off, "properties": properties}, got.append)
    report = await Plumber({**graph, "dead_letter": {"func": letters.append}}).run()
    return report, got, letters


@pytest.mark.parametrize("defaults", [{}, {"on_error": "skip"}, {"on_error": "dead_letter"}])
async def test_a_source_that_breaks_ends_the_run(defaults: dict[str, Any]) -> None:
    """Also where a default tolerates failing items: the stream would just end, and nobody know."""
    graph = line({"func": break_off}, print, defaults=defaults, dead_letter={"func": print})
    with pytest.raises(StepError, match=r"node 'inp' failed while making its items: OSError: gone"):
        await Plumber(graph).run()


async def test_a_source_may_be_told_to_end_when_it_breaks(caplog: pytest.LogCaptureFixture) -> None:
    """What was made goes on, the break is counted, and a warning says it."""
    report, got, letters = await run_broken(on_error="skip")
    node = report.nodes["inp"]
    assert (got, letters, report.ok) == (["1"], [], True)
    assert (node.received, node.passed_on, node.skipped, node.errors) == (2, 1, 1, 1)
    assert "input node 'inp' ends early: OSError: gone" in caplog.text


async def test_a_source_that_breaks_may_leave_a_dead_letter() -> None:
    """It counts as one, so that --strict sees it."""
    report, got, letters = await run_broken(on_error="dead_letter")
    assert (got, report.nodes["inp"].dead_lettered) == (["1"], 1)
    assert [(letter["node"], letter["item"], letter["error"]) for letter in letters] == [
        ("inp", None, "OSError: gone")
    ]


async def test_a_source_is_tried_again_only_while_nothing_came_of_it() -> None:
    """Later its first items would come twice."""
    attempts: list[int] = []

    def connect_late() -> Iterator[int]:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError
        yield 1

    got: list[str] = []
    retry = {"attempts": 3, "backoff": 0}
    source = {"func": connect_late, "properties": {"retry": retry}}
    report = await Plumber(line(source, got.append)).run()
    assert (got, len(attempts), report.nodes["inp"].retried) == (["1"], 3, 2)
    with pytest.raises(StepError, match="gone"):
        await Plumber(line({"func": break_off, "properties": {"retry": retry}}, print)).run()


async def test_defaults_for_items_leave_an_input_node_alone() -> None:
    """It has no calls to time and takes no items to gather."""
    got: list[str] = []
    graph = line({"func": break_off}, got.append, defaults={"batch": {"size": 2}})
    with pytest.raises(StepError, match="gone"):
        await Plumber(graph).run()
