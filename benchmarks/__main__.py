"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks import chart, machine, peers, report, results
from benchmarks.model import Growth, Workload
from benchmarks.rounds import Grown, Measured, Plan, measure, measure_growth
from benchmarks.verdicts import judge_all
from benchmarks.workloads import GROWTHS, WORKLOADS

_ALL: tuple[Workload | Growth, ...] = (*WORKLOADS, *GROWTHS)
_EPILOG = "It ends with 1 where something that must hold does not."


def main() -> int:
    """Measure, print, write what was asked for, and return the exit status."""
    began = time.monotonic()
    options = _options()
    chosen = _chosen(options.only, options.skip)
    facts = machine.facts(options.python)
    plan = _plan(options)
    facts["30 µs of computing"] = f"the sum of {plan.numbers:,} numbers"
    found = _measure_all(chosen, plan)
    judged = judge_all(found)
    _print("", *(report.verdict_lines(judged) if judged else ()))
    if options.write:
        results.PAGE.write_text(results.page(found, judged, facts, options.rounds))
        chart.write_all(found)
    missed = [each for each in judged if each.verdict == "missed"]
    _print("", f"{len(judged)} claims, {len(missed)} missed, in {time.monotonic() - began:.0f} s")
    _print(*(f"missed: {each}" for each in missed))
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__, epilog=_EPILOG)
    add = parser.add_argument
    add("--only", nargs="+", metavar="KEY", help="only workloads whose key starts like this")
    add("--skip", nargs="+", metavar="KEY", help="all but those whose key starts like this")
    add("--sides", nargs="+", default=[], metavar="NAME", help="only sides named like this")
    add("--rounds", type=_positive(int), default=7, help="how often each side is run (7)")
    add("--scale", type=_positive(float), default=1.0, help="what part of the items to run (1)")
    add("--python", default=sys.executable, help="the interpreter to measure (this one)")
    add("--no-peers", dest="peers", action="store_false", help="leave the peers out")
    add("--quick", action="store_true", help="3 rounds of fewer items, no peers")
    add("--write", action="store_true", help="write RESULTS.md and the pictures")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.scale, options.peers = 3, 0.6, False
        options.skip = [*(options.skip or []), "growth"]
    if options.write and not _is_whole(options):
        parser.error("--write is for the whole: leave out what takes less of it")
    return options


def _is_whole(options: argparse.Namespace) -> bool:
    parts = options.only or options.skip or options.sides
    return not parts and options.peers and options.scale == 1


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def positive(text: str) -> float:
        if not (value := kind(text)) > 0:
            raise ValueError(text)
        return value

    return positive


def _plan(options: argparse.Namespace) -> Plan:
    return Plan(
        options.python,
        peers.prepare(options.python, _print) if options.peers else None,
        options.rounds,
        options.scale,
        tuple(options.sides),
        machine.spin(options.python),
    )


def _chosen(only: list[str] | None, skip: list[str] | None) -> list[Workload | Growth]:
    def key(each: Workload | Growth) -> str:
        return each.workload.key if isinstance(each, Growth) else each.key

    chosen = [each for each in _ALL if key(each).startswith(tuple(only or [""]))]
    if not chosen:
        sys.exit(f"no workload starts like this; known: {', '.join(map(key, _ALL))}")
    return [each for each in chosen if not (skip and key(each).startswith(tuple(skip)))]


def _measure_all(chosen: Sequence[Workload | Growth], plan: Plan) -> list[Measured | Grown]:
    found: list[Measured | Grown] = []
    for each in chosen:
        if isinstance(each, Growth):
            few = min(plan.rounds, each.rounds)
            grown = measure_growth(each, dataclasses.replace(plan, rounds=few))
            _print("", *report.growth_lines(grown), *report.fault_lines([grown]))
            found.append(grown)
        else:
            measured = measure(each, plan)
            _print("", *report.workload_lines(measured))
            found.append(measured)
    return found


def _print(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
