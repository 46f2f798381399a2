"""A run as records, and the table of them."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from running import graph, node

from pipelines import Plumber, Reporter
from pipelines.metrics import EdgeCounts, NodeCounts, RunReport, Snapshot
from pipelines.reporters.log import LogReporter
from pipelines.reporters.records import (
    MeasuredCounts,
    Record,
    RecordReporter,
    TableReporter,
    Usage,
    lines,
    records,
)


def test_a_node_is_a_record() -> None:
    """It counts what it sent on, or at the end of the graph what went well."""
    nodes = {
        "a": NodeCounts(received=4, passed_on=4, emitted=9, busy=2.0),
        "b": NodeCounts(passed_on=8),
    }
    first, second = records(Snapshot(1.0, nodes, {("a", "b"): EdgeCounts(0, 9)}))
    assert first == Record("a", 9, 2.0)
    assert first.throughput == 4.5
    assert second == Record("b", 8, 0.0)
    assert (second.throughput, second.queries_per_entry) == (0.0, 0.0)


def test_a_measured_step_is_a_record() -> None:
    """With all that is known of it."""
    used = Usage(1.0, 0.5, 3.0)
    counts = MeasuredCounts(emitted=4, busy=2.0, usage=used, queries=6)
    (record,) = records(Snapshot(1.0, {"a": counts}, {}))
    assert record == Record("a", 4, 2.0, used, 6)
    assert record.queries_per_entry == 1.5


def test_figures_stand_below_each_other() -> None:
    """Whatever their widths, and a dash where nothing is known."""
    table = lines([Record("a", 7, 123.456, Usage(1, 2, 3), 4), Record("longer", 1_000_000, 0.5)])
    assert table == [
        "> a     : count:       7 runtime: 123.46       0.06/s "
        "utime: 1.00 stime: 2.00 q: 4 q/e: 0.57 rss: 3.00",
        "> longer: count: 1000000 runtime:   0.50 2000000.00/s "
        "utime:    - stime:    - q: 0 q/e: 0.00 rss:    -",
    ]
    assert lines([]) == []


class Kept(RecordReporter):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__(0.001)
        self.shown: list[Sequence[Record]] = []

    def show(self, records: Sequence[Record]) -> None:
        """Keep it."""
        self.shown.append(records)


def test_a_reporter_of_records_is_a_reporter() -> None:
    """It is shown records while the run lasts, and at the end, with those of the whole process."""
    kept = Kept()
    reporter: Reporter = kept

    def until_shown() -> Any:
        for number in itertools.count():
            if len(kept.shown) > 2:
                return
            yield number

    report = Plumber(
        graph("s > t", s=node(until_shown, executor="thread"), t=str), reporters=[reporter]
    ).run_sync()
    *_, last = kept.shown
    assert [record.name for record in last] == ["s", "t", "(process)"]
    assert last[1].count == last[2].count == report.nodes["t"].received
    assert last[2].usage is not None
    assert last[2].runtime == report.seconds


def test_the_table_goes_to_any_logger(caplog: pytest.LogCaptureFixture) -> None:
    """A level that it has stays."""
    log = logging.getLogger("mine")
    log.setLevel(logging.WARNING)
    document = graph("s > t", s=node([1]), t=str)
    Plumber(document, reporters=[TableReporter(logger=log)]).run_sync()
    assert caplog.records == []
    log.setLevel(logging.NOTSET)
    Plumber(document, reporters=[TableReporter(logger=log)]).run_sync()
    assert [record.name for record in caplog.records] == ["mine"] * 4


def test_the_progress_in_the_log_needs_no_graph(caplog: pytest.LogCaptureFixture) -> None:
    """Without one it gives no advice, and a generator pipeline has no queues to show."""
    caplog.set_level(logging.INFO, "plumber")
    reporter = LogReporter()
    counts = {"a": MeasuredCounts(emitted=1, received=1), "b": MeasuredCounts(received=1)}
    edges = {("a", "b"): EdgeCounts(0, 0)}
    reporter.update(Snapshot(1.0, counts, edges))
    reporter.finish(RunReport(True, "done", 1.0, "a", counts, edges))
    assert "queue" not in caplog.text
    assert "bottleneck" not in caplog.text
    assert "done in 1.00s" in caplog.text
