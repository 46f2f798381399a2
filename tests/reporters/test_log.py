"""Progress as log lines."""

from __future__ import annotations

import logging

import pytest

from pipelines.metrics import EdgeCounts, NodeCounts, RunReport, Snapshot
from pipelines.reporters.log import LogReporter
from pipelines.spec import GraphSpec

SPEC = GraphSpec.from_dict(
    {"nodes": {"urls": {"func": "len"}, "fetch": {"func": "len"}}, "graph": {"urls": ["fetch"]}}
)
NODES = {
    "urls": NodeCounts(state="done", received=1300, passed_on=1300, emitted=1300, starved=10.0),
    "fetch": NodeCounts(state="running", received=1234, passed_on=1200, errors=2, in_flight=34),
}
EDGES = {("urls", "fetch"): EdgeCounts(27, 100)}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Catch what the logger `plumber` says."""
    caplog.set_level(logging.INFO, logger="plumber")
    return caplog


def test_a_line_tells_of_each_node(logged: pytest.LogCaptureFixture) -> None:
    """In, out, rate, queue, errors and the end of a node, in one line."""
    LogReporter(SPEC, {}).update(Snapshot(12.0, NODES, EDGES))
    assert logged.messages == [
        "12.0s  urls 1300 in 1300 out 108/s done; "
        "fetch 1234 in 1200 out 103/s queue 27/100 2 errors"
    ]


def test_a_line_stays_short_for_many_nodes(logged: pytest.LogCaptureFixture) -> None:
    """Of many nodes a line names a few."""
    nodes = {f"n{index}": NodeCounts() for index in range(50)}
    LogReporter(GraphSpec(nodes={}), {}).update(Snapshot(1.0, nodes, {}))
    assert logged.messages[0].endswith("; … 42 more")


def test_the_end_is_a_table_and_the_bottleneck(logged: pytest.LogCaptureFixture) -> None:
    """Figures stand under their heads, and the advice is the last line."""
    LogReporter(SPEC, {}).finish(RunReport(True, "done", 12.0, "fetch", NODES, EDGES))
    *table, ended, advice = logged.messages
    assert table == [
        "node   received  passed on  in flight",
        "urls      1,300      1,300          0",
        "fetch     1,234      1,200         34",
    ]
    assert ended == "done in 12.0s"
    assert advice.startswith("bottleneck: fetch, ")


def test_the_interval_is_the_callers() -> None:
    """``--stats=1s`` is a line a second."""
    assert LogReporter(SPEC, {}, interval=1.0).interval == 1.0
