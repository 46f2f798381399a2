"""Run random graphs against the model for as long as wanted: ``make soak MINUTES=60``.

Each round has a seed of its own, printed when it fails: ``make soak SEED=…`` runs just that round.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisException
from random_graphs import Plan, plans
from test_promises import check_plan
from virtual_time import run_virtually

ROUND = 200  # graphs

#: What a round runs on: nine in twelve on virtual time, two with threads, one with processes.
KINDS: list[tuple[tuple[str, ...], int, Callable[[Any], Any], int]] = [
    *[(("inline",), 8, run_virtually, ROUND)] * 9,
    *[(("inline", "thread"), 7, asyncio.run, ROUND // 4)] * 2,
    (("inline", "process"), 4, asyncio.run, ROUND // 20),
]


class Count:
    """How much was run."""

    def __init__(self) -> None:
        self.graphs = self.items = 0

    def __str__(self) -> str:
        return f"{self.graphs:,} graphs, {self.items:,} items made by their sources"


def run_round(number: int, count: Count) -> None:
    """Run the random graphs of one seed; raises what the first wrong one raises."""
    executors, most, run, examples = KINDS[number % len(KINDS)]
    options = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )

    @seed(number)
    @options
    @given(plans(executors=executors, most=most))
    def check(plan: Plan) -> None:
        count.graphs += 1
        count.items += plan.count * sum(not node.inputs for node in plan.nodes)
        check_plan(plan, run)

    check()


def main() -> int:
    """Run rounds until the time is over; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, help="run only the round of this seed")
    options = parser.parse_args()
    first = random.randrange(10**6) * len(KINDS) if options.seed is None else options.seed
    count, number, until = Count(), first, time.monotonic() + 60 * options.minutes
    while number == first or (options.seed is None and time.monotonic() < until):
        try:
            run_round(number, count)
        except (Exception, HypothesisException):
            print(f"FAILED at seed {number}, after {count}: make soak SEED={number}", flush=True)
            raise
        number += 1
        if (number - first) % 20 == 0:
            print(f"seed {number}: {count}", flush=True)
    print(f"no failure in {count}, seeds {first} to {number - 1}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
