"""A run as records, one a step or node: what most reporters want, and the table that shows them."""

from __future__ import annotations

import abc
import logging
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.metrics import NodeCounts, RunReport, Snapshot

__all__ = ["MeasuredCounts", "Record", "RecordReporter", "TableReporter", "Usage", "records"]

_MEGABYTE = 1 << 20
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes that ru_maxrss counts in


@dataclass(frozen=True, slots=True)
class Usage:
    """What this process has used: CPU seconds in its own code and in the system's, memory in MB.

    The memory is the most that it ever held.
    """

    utime: float = 0.0
    stime: float = 0.0
    rss: float = 0.0

    @classmethod
    def now(cls) -> Usage:
        """Return what the process has used so far."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(used.ru_utime, used.ru_stime, used.ru_maxrss * _RSS_UNIT / _MEGABYTE)

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.utime - other.utime, self.stime - other.stime, self.rss - other.rss)

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.utime + other.utime, self.stime + other.stime, self.rss + other.rss)


@dataclass(frozen=True, slots=True)
class MeasuredCounts(NodeCounts):
    """The counters of a step of which more is known: what it used, and the queries that it made."""

    usage: Usage = Usage()
    queries: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """What one step or node has done so far.

    Attributes:
        name: the step's or the node's.
        count: items that it gave; a list counts for what it holds.
        runtime: seconds at work, without what it waited for from the step before.
        usage: CPU and memory; `None` where the step shares them with others, as the nodes of a
            graph share their process.
        queries: as the debugger's `call_counter` counts them.
    """

    name: str
    count: int
    runtime: float
    usage: Usage | None = None
    queries: int = 0

    @property
    def throughput(self) -> float:
        """Items per second at work."""
        return self.count / self.runtime if self.runtime > 0 else 0.0

    @property
    def queries_per_entry(self) -> float:
        """Queries per item."""
        return self.queries / self.count if self.count else 0.0


def records(run: Snapshot | RunReport) -> list[Record]:
    """Return one record for each node of a run, in the graph's order."""
    senders = {source for source, _ in run.edges}
    return [_record(name, node, name in senders) for name, node in run.nodes.items()]


def _record(name: str, node: NodeCounts, sends: bool) -> Record:
    count = node.emitted if sends else node.passed_on
    if isinstance(node, MeasuredCounts):
        return Record(name, node.emitted, node.busy, node.usage, node.queries)
    return Record(name, count, node.busy)


class RecordReporter(abc.ABC):
    """The base of a reporter that wants no more than `show` of it.

    Args:
        interval: seconds between two calls of `show`; there is one more at the end.
    """

    def __init__(self, interval: float = 5.0) -> None:
        self.interval = interval
        self._before = Usage()

    @abc.abstractmethod
    def show(self, records: Sequence[Record]) -> None:
        """Be told of each step or node; for a graph also of the whole process, as ``(process)``."""

    def start(self, snapshot: Snapshot) -> None:
        """Be told that the run has started."""
        self._before = Usage.now()

    def update(self, snapshot: Snapshot) -> None:
        """Be told how it goes."""
        self.show(self._records(snapshot))

    def finish(self, report: RunReport) -> None:
        """Be told how it ended."""
        self.show(self._records(report))

    def _records(self, run: Snapshot | RunReport) -> list[Record]:
        found = records(run)
        if any(each.usage is None for each in found):
            targets = {target for _, target in run.edges}
            made = sum(node.received for name, node in run.nodes.items() if name not in targets)
            used = Usage.now() - self._before
            found.append(Record("(process)", made, run.seconds, used))
        return found


class TableReporter(RecordReporter):
    """Logs an aligned table, at level INFO.

    Args:
        interval: seconds between two tables.
        logger: where to; by default ``pipelines.debugger``, which is made to let INFO through
            unless it was given a level.
    """

    def __init__(self, interval: float = 5.0, logger: logging.Logger | None = None) -> None:
        super().__init__(interval)
        self._log = logging.getLogger("pipelines.debugger") if logger is None else logger
        if self._log.level == logging.NOTSET:
            self._log.setLevel(logging.INFO)

    def show(self, records: Sequence[Record]) -> None:
        """Log one line for each record, below a rule."""
        self._log.info("-" * 20)
        for line in lines(records):
            self._log.info("%s", line)


def lines(records: Sequence[Record]) -> list[str]:
    """Return each record as a line of a table whose figures stand below each other."""
    cells = [_cells(record) for record in records]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [_line(row, widths) for row in cells]


def _cells(record: Record) -> list[str]:
    used = record.usage
    figures = [None] * 3 if used is None else [used.utime, used.stime, used.rss]
    utime, stime, rss = ("-" if each is None else f"{each:.2f}" for each in figures)
    runtime, throughput = f"{record.runtime:.2f}", f"{record.throughput:.2f}"
    queries = [str(record.queries), f"{record.queries_per_entry:.2f}"]
    return [record.name, str(record.count), runtime, throughput, utime, stime, *queries, rss]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, *figures = row
    count, runtime, rate, utime, stime, queries, per_entry, rss = (
        figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True)
    )
    return (
        f"> {name.ljust(widths[0])}: count: {count} runtime: {runtime} {rate}/s "
        f"utime: {utime} stime: {stime} q: {queries} q/e: {per_entry} rss: {rss}"
    )
