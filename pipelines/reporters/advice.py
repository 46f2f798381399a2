"""Which node held a run up, and what would relieve it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pipelines.metrics import NodeCounts, RunReport
from pipelines.spec import GraphSpec, Properties
from pipelines.step import Shape

__all__ = ["advise"]

_BUSY_ENOUGH = 0.3  # share of the run below which a node held nobody up


def advise(
    report: RunReport, spec: GraphSpec, shapes: Mapping[str, Shape], *, cores: int | None = None
) -> str:
    """Return one line that names the bottleneck and how to relieve it; empty if none can be told.

    Args:
        report: how the run went.
        spec: its graph.
        shapes: the shape of each node's step, where known.
        cores: processors that worker processes can use (default: this machine's).
    """
    name = report.bottleneck
    if name is None or name not in spec.nodes or report.seconds <= 0:
        return ""
    counts = report.nodes[name]
    share = 1 - min(1.0, (counts.starved + counts.blocked) / report.seconds)
    if share < _BUSY_ENOUGH:
        return f"no bottleneck: the busiest node, {name}, worked {share:.0%} of the time"
    relief = _relief(spec, name, counts, shapes.get(name, Shape()), cores or os.cpu_count() or 1)
    return f"bottleneck: {name}, at work {share:.0%} of the time; {relief}"


def _relief(spec: GraphSpec, name: str, counts: NodeCounts, shape: Shape, cores: int) -> str:
    properties = spec.properties(name)
    if properties.rate_limit is not None:
        return f"its rate_limit of {properties.rate_limit} holds it back"
    if not spec.inbound(name):
        return "it is a source, and nothing downstream is slow: only a faster source helps"
    if counts.retried and counts.retried * 2 >= counts.received:
        return f"it tried items again {counts.retried:,} times: {counts.last_error or 'see why'}"
    sink = not spec.outbound(name)
    now = properties.concurrency or _default(properties, shape, sink, cores)
    if shape.is_async:
        return _more_calls(name, now, sink)
    return _off_the_loop(name, properties, now, cores)


def _default(properties: Properties, shape: Shape, sink: bool, cores: int) -> int:
    """Return how many calls a node makes at once that does not say: see `DEFAULTS`."""
    if sink:
        return 1
    if properties.executor == "process":
        return cores
    return 16 if shape.is_async else 1


def _more_calls(name: str, now: int, sink: bool) -> str:
    caution = ", if the order of its effects does not matter" if sink and now == 1 else ""
    return f"raise its concurrency, now {now}{caution}: {_setting(name, 'concurrency', now * 2)}"


def _off_the_loop(name: str, properties: Properties, now: int, cores: int) -> str:
    if properties.executor == "process":
        if now >= cores:
            return f"it has {now} processes on {cores} cores: make the step itself cheaper"
        more = _setting(name, "concurrency", min(cores, now * 2))
        return f"give it more processes, now {now} of {cores} cores: {more}"
    if properties.executor == "thread":
        more = _setting(name, "concurrency", now * 2)
        other = _setting(name, "executor", "process")
        return f"if it waits, more threads, now {now}: {more}; if it computes: {other}"
    process, thread = (_setting(name, "executor", where) for where in ("process", "thread"))
    return f"if it computes: {process}; if it waits: {thread}"


def _setting(name: str, key: str, value: object) -> str:
    return f"--set nodes.{name}.properties.{key}={value}"
