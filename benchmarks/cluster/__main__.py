"""The command line of the measurements on Ray."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable

from benchmarks import report
from benchmarks.cluster import goals, page, rounds
from benchmarks.rounds import ROOT

_CORES = 2


def main() -> int:
    """Measure, print, write what was asked for, and return the exit status."""
    began = time.monotonic()
    options = _options()
    _take_cores(_CORES)
    os.environ["PYTHONPATH"] = str(ROOT)  # workers import the steps from here
    facts = page.facts()
    plan = rounds.Plan(options.rounds, options.scale, tuple(options.only))
    found = asyncio.run(rounds.measure(plan, _say))
    judged = goals.judge_all(found)
    for title, table in page.tables(found):
        _print("", title, "", *table)
    _print("", *report.verdict_lines(judged))
    if options.write:
        page.PAGE.write_text(page.page(found, judged, facts, options.rounds))
        page.PICTURE.write_text(page.picture(found))
    missed = [each for each in judged if each.verdict == "missed"]
    _print("", f"{len(judged)} goals, {len(missed)} missed, in {time.monotonic() - began:.0f} s")
    _print(*(f"missed: {each}" for each in missed))
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    text = "It ends with 1 where something that must hold does not."
    parser = argparse.ArgumentParser(
        "python -m benchmarks.cluster", description=__doc__, epilog=text
    )
    add = parser.add_argument
    add("--rounds", type=_positive(int), default=4, help="how often each is measured (4)")
    add("--scale", type=_positive(float), default=1.0, help="what part of the items to run (1)")
    add("--only", nargs="+", default=[], metavar="NAME", help="only what is named like this")
    add("--write", action="store_true", help="write CLUSTER.md and its picture")
    options = parser.parse_args()
    if options.write and (options.only or options.scale != 1):
        parser.error("--write is for the whole: leave out --only and --scale")
    if options.only and not any(name.startswith(tuple(options.only)) for name in rounds.names()):
        parser.error(f"nothing is named like this; known: {'; '.join(rounds.names())}")
    return options


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def positive(text: str) -> float:
        if not (value := kind(text)) > 0:
            raise ValueError(text)
        return value

    return positive


def _take_cores(count: int) -> None:
    """Keep this process, and all that it starts, on so many processors."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")


def _print(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
