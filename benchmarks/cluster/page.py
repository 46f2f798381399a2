"""The page `CLUSTER.md`, and its picture."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import chart, machine, report
from benchmarks.cluster.rounds import BATCHES, KINDS, LOCAL, MAPPINGS, REPLICAS, Found
from benchmarks.stats import number, ratio, spread
from benchmarks.verdicts import Judged

__all__ = ["PAGE", "PICTURE", "facts", "page", "picture", "tables"]

FOLDER = Path(__file__).parent.parent
PAGE = FOLDER / "CLUSTER.md"
PICTURE = FOLDER / "cluster.svg"

_READING = """\
Written by `make bench-cluster`. Everything is measured in turn, {rounds} times over, each time in
another order and in a new cluster on this machine. A figure is the median of the rounds, beside it
their range. All processes share two processors.

The *diamond* is a source, a step, two steps beside each other, and their join: plain functions that
do next to nothing, so what is measured is what lies between them. *One host*: they share a process,
as neighbours of one scope do. *Node by node*: each has a process of its own. A run's own start and
end are not in the items a second; they stand apart.
"""

_Table = tuple[report.Row, list[report.Row], Sequence[int]]


def page(found: Found, judged: Sequence[Judged], told: Mapping[str, str], rounds: int) -> str:
    """Return the text of the page."""
    lines = ["# Results on Ray", "", *_READING.format(rounds=rounds).splitlines(), ""]
    lines += report.table(("measured on", ""), told.items(), (0, 1))
    lines += ["", "![items a second, by batch and by processes](cluster.svg)", ""]
    lines += ["## What must hold", "", *report.verdict_lines(judged), ""]
    for title, table in tables(found):
        lines += [f"## {title}", "", *table, ""]
    return "\n".join(lines).rstrip() + "\n"


def facts() -> dict[str, str]:
    """Return what a reader needs to know of the machine."""
    import ray

    told = machine.facts(sys.executable)
    del told["peers"]
    return {**told, "Ray": ray.__version__}


def tables(found: Found) -> Iterator[tuple[str, list[str]]]:
    """Yield each table with its title."""
    yield "The diamond, by the size of a batch", report.table(*_diamond(found))
    yield "One step in several processes", report.table(*_replicas(found))
    yield "One item through a live diamond", report.table(*_latency(found))
    yield "A host killed in the middle of a run", report.table(*_kills(found))
    yield "Starting and ending", report.table(*_starts(found))
    yield "Left behind", report.table(*_left(found))


def _cells(found: Found, *what: Any) -> tuple[str, str]:
    """Return a median and its range, as they are written; nothing where it was not measured."""
    known = spread(found.figures.get(what, []))
    return (number(known.median), known.range) if known else ("", "")


def _times(found: Found, left: tuple[Any, ...], right: tuple[Any, ...]) -> str:
    figures = [found.figures.get(each, []) for each in (left, right)]
    times = ratio(*figures) if all(figures) else None
    return number(times.median) if times else ""


def _diamond(found: Found) -> _Table:
    one, each = MAPPINGS
    head = ["batch", f"{one}, items/s", "range", f"{each}, items/s", "range", "times"]
    rows: list[report.Row] = [
        (
            f"{batch:,}",
            *_cells(found, "diamond", one, batch),
            *_cells(found, "diamond", each, batch),
            _times(found, ("diamond", one, batch), ("diamond", each, batch)),
        )
        for batch in BATCHES
    ]
    rows.append((LOCAL, *_cells(found, "diamond", LOCAL, 0), "", "", ""))
    return head, rows, (0,)


def _replicas(found: Found) -> _Table:
    head = ["processes"]
    for kind in KINDS:
        head += [f"{kind}, items/s", "range", "times"]
    rows: list[report.Row] = [
        (str(count), *(cell for kind in KINDS for cell in _grown(found, kind, count)))
        for count in REPLICAS
    ]
    return head, rows, (0,)


def _grown(found: Found, kind: str, count: int) -> tuple[str, str, str]:
    own, one = (("replicas", kind, each) for each in (count, REPLICAS[0]))
    return *_cells(found, *own), _times(found, own, one)


def _latency(found: Found) -> _Table:
    head = ["", "p50, ms", "range", "p95, ms", "range"]
    rows: list[report.Row] = [
        (name, *(cell for p in ("p50", "p95") for cell in _cells(found, "latency", name, p)))
        for name in MAPPINGS
    ]
    return head, rows, (0,)


def _kills(found: Found) -> _Table:
    head = ["killed", "stall, s", "lost", "twice", "in order", "restarts", "batches again"]
    rows: list[report.Row] = [
        (
            each.host,
            f"{each.stall:.2f}",
            str(each.lost),
            str(each.twice),
            "yes" if each.ordered else "no",
            str(each.restarts),
            str(each.resent),
        )
        for each in found.kills
    ]
    return head, rows, (0,)


def _starts(found: Found) -> _Table:
    head = ["", "start, s", "range", "end, s", "range"]
    kinds: dict[str, tuple[str, ...]] = {"a cluster on this machine": ("cluster",)}
    kinds |= {f"a run in it, {name}": ("run", name) for name in MAPPINGS}
    rows: list[report.Row] = [
        (name, *(cell for end in ("start", "end") for cell in _cells(found, *key, end)))
        for name, key in kinds.items()
    ]
    return head, rows, (0,)


def _left(found: Found) -> _Table:
    head = ["in all rounds", "created", "left"]
    rows: list[report.Row] = [
        (
            "objects in the store",
            f"{sum(each.created for each in found.left):,}",
            f"{sum(each.objects for each in found.left):,}",
        ),
        ("bytes in the store", "", f"{sum(each.size for each in found.left):,}"),
        ("processes", "", str(found.processes)),
        ("folders", "", str(found.folders)),
    ]
    return head, rows, (0,)


def picture(found: Found) -> str:
    """Return the picture: how items a second grow with batches, and with processes."""
    by_batch = {name: _curve(found, BATCHES, "diamond", name) for name in MAPPINGS}
    by_replicas = {kind: _curve(found, REPLICAS, "replicas", kind) for kind in KINDS}
    plots = [
        chart.Plot("A diamond on Ray", "items of a batch", "items/s", by_batch),
        chart.Plot("One step in several processes", "processes", "items/s", by_replicas),
    ]
    return chart.plotted(plots, "Items a second on Ray")


def _curve(found: Found, points: Iterable[int], *what: Any) -> dict[int, float]:
    return {point: statistics.median(found.figures[*what, point]) for point in points}
