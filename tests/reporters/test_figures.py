"""The figures that reporters show: rates, rows, the table at the end."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pipelines.metrics import EdgeCounts, NodeCounts, RunReport, Snapshot
from pipelines.reporters.figures import (
    Rates,
    ending,
    format_rate,
    format_time,
    rows,
    shortlist,
    totals,
)


def snapshot(seconds: float, **received: int) -> Snapshot:
    """Return a snapshot of nodes without edges that have received so many items."""
    return Snapshot(seconds, {name: NodeCounts(received=n) for name, n in received.items()}, {})


def test_rates_look_at_the_last_seconds_only() -> None:
    """What was long ago does not count: a node that stopped is at zero."""
    rates = Rates(window=2.0)
    assert rates.update(snapshot(1.0, a=100)) == {"a": 100.0}
    assert rates.update(snapshot(2.0, a=400)) == {"a": 300.0}
    assert rates.update(snapshot(3.0, a=400)) == {"a": 150.0}
    assert rates.update(snapshot(4.0, a=400)) == {"a": 0.0}


def test_no_time_has_no_rate() -> None:
    """The first snapshot may be taken at the very start."""
    assert Rates().update(snapshot(0.0, a=0)) == {"a": 0.0}


def test_a_row_shows_the_fullest_queue_and_what_was_sent() -> None:
    """A join shows the fuller of its edges; a node at the end counts what it has handled."""
    nodes = {
        "a": NodeCounts(received=5, passed_on=5, emitted=9),
        "b": NodeCounts(received=4, passed_on=4, emitted=4),
        "join": NodeCounts(received=3, passed_on=3, errors=1, failed=1),
    }
    edges = {("a", "join"): EdgeCounts(1, 10), ("b", "join"): EdgeCounts(6, 10)}
    first, _, last = rows(Snapshot(1.0, nodes, edges), {"a": 5.0})
    assert (first.sent, first.rate, first.queue) == (9, 5.0, None)
    assert (last.sent, last.queue, last.errors) == (3, EdgeCounts(6, 10), 2)


def test_a_shortlist_prefers_nodes_that_are_at_work() -> None:
    """Those that have ended give way first; the order stays."""
    states = {"a": "done", "b": "running", "c": "done", "d": "waiting"}
    nodes = {name: NodeCounts(state=state) for name, state in states.items()}  # type: ignore[arg-type]
    everything = rows(Snapshot(1.0, nodes, {}), {})
    assert [row.name for row in shortlist(everything, 3)] == ["a", "b", "d"]
    assert shortlist(everything, -1) == []


def report(**nodes: NodeCounts) -> RunReport:
    """Return the report of a run of these nodes, each with an edge to the next."""
    names = list(nodes)
    edges = {pair: EdgeCounts(0, 100) for pair in pairwise(names)}
    return RunReport(True, "done", 1.0, None, nodes, edges)


def test_columns_that_are_all_zero_are_left_out() -> None:
    """A run in which all went well shows two columns."""
    head, body = totals(report(a=NodeCounts(received=1200, passed_on=1200, emitted=1200)))
    assert head == ["node", "received", "passed on"]
    assert body == [["a", "1,200", "1,200"]]


def test_columns_that_say_something_are_shown() -> None:
    """Each kind of loss gets its column, and values sent on where they differ from items."""
    nodes = report(
        a=NodeCounts(received=3, passed_on=3, emitted=30),
        b=NodeCounts(received=30, passed_on=20, skipped=4, dead_lettered=3, failed=2, in_flight=1),
    )
    head, body = totals(nodes)
    kinds = ["sent on", "skipped", "dead-lettered", "failed", "in flight"]
    assert head == ["node", "received", "passed on", *kinds]
    assert body[1] == ["b", "30", "20", "0", "4", "3", "2", "1"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.00s"), (9.87, "9.87s"), (12.34, "12.3s"), (125, "2m05s"), (3725, "1h02m")],
)
def test_times_are_readable(seconds: float, text: str) -> None:
    """A time has about three digits."""
    assert format_time(seconds) == text


@pytest.mark.parametrize(("rate", "text"), [(0, "0/s"), (2.5, "2.5/s"), (12345.6, "12,346/s")])
def test_rates_are_readable(rate: float, text: str) -> None:
    """A slow rate keeps a decimal."""
    assert format_rate(rate) == text


def test_an_ending_says_how_and_when() -> None:
    """What is over by itself took its time; what was ended, ended after one."""
    assert ending(report()) == "done in 1.00s"
    assert ending(RunReport(True, "drained", 2.0, None, {}, {})) == "drained after 2.00s"
