"""The page `RESULTS.md`: everything that was measured, and on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.rounds import Grown, Measured
from benchmarks.verdicts import Judged

FOLDER = Path(__file__).parent
PAGE = FOLDER / "RESULTS.md"

_READING = """\
Written by `make bench`. Each side runs in a process of its own, all sides of a workload in turn,
{rounds} times over; where it is a close thing, those that a claim is about take more turns. A
figure is the median of the rounds. A ratio is the median of the rounds' own ratios, so what slowed
a whole round down does not count; its range is that of the rounds.

*floor* is the same calls with nothing between them. *raw* is a chain of `asyncio.Queue(100)` as
written by hand. *seed* is the design that this library grew from, written anew. The others are
peers, each in its best form; a slow one may run fewer items, which flatters it.
"""


def page(
    found: Sequence[Measured | Grown],
    judged: Sequence[Judged],
    facts: Mapping[str, str],
    rounds: int,
) -> str:
    """Return the text of the page."""
    lines = ["# Results", "", *_READING.format(rounds=rounds).splitlines(), ""]
    lines += report.table(("measured on", ""), facts.items(), (0, 1))
    lines += ["", "![time for each item, side by side](chart.svg)", ""]
    lines += ["## What must hold", "", *report.verdict_lines(judged), ""]
    lines += ["## Each workload", ""]
    for each in found:
        if isinstance(each, Measured):
            lines += [*_heading(report.workload_lines(each)), ""]
    lines += ["## Growth", "", "![cost as the work grows](growth.svg)", ""]
    for each in found:
        if isinstance(each, Grown):
            lines += [*_heading(report.growth_lines(each)), ""]
    lines += [f"- {fault}" for fault in report.fault_lines(found)]
    return "\n".join(lines).rstrip() + "\n"


def _heading(lines: list[str]) -> list[str]:
    return [f"### {lines[0]}", *lines[1:]]
