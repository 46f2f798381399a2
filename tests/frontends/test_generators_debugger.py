"""`PipelineRuntimeDebugger`: what each step costs, as a table and as records."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
from running import graph, node
from running_demos import run_python

from pipelines import Plumber, RunReport
from pipelines.frontends.generators import PipelineRuntimeDebugger, chunk, combine_pipeline, consume
from pipelines.metrics import Snapshot
from pipelines.reporters.records import Record, RecordReporter

EXAMPLE = """
import logging
import time

import paipa

logging.basicConfig()

def cast(_type):
    def caster(iterator):
        for entry in iterator:
            yield _type(entry)
    return caster

def flip(iterator):
    for entry in iterator:
        yield entry[::-1]

def flap(iterator):
    for entry in iterator:
        time.sleep(0.001)
        yield [entry]

def flatten(iterator):
    for entry in iterator:
        yield entry[0]

steps = [cast(str), flip, flap, flatten]

pipeline = paipa.combine_pipeline(xrange(10000, 19999), steps,
                                  debugger=paipa.PipelineRuntimeDebugger())
paipa.consume(pipeline)
"""

#: A line of the document's table, with room for figures of any width.
LINE = re.compile(
    r"> (?P<name>\w+) *: count: (?P<count> *\d+) runtime: (?P<runtime> *[\d.]+) "
    r"(?P<rate> *[\d.]+)/s utime: *[\d.]+ stime: *[\d.]+ q: *\d+ q/e: *[\d.]+ rss: *[\d.]+"
)


def example(upto: int) -> str:
    """Return the document's example in Python 3, with its import changed and less to do."""
    text = EXAMPLE.replace("import paipa", "from pipelines.frontends import generators as paipa")
    return text.replace("xrange(10000, 19999)", f"range(10000, {upto})")


class Kept(RecordReporter):
    """Keeps all records that it is told of."""

    def __init__(self, interval: float = 1000.0) -> None:
        super().__init__(interval)
        self.told: list[Sequence[Record]] = []

    def show(self, records: Sequence[Record]) -> None:
        """Keep them."""
        self.told.append(records)


def table_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the last table that was logged."""
    lines = [r.getMessage() for r in caplog.records if r.name == "pipelines.debugger"]
    last = max(index for index, line in enumerate(lines) if line == "-" * 20)
    return lines[last + 1 :]


def check_table(lines: list[str], count: int) -> None:
    """Check the columns of the document's table, their alignment, and what they say."""
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found), lines
    matches = [each for each in found if each]
    assert [each["name"] for each in matches] == ["range", "caster", "flip", "flap", "flatten"]
    assert {int(each["count"]) for each in matches} == {count}
    assert len({tuple(m.span(g) for g in ("count", "runtime", "rate")) for m in matches}) == 1
    runtimes = {each["name"]: float(each["runtime"]) for each in matches}
    assert max(runtimes, key=runtimes.__getitem__) == "flap"
    assert runtimes["flap"] >= count * 0.001


def test_the_documents_example(caplog: pytest.LogCaptureFixture) -> None:
    """Its table has the document's columns, one below the other, and `flap` stands out."""
    exec(example(10_099), {})
    check_table(table_of(caplog), 99)


def test_it_logs_at_info_though_nobody_set_a_level(caplog: pytest.LogCaptureFixture) -> None:
    """Who asks for a debugger wants to see it, as with the root logger's default level."""
    logging.getLogger("pipelines.debugger").setLevel(logging.NOTSET)
    consume(combine_pipeline(range(3), [iter], PipelineRuntimeDebugger()))
    assert logging.getLogger("pipelines.debugger").level == logging.INFO
    assert {r.levelno for r in caplog.records} == {logging.INFO}


def twice(items: Iterable[int]) -> Iterator[int]:
    """Give each of them twice."""
    for item in items:
        yield item
        yield item


def test_it_changes_nothing() -> None:
    """The items are those of a pipeline without it, also of a callable source, and again."""
    debugger = PipelineRuntimeDebugger([Kept()])
    assert list(combine_pipeline(range(9), [twice, chunk(4)], debugger)) == list(
        combine_pipeline(range(9), [twice, chunk(4)])
    )
    pipeline = combine_pipeline(range, [twice], debugger)
    assert list(pipeline(2)) == [0, 0, 1, 1]
    assert list(pipeline(1)) == [0, 0]


def test_counts_are_of_items_and_a_list_counts_for_what_it_holds() -> None:
    """So a step before a chunk can be compared with one behind it."""
    kept = Kept()
    consume(combine_pipeline(range(10), [twice, chunk(8), iter], PipelineRuntimeDebugger([kept])))
    (records,) = kept.told
    assert [(each.name, each.count) for each in records] == [
        ("range", 10),
        ("twice", 20),
        ("chunk", 20),
    ]


def test_two_steps_of_one_name_are_told_apart() -> None:
    """The second is numbered."""
    kept = Kept()
    consume(combine_pipeline(iter([1]), [twice, twice], PipelineRuntimeDebugger([kept])))
    assert [each.name for each in kept.told[0]] == ["list_iterator", "twice", "twice#2"]


def test_time_is_put_down_to_the_step_that_takes_it() -> None:
    """Not to those that wait for it, and before its first pull as well as behind."""

    def burn(seconds: float) -> None:
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass

    def before(items: Iterable[int]) -> Iterator[int]:
        burn(0.05)
        yield from items

    def behind(items: Iterable[int]) -> Iterator[int]:
        yield from items
        burn(0.03)

    kept = Kept()
    consume(combine_pipeline(range(5), [before, twice, behind], PipelineRuntimeDebugger([kept])))
    found = {each.name: each for each in kept.told[0]}
    assert found["before"].runtime >= 0.05
    assert found["behind"].runtime >= 0.03
    assert found["before"].usage is not None
    assert found["before"].usage.utime + found["before"].usage.stime >= 0.03
    assert found["twice"].runtime < found["before"].runtime


HOARD = """
from pipelines.frontends.generators import PipelineRuntimeDebugger, combine_pipeline, consume
from pipelines.reporters.records import RecordReporter, Usage

# A new process may begin with a peak that it has from its parent; above that growth is seen.
filler, peak = [], Usage.now().rss
while Usage.now().rss <= peak:
    filler.append(b"x" * 1_000_000)

class Show(RecordReporter):
    def show(self, records):
        print(*(round(record.usage.rss) for record in records))

def hoard(items):
    kept = []
    for item in items:
        kept.append(b"x" * 10_000_000)
        yield item

consume(combine_pipeline(range(6), [hoard, iter], PipelineRuntimeDebugger([Show()])))
"""


def test_memory_growth_is_put_down_to_the_step_that_takes_it() -> None:
    """In megabytes, in a process that has held no more before."""
    source, hoard = map(int, run_python("-c", HOARD).stdout.split())
    assert source <= 2
    assert 50 <= hoard <= 70


def test_queries_are_put_down_to_the_step_that_makes_them() -> None:
    """With a counter that is asked after each item, as the columns q and q/e."""

    class Queries:
        made = 0

        def pop(self) -> int:
            made, self.made = self.made, 0
            return made

    queries = Queries()

    def ask(items: Iterable[int]) -> Iterator[int]:
        for item in items:
            queries.made += 3
            yield item

    kept = Kept()
    consume(combine_pipeline(range(4), [ask, twice], PipelineRuntimeDebugger([kept], queries)))
    assert [(r.queries, r.queries_per_entry) for r in kept.told[0]] == [(0, 0), (12, 3), (0, 0)]


def test_it_tells_how_it_goes_as_often_as_a_reporter_wants() -> None:
    """Each in its own time, and all of them once more at the end."""
    often, seldom = Kept(0.0), Kept(1000.0)
    consume(combine_pipeline(range(20), [twice], PipelineRuntimeDebugger([often, seldom])))
    counts = [records[-1].count for records in often.told]
    assert len(counts) > 20
    assert counts == sorted(counts)
    assert counts[-1] == 40
    assert len(seldom.told) == 1


class Ends:
    """A reporter that keeps how runs ended."""

    interval = 1000.0

    def __init__(self) -> None:
        self.reports: list[RunReport] = []

    def start(self, snapshot: Snapshot) -> None:
        """Expect that nothing has happened yet."""
        assert all(not each.received for each in snapshot.nodes.values())

    def update(self, snapshot: Snapshot) -> None:
        """Not be told."""

    def finish(self, report: RunReport) -> None:
        """Keep it."""
        self.reports.append(report)


def test_an_early_end_is_told_too() -> None:
    """As a run that was cancelled, with the figures until then."""
    ends = Ends()
    for item in combine_pipeline(range(100), [twice], PipelineRuntimeDebugger([ends])):
        if item == 3:
            break
    del item
    (report,) = ends.reports
    assert (report.reason, report.ok) == ("cancelled", False)
    assert {each.state for each in report.nodes.values()} == {"stopped"}
    assert report.nodes["range"].emitted == 4


def test_a_failure_is_told_and_raised() -> None:
    """With the step in which it was."""

    def fail(items: Iterable[int]) -> Iterator[float]:
        for item in items:
            yield 1 / (item - 2)

    ends = Ends()
    with pytest.raises(ZeroDivisionError):
        consume(combine_pipeline(range(9), [fail, twice], PipelineRuntimeDebugger([ends])))
    (report,) = ends.reports
    assert report.reason == "failed"
    assert isinstance(report.error, ZeroDivisionError)
    assert report.nodes["fail"].state == "failed"
    assert report.nodes["twice"].state == "stopped"
    assert all(each.balanced for each in report.nodes.values())


def test_a_reporter_that_raises_is_told_no_more(caplog: pytest.LogCaptureFixture) -> None:
    """The pipeline and the other reporters go on."""

    class Broken(Kept):
        def show(self, records: Sequence[Record]) -> None:
            raise OSError("no disk")

    kept = Kept(0.0)
    debugger = PipelineRuntimeDebugger([Broken(0.0), kept])
    assert list(combine_pipeline(range(5), [twice], debugger))
    assert len(kept.told) > 3
    assert caplog.text.count("the reporter Broken failed") == 1


def test_it_serves_graphs(caplog: pytest.LogCaptureFixture) -> None:
    """As a reporter of a Plumber it logs the same table; a dash stands for what nodes share."""
    kept = Kept()
    out: list[Any] = []
    document = graph("s > f; f > o", s=node(range(50)), f=str, o=out.append)
    Plumber(document, reporters=[PipelineRuntimeDebugger([kept])]).run_sync()
    (records,) = kept.told
    assert [(each.name, each.count) for each in records] == [
        ("s", 50),
        ("f", 50),
        ("o", 50),
        ("(process)", 50),
    ]
    assert records[0].usage is None
    assert records[-1].usage is not None
    Plumber(document, reporters=[PipelineRuntimeDebugger()]).run_sync()
    lines = table_of(caplog)
    assert re.fullmatch(
        r"> f        : count: 50 runtime: +[\d.]+ +[\d.]+/s utime: +- stime: +- "
        r"q: 0 q/e: 0.00 rss: +-",
        lines[1],
    )
    assert len({len(line) for line in lines}) == 1
