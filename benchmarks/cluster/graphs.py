"""The graphs that are measured, and their steps; workers import these by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.work import nap, spin_4ms

__all__ = ["AFTER", "HOSTS", "JOIN", "diamond", "line"]

#: The diamond's nodes behind its source.
AFTER = ("first", "left", "right", "join")

JOIN = "join"

#: Each node of the diamond in a process of its own; without this all are in one.
HOSTS = {name: {"host": name} for name in AFTER}

#: The calls that a step which waits may have under way in each process.
CALLS = 10


def add_one(value: int) -> int:
    """Return the next number."""
    return value + 1


def twice(value: int) -> int:
    """Return twice a number."""
    return 2 * value


def thrice(value: int) -> int:
    """Return three times a number."""
    return 3 * value


def third(left: int, right: int) -> int:
    """Join both branches; a wrong pair fails."""
    if 3 * left != 2 * right:
        raise ValueError(f"{left} and {right} don't come of one number")
    return right - left


def diamond(
    places: Mapping[str, Mapping[str, Any]] | None = None,
    source: Callable[[], Any] | None = None,
    sink: type | None = None,
) -> dict[str, Any]:
    """Return a graph that forks and joins.

    Args:
        places: more properties of its nodes, by name.
        source: makes its items; without one they are put.
        sink: what takes those behind the join, if anything does.
    """
    steps: dict[str, Any] = dict(zip(AFTER, (add_one, twice, thrice, third), strict=True))
    nodes: dict[str, Any] = {"source": {} if source is None else {"func": source}}
    nodes |= {name: {"func": step} for name, step in steps.items()}
    for name, properties in (places or {}).items():
        nodes[name]["properties"] = dict(properties)
    graph: dict[str, Any] = {"source": ["first"], "first": ["left", "right"]}
    graph |= {"left": [JOIN], "right": [JOIN], JOIN: None}
    if sink is not None:
        nodes["sink"] = {"func": sink}
        graph |= {JOIN: ["sink"], "sink": None}
    return {"nodes": nodes, "graph": graph}


def line(kind: str, replicas: int, source: Callable[[], Any]) -> dict[str, Any]:
    """Return a graph of one step in several processes.

    Args:
        kind: ``computes``, for 4 ms an item, or ``waits``, for 5 ms.
        replicas: how many processes.
        source: makes its items.
    """
    own: dict[str, Any] = {"computes": {}, "waits": {"concurrency": CALLS}}[kind]
    step = {"computes": spin_4ms, "waits": nap}[kind]
    properties = {**own, "replicas": replicas}
    nodes = {"source": {"func": source}, "step": {"func": step, "properties": properties}}
    return {"nodes": nodes, "graph": {"source": ["step"], "step": None}}
