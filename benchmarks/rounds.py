"""Runs every side of a workload in turn, again and again, each time in a fresh process."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.model import Growth, Side, Workload
from benchmarks.work import SPIN

ROOT = Path(__file__).resolve().parent.parent

_TIMEOUT = 120.0  # seconds for one measurement
_SPEND = 0.25  # seconds that a process measures for, where one run takes less


@dataclass
class Measured:
    """What came of a workload.

    Attributes:
        workload: what was measured.
        figures: each side's figures in the workload's unit, one a round.
        megabytes: each side's peaks of memory above the start, one a round.
        faults: why a side could not be measured.
    """

    workload: Workload
    figures: dict[str, list[float | None]] = field(default_factory=dict)
    megabytes: dict[str, list[float | None]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


@dataclass
class Grown:
    """What came of a workload at several sizes: what was measured at each point."""

    growth: Growth
    points: dict[int, Measured] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """How the workloads are run.

    Attributes:
        python: the interpreter for our own sides.
        peers: the interpreter of the peers' environment, or `None` to leave the peers out.
        rounds: how many.
        scale: what part of the items a quick run takes.
        sides: how the names of the sides start that take part; all where it is empty.
        numbers: how many of them are summed up by a step that computes for 30 µs.
    """

    python: str
    peers: str | None = None
    rounds: int = 7
    scale: float = 1.0
    sides: tuple[str, ...] = ()
    numbers: int = 3_000

    def takes(self, side: Side) -> bool:
        """Tell whether a side takes part."""
        wanted = not self.sides or side.name.startswith(self.sides)
        return wanted and not (side.peer and self.peers is None)

    def interpreter(self, side: Side) -> str:
        """Return what a side is run with."""
        return self.peers if side.peer and self.peers else self.python

    def items(self, workload: Workload, side: Side) -> int:
        """Return how many items a side runs: a multiple of a hundred where they are fewer."""
        items = side.items or workload.items
        if self.scale == 1 or not workload.scales:
            return items
        return max(100, int(items * self.scale) // 100 * 100)


class Fault(Exception):
    """A side could not be measured, or its result is wrong."""


def measure(workload: Workload, plan: Plan) -> Measured:
    """Measure the sides of a workload, interleaved; one that fails is left out from then on.

    Where it asks for more rounds than the plan, they are for the sides that a claim is about.
    """
    found = _unmeasured(workload, plan)
    for number in range(plan.rounds * workload.rounds):
        _measure_round(found, plan, number)
    return found


def _unmeasured(workload: Workload, plan: Plan) -> Measured:
    names = [side.name for side in workload.sides if plan.takes(side)]
    return Measured(workload, {name: [] for name in names}, {name: [] for name in names})


def _measure_round(found: Measured, plan: Plan, number: int) -> None:
    sides = [side for side in found.workload.sides if plan.takes(side)]
    if number >= plan.rounds:
        claimed = {name for claim in found.workload.claims for name in (claim.side, claim.against)}
        sides = [side for side in sides if side.name in claimed]
    first = number % max(1, len(sides))  # nobody always comes behind the same one
    for side in (*sides[first:], *sides[:first]):
        _measure_side(found, side, plan)


def _measure_side(found: Measured, side: Side, plan: Plan) -> None:
    figure = peak = None
    if side.name not in found.faults:
        try:
            figure, peak = _figures(found.workload, side, plan)
        except Fault as fault:
            found.faults[side.name] = str(fault)
    found.figures[side.name].append(figure)
    found.megabytes[side.name].append(peak)


def _figures(workload: Workload, side: Side, plan: Plan) -> tuple[float | None, float | None]:
    items = plan.items(workload, side)
    told = job(workload, side, items)
    answer = run_child(plan.interpreter(side), told, {SPIN: str(plan.numbers)})
    expected = workload.result(items)
    if answer["result"] != expected:
        raise Fault(f"wrong result: {answer['result']!r} instead of {expected!r}")
    if workload.measure == "memory":
        return answer["megabytes"], answer["megabytes"]
    value = answer["value"] * workload.unit.factor
    return value / items if workload.unit.per_item else value, answer["megabytes"]


def measure_growth(growth: Growth, plan: Plan) -> Grown:
    """Measure a workload at each of its sizes, interleaved."""
    found = Grown(growth)
    for point in growth.points:
        workload = dataclasses.replace(growth.workload, items=point, scales=False)
        found.points[point] = _unmeasured(workload, plan)
    for number in range(plan.rounds):
        for measured in found.points.values():
            _measure_round(measured, plan, number)
    return found


def job(workload: Workload, side: Side, items: int) -> dict[str, Any]:
    """Return what a child is told."""
    return {
        "module": side.module,
        "call": side.call or workload.call,
        "items": items,
        "params": dict(side.params),
        "warm": min(workload.warm, items),
        "cores": workload.cores,
        "times": workload.times,
        "spend": _SPEND,
    }


def run_child(
    python: str, told: dict[str, Any], variables: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run one measurement in a fresh process and return its answer.

    Args:
        python: the interpreter.
        told: what `job` returns.
        variables: more of its environment.

    Raises:
        Fault: it failed, or took too long.
    """
    try:
        done = subprocess.run(
            [python, "-m", "benchmarks.child", json.dumps(told)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Fault(f"not done after {_TIMEOUT:.0f} s") from None
    if done.returncode:
        raise Fault(_last_line(done.stderr) or f"exit status {done.returncode}")
    answer: dict[str, Any] = json.loads(_last_line(done.stdout))
    return answer


def _last_line(text: str) -> str:
    lines: Sequence[str] = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
