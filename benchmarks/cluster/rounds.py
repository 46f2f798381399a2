"""Rounds: each starts a cluster of its own, measures everything once in it, and ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.cluster import graphs, runs
from pipelines.engines.cluster.joining import Cluster, connect
from pipelines.engines.ray import RayEngine

__all__ = ["BATCHES", "KINDS", "LOCAL", "MAPPINGS", "REPLICAS", "Found", "Plan", "measure", "names"]

#: Items of a batch, and how many are run in it: about a second's worth, with all in one host.
BATCHES = {1: 1_000, 10: 8_000, 100: 80_000, 1_000: 300_000, 10_000: 600_000}

#: How the diamond's nodes are spread over processes, and what part of the items such a run takes.
MAPPINGS: dict[str, tuple[dict[str, Any], float]] = {
    "one host": ({}, 1.0),
    "node by node": (graphs.HOSTS, 0.4),
}

LOCAL = "this process"
_LOCAL_ITEMS = 600_000

REPLICAS = (1, 2, 4)

#: What the step with replicas does, and how many items a run takes in each process.
KINDS = {"computes": 150, "waits": 2_000}
_REPLICAS_BATCH = 10

_SCOPES = ("production", "testing", "research")
_KILL_ITEMS = 40_000
_KILL_BATCH = 100
_LATENCIES = 200


@dataclass
class Found:
    """What came of all rounds.

    Attributes:
        figures: one a round, by what was measured.
        kills: one a round.
        left: in the object store, behind each round.
        processes, folders: left behind when the cluster had ended, in all.
    """

    figures: dict[tuple[Any, ...], list[float]] = field(default_factory=dict)
    kills: list[runs.Killed] = field(default_factory=list)
    left: list[runs.Left] = field(default_factory=list)
    processes: int = 0
    folders: int = 0

    def add(self, *what: Any, figure: float) -> None:
        """Add a figure of this round."""
        self.figures.setdefault(what, []).append(figure)


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        rounds: how often.
        scale: what part of the items to run.
        only: how the names start of what to measure; everything where it is empty.
    """

    rounds: int = 4
    scale: float = 1.0
    only: tuple[str, ...] = ()

    def items(self, count: float, least: int = 1) -> int:
        """Return how many items to run."""
        return max(least, int(count * self.scale))


async def measure(plan: Plan, say: Callable[[str], None]) -> Found:
    """Measure in rounds, each time in another order.

    Args:
        plan: what and how often.
        say: is told how far it is.
    """
    found = Found()
    for number in range(plan.rounds):
        began = time.perf_counter()
        own = await connect(scopes=_SCOPES)
        found.add("cluster", "start", figure=time.perf_counter() - began)
        folder = _folder(own)
        try:
            await _round(found, number, plan, say)
            found.left.append(await runs.left_behind(own))
        finally:
            began = time.perf_counter()
            await own.close()
        found.add("cluster", "end", figure=time.perf_counter() - began)
        found.processes += await asyncio.to_thread(_descendants)
        found.folders += folder.exists()
    return found


async def _round(found: Found, number: int, plan: Plan, say: Callable[[str], None]) -> None:
    jobs = {
        name: job
        for name, job in _jobs(found, number, plan)
        if not plan.only or name.startswith(plan.only)
    }
    names = list(jobs)
    first = number * len(names) // plan.rounds  # nobody always comes behind the same one
    for name in (*names[first:], *names[:first]):
        say(f"round {number + 1}: {name}")
        await jobs[name]()


def names() -> list[str]:
    """Return the names of all that can be measured."""
    return [name for name, _ in _jobs(Found(), 0, Plan())]


def _jobs(found: Found, number: int, plan: Plan) -> Iterator[tuple[str, _Job]]:
    """Yield all that is measured in a round, each with its name."""
    items = plan.items(_LOCAL_ITEMS)
    yield f"diamond, {LOCAL}", partial(_diamond, found, LOCAL, 0, {}, items, None)
    for batch, count in BATCHES.items():
        for mapping, (places, part) in MAPPINGS.items():
            items, engine = plan.items(count * part), RayEngine(batch=batch)
            job = partial(_diamond, found, mapping, batch, places, items, engine)
            yield f"diamond, {mapping}, batch {batch:,}", job
    for kind, count in KINDS.items():
        for replicas in REPLICAS:
            items = plan.items(count * replicas)
            yield f"{kind}, {replicas}", partial(_replicas, found, kind, replicas, items)
    for mapping, (places, _) in MAPPINGS.items():
        items = plan.items(_LATENCIES, least=20)
        yield f"latency, {mapping}", partial(_latency, found, mapping, places, items)
    items = plan.items(_KILL_ITEMS, least=20 * _KILL_BATCH)
    yield "kill", partial(_kill, found, graphs.AFTER[number % len(graphs.AFTER)], items)


_Job = Callable[[], Awaitable[None]]


async def _diamond(
    found: Found,
    mapping: str,
    batch: int,
    places: dict[str, Any],
    items: int,
    engine: RayEngine | None,
) -> None:
    graph = partial(graphs.diamond, places)
    rate = await runs.rate(graph, items, graphs.JOIN, engine)
    found.add("diamond", mapping, batch, figure=rate.per_second)
    if engine is not None:
        found.add("run", mapping, "start", figure=rate.start)
        found.add("run", mapping, "end", figure=rate.end)


async def _replicas(found: Found, kind: str, replicas: int, items: int) -> None:
    graph = partial(graphs.line, kind, replicas)
    rate = await runs.rate(graph, items, "step", RayEngine(batch=_REPLICAS_BATCH))
    found.add("replicas", kind, replicas, figure=rate.per_second)


async def _latency(found: Found, mapping: str, places: dict[str, Any], items: int) -> None:
    middle, high = await runs.latencies(places, items)
    found.add("latency", mapping, "p50", figure=1000 * middle)
    found.add("latency", mapping, "p95", figure=1000 * high)


async def _kill(found: Found, host: str, items: int) -> None:
    """Kill a host of the diamond over three scopes; the join is in the same one as the fork."""
    scopes = dict(zip(graphs.AFTER, (*_SCOPES, _SCOPES[0]), strict=True))
    places = {name: {"scope": scope} for name, scope in scopes.items()}
    found.kills.append(await runs.kill(places, host, items, _KILL_BATCH))


# What is left.


def _descendants() -> int:
    """Count this process's descendants, which may take a moment to be gone."""
    import psutil

    return len(psutil.wait_procs(psutil.Process().children(recursive=True), timeout=3)[1])


def _folder(own: Cluster) -> Path:
    """Return the folder that a cluster of our own has made for itself."""
    return Path(own.ray._private.worker.global_worker.node.get_session_dir_path()).parent
