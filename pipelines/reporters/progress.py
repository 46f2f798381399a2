"""The live view on a terminal: one row per node while the graph runs, a table at the end."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipelines.metrics import EdgeCounts, RunReport, Snapshot
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
from pipelines.reporters.printed import Printed
from pipelines.spec import GraphSpec
from pipelines.step import Shape

__all__ = ["ProgressReporter"]

_BAR = 8
_AROUND = 5  # lines of the view that are not nodes, and one to keep the screen from scrolling
_COLOURS = {
    "waiting": "dim",
    "blocked": "yellow",
    "running": "green",
    "done": "blue",
    "failed": "bold red",
    "stopped": "magenta",
}


class ProgressReporter:
    """Shows the run on the terminal that stderr is.

    What is printed meanwhile, to stdout or stderr, appears above the view, at its next refresh.
    A stdout that is no terminal is not touched.

    Args:
        spec, shapes: the graph, and the shapes of its steps; with them the end is advice.
    """

    interval = 0.2

    def __init__(
        self, spec: GraphSpec | None = None, shapes: Mapping[str, Shape] | None = None
    ) -> None:
        self._spec = spec
        self._shapes = shapes or {}
        self._rates = Rates()
        self._console = Console(file=sys.stderr, highlight=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._printed = Printed(self._console)

    def start(self, snapshot: Snapshot) -> None:
        """Show the view."""
        self._live.start()
        self._printed.start()
        self.update(snapshot)

    def update(self, snapshot: Snapshot) -> None:
        """Bring the view up to date."""
        self._printed.show()
        self._live.update(self._view(snapshot), refresh=True)

    def finish(self, report: RunReport) -> None:
        """Take the view away and leave the table."""
        self.close()
        head, body = totals(report)
        table = Table(*head, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in table.columns[1:]:
            column.justify = "right"
        for name, *counts in body:
            table.add_row(Text(name), *counts)
        self._console.print(table)
        self._console.print(Text(ending(report), style="bold green" if report.ok else "bold red"))
        if self._spec is not None and (advice := advise(report, self._spec, self._shapes)):
            self._console.print(Text(advice))

    def close(self) -> None:
        """Give the terminal back; harmless if that has been done."""
        self._live.stop()
        self._printed.stop()

    def _view(self, snapshot: Snapshot) -> Group:
        everything = rows(snapshot, self._rates.update(snapshot))
        shown = shortlist(everything, self._console.height - _AROUND)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("node", no_wrap=True, overflow="ellipsis", max_width=32)
        for title in ("in", "out", "rate"):
            table.add_column(title, justify="right", no_wrap=True)
        for title in ("queue", "state", "errors"):
            table.add_column(title, no_wrap=True)
        for row in shown:
            table.add_row(*_cells(row))
        foot = Text(format_time(snapshot.seconds), style="bold")
        if hidden := len(everything) - len(shown):
            foot.append(f"  … {hidden} more nodes", style="dim")
        if snapshot.bottleneck:
            foot.append(f"  busiest: {snapshot.bottleneck}", style="dim")
        foot.truncate(self._console.width, overflow="ellipsis")
        return Group(table, foot)


def _cells(row: Row) -> tuple[Text, ...]:
    return (
        Text(row.name),
        Text(f"{row.taken:,}"),
        Text(f"{row.sent:,}"),
        Text(format_rate(row.rate)),
        _bar(row.queue),
        Text(row.state, style=_COLOURS[row.state]),
        Text(f"{row.errors:,}" if row.errors else "", style="red"),
    )


def _bar(edge: EdgeCounts | None) -> Text:
    """Return a small bar and the figures, ``██░░░░░░ 27/100``; nothing for an input node."""
    if edge is None or not edge.maxsize:
        return Text("")
    full = min(_BAR, -(-edge.size * _BAR // edge.maxsize))
    text = Text("█" * full, style="yellow" if full == _BAR else "cyan")
    text.append("░" * (_BAR - full), style="dim")
    return text.append(f" {edge.size}/{edge.maxsize}", style="default")
