"""The tables: one a workload, one a growth, and one of everything that must hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.model import OURS
from benchmarks.rounds import Grown, Measured
from benchmarks.stats import number, ratio, spread
from benchmarks.verdicts import Judged

Row = Sequence[str]


def table(head: Row, rows: Iterable[Row], words: Sequence[int] = (0,)) -> list[str]:
    """Return the lines of a Markdown table, aligned so that it reads well as it is.

    Args:
        head: its head.
        rows: its rows.
        words: the columns that hold words; the others hold figures, and stand to the right.
    """
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(head))]

    def line(row: Row) -> str:
        padded = (
            cell.ljust(width) if column in words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = (
        "-" * (width + 2) if column in words else "-" * (width + 1) + ":"
        for column, width in enumerate(widths)
    )
    return [line(cells[0]), f"|{'|'.join(rule)}|", *map(line, cells[1:])]


def workload_lines(measured: Measured) -> list[str]:
    """Return a workload's title and its table."""
    workload = measured.workload
    first = OURS if OURS in measured.figures else next(iter(measured.figures), "")
    head = (workload.key, workload.unit.name, "range", f"times {first}", "range", "")
    return [workload.title, "", *table(head, _side_rows(measured, first), (0, 5))]


def _side_rows(measured: Measured, first: str) -> Iterator[Row]:
    notes = {side.name: side.note for side in measured.workload.sides}
    for name, figures in measured.figures.items():
        found = spread(figures)
        if found is None:
            yield name, "", "", "", "", f"could not be measured: {measured.faults[name]}"
            continue
        times = ratio(figures, measured.figures[first])
        compared = (number(times.median), times.range) if times and name != first else ("", "")
        yield name, number(found.median), found.range, *compared, notes[name]
    for name, why in measured.workload.cannot.items():
        yield name, "", "", "", "", f"can't: {why}"


def growth_lines(grown: Grown) -> list[str]:
    """Return the title and the table of a growth: a row for each size."""
    growth = grown.growth
    names = [side.name for side in growth.workload.sides]
    head = [growth.axis, *(f"{name}, {growth.workload.unit.name}" for name in names)]
    if growth.megabytes is not None:
        head += [f"{name}, peak MB" for name in names]
    title = growth.workload.title
    return [title, "", *table(head, _point_rows(grown, names), ())]


def _point_rows(grown: Grown, names: Sequence[str]) -> Iterator[Row]:
    for point, measured in sorted(grown.points.items()):
        kinds = [measured.figures]
        if grown.growth.megabytes is not None:
            kinds.append(measured.megabytes)
        found = [spread(kind.get(name, ())) for kind in kinds for name in names]
        yield f"{point:,}", *(number(each.median) if each else "" for each in found)


def verdict_lines(judged: Iterable[Judged]) -> list[str]:
    """Return the table of everything that must hold."""
    head = ("work", "claim", "verdict", "must", "aim", "measured", "range")
    rows = ((j.key, j.claim, j.verdict, j.must, j.aim, j.measured, j.range) for j in judged)
    return table(head, rows, (0, 1, 2))


def fault_lines(found: Iterable[Measured | Grown]) -> list[str]:
    """Return a line for each side that failed at some size of a growth."""
    return [
        f"{grown.growth.workload.key} at {point:,}: {name}: {fault}"
        for grown in found
        if isinstance(grown, Grown)
        for point, measured in sorted(grown.points.items())
        for name, fault in measured.faults.items()
    ]
