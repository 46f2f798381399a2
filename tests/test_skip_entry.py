"""`SkipEntry`, which any step may raise in the place of returning `SKIP`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from running import graph, node, really_run

from pipelines import Plumber, StepError
from pipelines.step import SkipEntry


def odd(item: int) -> int:
    """Leave the even ones out."""
    if item % 2 == 0:
        raise SkipEntry(item)
    return item


async def odd_later(item: int) -> int:
    """Leave the even ones out, after a while."""
    await asyncio.sleep(0)
    return odd(item)


def twice_if_odd(item: int) -> Iterator[int]:
    """Give the odd ones twice, and the even ones once."""
    yield item
    yield odd(item)


@pytest.mark.parametrize(
    "step",
    [
        node(odd),
        node(odd, executor="thread", concurrency=2),
        node(odd, executor="process", concurrency=1),
        node(odd_later),
        node(odd_later, concurrency=1),
    ],
    ids=["inline", "thread", "process", "async", "serial"],
)
def test_nothing_goes_on_for_the_item(step: dict[str, Any]) -> None:
    """Wherever the step runs; it is counted as skipped, is no failure, and is not tried again."""
    out: list[int] = []
    step["properties"]["retry"] = {"attempts": 3}
    report = really_run(graph("s > f; f > o", s=node(range(6)), f=step, o=out.append))
    assert out == [1, 3, 5]
    counts = report.nodes["f"]
    assert (counts.skipped, counts.retried, counts.errors, counts.last_error) == (3, 0, 0, "")


def test_it_leaves_a_gap_in_a_join() -> None:
    """As `SKIP` does, so that later pairs stay right."""
    out: list[Any] = []
    edges = "s > f j; f > j; j > o"
    join = node(lambda item, kept: (item, kept), join={"on_missing": "none"})
    really_run(graph(edges, s=node(range(3)), f=node(odd), j=join, o=out.append))
    assert sorted(out) == sorted([(0, None), (1, 1), (2, None)])


def test_a_step_that_yields_keeps_what_it_gave() -> None:
    """Only the rest is left out."""
    out: list[int] = []
    really_run(graph("s > f; f > o", s=node(range(3)), f=twice_if_odd, o=out.append))
    assert out == [0, 1, 1, 2]


def test_of_a_batch_all_are_left_out() -> None:
    """And all are counted."""
    step = node(lambda items: odd(len(items)), batch={"size": 2})
    report = really_run(graph("s > f", s=node(range(5)), f=step))
    assert (report.nodes["f"].skipped, report.nodes["f"].passed_on) == (4, 1)


def test_a_source_that_raises_it_has_failed() -> None:
    """There is no item that it could mean."""

    def source() -> Iterator[int]:
        yield 1
        raise SkipEntry

    with pytest.raises(StepError, match="node 's' failed while making its items: SkipEntry"):
        Plumber(graph("s > o", s=node(source), o=node(odd))).run_sync()
