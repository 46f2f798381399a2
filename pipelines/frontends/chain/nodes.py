"""The node of a step: its name, what it calls, and how."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from pipelines.errors import GraphError, Problem, shorten
from pipelines.frontends.chain.record import PROPERTIES, Record
from pipelines.step import Shape, resolve, shape_of

__all__ = ["CALLS", "free_name", "is_source", "make_node", "name_nodes", "reference"]

#: The module of what a node calls that can't call its step as it is.
CALLS = "pipelines.frontends.chain.calls"


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """Return `wanted`, numbered from 2 on where it is taken."""
    taken = set(taken)
    names = (wanted if number == 1 else f"{wanted}_{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def name_nodes(records: Sequence[Record]) -> list[str]:
    """Return a name for each step: as said, or after what it calls, numbered where that repeats.

    Raises:
        GraphError: two say the same name.
    """
    said = [record.options.get("name") for record in records]
    for name in said:
        if name is not None and said.count(name) > 1:
            raise GraphError(
                [Problem("duplicate-name", f"two steps are named {name!r}.", (), "Rename one.")]
            )
    names: list[str] = []
    for record, name in zip(records, said, strict=True):
        names.append(name or free_name(record.title, (*filter(None, said), *names)))
    return names


def is_source(record: Record) -> bool:
    """Tell whether a step makes a stream by itself where no other one leads to it."""
    return record.first == "source" or (record.first == "call" and _shape(record.target).yields)


def make_node(record: Record, name: str, *, first: bool, bare: bool) -> dict[str, Any]:
    """Return the node of a step, as a graph document says it.

    Args:
        record: what is known of the step.
        name: its node's.
        first: whether no step leads to it.
        bare: have it called as it is, without what its place or its options ask for.

    Raises:
        ValueError: it can't stand first, or can't be cached.
        TypeError: its `cache` is of no use.
    """
    if first and (record.first == "never" or _shape(record.target).streams):
        raise ValueError(
            f"step {name!r} works on what comes in, and no step leads to it: "
            f"write PythonStep(function) >> {name}"
        )
    source = first and is_source(record)
    cache = _cache_of(record, name, source)
    inputs = record.inputs and (not first or record.first != "call")
    if bare or source or (inputs and not cache):
        node = {"func": record.target, **({"args": dict(record.args)} if record.args else {})}
    else:
        node = _through(record, inputs, cache)
    said = {key: record.options[key] for key in PROPERTIES if key in record.options}
    return {**node, **({"properties": said} if said else {})}


def _cache_of(record: Record, name: str, source: bool) -> Any:
    """Return where a step's results are kept: true for memory, a folder, or false.

    Raises:
        TypeError: it is none of these.
        ValueError: the step makes a stream.
    """
    cache = record.options.get("cache") or False
    if not isinstance(cache, bool | str | os.PathLike):
        raise TypeError(
            f"step {name!r}: cache is True, or the path of a folder, not {shorten(cache, 60)}"
        )
    shape = _shape(record.target)
    if cache and (source or shape.yields or shape.streams):
        raise ValueError(
            f"step {name!r} makes a stream, which can't be cached: cache a step behind it, or "
            "return a list"
        )
    return cache if isinstance(cache, bool) else os.fspath(cache)


def _through(record: Record, inputs: bool, cache: bool | str) -> dict[str, Any]:
    """Return the node that calls a step without input, or through a cache."""
    said = {"args": dict(record.args) or None, "inputs": None if inputs else False}
    args = {"step": reference(record.target), **said, "cache": cache or None}
    return {
        "func": f"{CALLS}:{'AsyncCall' if _shape(record.target).is_async else 'Call'}",
        "args": {key: value for key, value in args.items() if value is not None},
    }


def _shape(target: Any) -> Shape:
    """Return the kind of a step; a name that leads nowhere is left to the check of the graph."""
    try:
        found = resolve(target) if isinstance(target, str) else target
    except (LookupError, ImportError):
        return Shape()
    return shape_of(found) if callable(found) else Shape()


def reference(target: Any) -> Any:
    """Return the name of a callable, by which a file can hold it; or itself if it has none."""
    name = f"{getattr(target, '__module__', '')}:{getattr(target, '__qualname__', '')}"
    try:
        found = resolve(name) if callable(target) and "<" not in name else None
    except (LookupError, ImportError):
        return target
    return name if found == target else target
