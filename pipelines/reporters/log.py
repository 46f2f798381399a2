"""Progress as log lines, for a run that nobody watches on a terminal."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from pipelines.metrics import RunReport, Snapshot
from pipelines.reporters.advice import advise
from pipelines.reporters.figures import (
    Rates,
    Row,
    ending,
    format_rate,
    format_time,
    rows,
    shortlist,
    totals,
)
from pipelines.spec import GraphSpec
from pipelines.step import Shape

__all__ = ["LogReporter"]

_NODES_IN_A_LINE = 8


class LogReporter:
    """Logs a line every `interval` seconds, and a table at the end, to the logger ``plumber``.

    Args:
        spec, shapes: the graph, and the shapes of its steps; with them the end is advice.
        interval: seconds between two lines.
    """

    def __init__(
        self,
        spec: GraphSpec | None = None,
        shapes: Mapping[str, Shape] | None = None,
        *,
        interval: float = 5.0,
    ) -> None:
        self.interval = interval
        self._spec = spec
        self._shapes = shapes or {}
        self._rates = Rates(window=interval)
        self._log = logging.getLogger("plumber")

    def start(self, snapshot: Snapshot) -> None:
        """Log how large the graph is."""
        self._log.debug("started: %d nodes, %d edges", len(snapshot.nodes), len(snapshot.edges))

    def update(self, snapshot: Snapshot) -> None:
        """Log one line on the nodes that are at work."""
        everything = rows(snapshot, self._rates.update(snapshot))
        shown = shortlist(everything, _NODES_IN_A_LINE)
        parts = [_phrase(row) for row in shown]
        if len(everything) > len(shown):
            parts.append(f"… {len(everything) - len(shown)} more")
        self._log.info("%s  %s", format_time(snapshot.seconds), "; ".join(parts))

    def finish(self, report: RunReport) -> None:
        """Log the table and the bottleneck."""
        for line in aligned(*totals(report)):
            self._log.info("%s", line)
        self._log.info("%s", ending(report))
        if self._spec is not None and (advice := advise(report, self._spec, self._shapes)):
            self._log.info("%s", advice)

    def close(self) -> None:
        """Do nothing: there is no terminal to give back."""


def aligned(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Return a table as lines of text: the first column to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    return ["  ".join(_cells(line, widths)).rstrip() for line in (head, *body)]


def _cells(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *rest = zip(line, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]


def _phrase(row: Row) -> str:
    queue = f" queue {row.queue.size}/{row.queue.maxsize}" if row.queue is not None else ""
    errors = f" {row.errors} errors" if row.errors else ""
    state = f" {row.state}" if row.has_ended else ""
    counts = f"{row.name} {row.taken} in {row.sent} out {format_rate(row.rate)}"
    return f"{counts}{queue}{errors}{state}"
