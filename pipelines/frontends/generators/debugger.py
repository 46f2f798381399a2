"""What each step of a pipeline costs, told to reporters while it runs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.frontends.generators.meter import Counter, Meter
from pipelines.frontends.generators.nesting import Step, checked
from pipelines.metrics import Reporter, RunReport, Snapshot
from pipelines.reporters.records import TableReporter

__all__ = ["PipelineRuntimeDebugger"]

logger = logging.getLogger(__name__)


class PipelineRuntimeDebugger:
    """Tracks what each step costs: items, time, throughput, CPU, memory growth.

    Give it to `combine_pipeline`, or to a `Plumber` as one of its reporters. It passes on what it
    learns to reporters of its own, which are those that a `Plumber` takes. One that raises is
    logged, and told no more.

    A tracked pipeline is several times slower than a bare one where its steps do little.

    Args:
        reporters: by default one `TableReporter`, which logs to ``pipelines.debugger``.
        call_counter: is asked after each item, and what it says is put down to the step that ran.
        interval: seconds between two tables of the default reporter.

    Attributes:
        interval: seconds between two updates: the least that a reporter wants.
    """

    def __init__(
        self,
        reporters: Iterable[Reporter] | None = None,
        call_counter: Counter | None = None,
        interval: float = 5.0,
    ) -> None:
        given = None if reporters is None else list(reporters)
        self._reporters: list[Reporter] = given or [TableReporter(interval)]
        self._call_counter = call_counter
        self._due: dict[Reporter, float] = {}
        self.interval = min(each.interval for each in self._reporters)

    # A chain of generators.

    def nest(self, source: Iterable[Any], steps: list[Step]) -> Iterator[Any]:
        """Nest the steps around a source, and look on at each."""
        meter = Meter(self.interval, self._call_counter, self.update)
        found = meter.track(source)
        for step in steps:
            result = checked(step(found), step)
            found = found if result is found else meter.track(result)
        return self._told(meter, found)

    def _told(self, meter: Meter, iterator: Iterator[Any]) -> Iterator[Any]:
        meter.begin()
        self.start(meter.snapshot())
        error: BaseException | None = None
        try:
            yield from iterator
        except BaseException as raised:
            error = raised
            raise
        finally:
            del iterator  # which closes what is left of it, so that the last figures are the last
            self.finish(meter.report(error))

    # A reporter.

    def start(self, snapshot: Snapshot) -> None:
        """Be told that a run has started."""
        self._due = {each: each.interval for each in self._reporters}
        for reporter in list(self._due):
            self._tell(reporter, "start", snapshot)

    def update(self, snapshot: Snapshot) -> None:
        """Be told how it goes."""
        for reporter, due in list(self._due.items()):
            if snapshot.seconds >= due * 0.99:  # a timer may ring a little early
                self._due[reporter] = snapshot.seconds + reporter.interval
                self._tell(reporter, "update", snapshot)

    def finish(self, report: RunReport) -> None:
        """Be told how it ended."""
        for reporter in list(self._due):
            self._tell(reporter, "finish", report)

    def _tell(self, reporter: Reporter, what: str, news: Snapshot | RunReport) -> None:
        try:
            getattr(reporter, what)(news)
        except Exception:
            logger.exception("the reporter %s failed", type(reporter).__name__)
            self._due.pop(reporter, None)
