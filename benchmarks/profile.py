"""Where the time of one of our own workloads goes: ``python -m benchmarks.profile w1-async``.

The profiler itself costs at each call, so small functions look dearer than they are. The shares
tell where to look; what a change gains, only a measurement tells.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib
import pstats
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.model import OURS, Side, Workload
from benchmarks.rounds import ROOT
from benchmarks.workloads import WORKLOADS


def main() -> None:
    """Print the functions of a workload that took most time by themselves."""
    parser = argparse.ArgumentParser("python -m benchmarks.profile", description=__doc__)
    keys = {workload.key: workload for workload in WORKLOADS}
    parser.add_argument("key", choices=keys, help="the workload")
    parser.add_argument("--side", default=OURS, help=f"one of its sides ({OURS})")
    parser.add_argument("--top", type=int, default=12, help="how many functions to show (12)")
    options = parser.parse_args()
    workload = keys[options.key]
    sides = [side for side in workload.sides if side.name == options.side]
    if not sides:
        parser.error(f"its sides are: {', '.join(side.name for side in workload.sides)}")
    stats = profiled(workload, sides[0])
    lines = report.table(("of the time", "calls", "function"), rows(stats, options.top), (2,))
    sys.stdout.writelines(f"{line}\n" for line in lines)


def profiled(workload: Workload, side: Side) -> pstats.Stats:
    """Run a side in this process under the profiler, after a run that warms up."""
    module = importlib.import_module(f"benchmarks.sides.{side.module}")
    call = getattr(module, side.call or workload.call)
    items = side.items or workload.items
    call(min(workload.warm or items, items), **side.params)
    profiler = cProfile.Profile()
    profiler.runcall(call, items, **side.params)
    return pstats.Stats(profiler)


def rows(stats: pstats.Stats, top: int) -> Iterator[Sequence[str]]:
    """Yield a row for each of the functions that took most time by themselves."""
    found: dict[tuple[str, int, str], Any] = stats.stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in found.values())
    dearest = sorted(found.items(), key=lambda each: each[1][2], reverse=True)
    for (file, line, name), (_, calls, own, _, _) in dearest[:top]:
        yield f"{own / total:.0%}", f"{calls:,}", f"`{_where(file, line, name)}`"


def _where(file: str, line: int, name: str) -> str:
    path = Path(file)
    if file.startswith(str(ROOT)):
        return f"{path.relative_to(ROOT)}:{line} {name}"
    return f"{path.parent.name}/{path.name} {name}" if line else name


if __name__ == "__main__":
    main()
