"""The part of a graph that a node's dead letters go through: the node, and all behind it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from operator import itemgetter
from typing import Any

from pipelines.spec import EdgeSpec, GraphSpec, NodeSpec, Properties, Retry
from pipelines.streams import topological_order

__all__ = ["misfit", "part_behind", "reached", "shape_of_letters"]


def part_behind(spec: GraphSpec, node: str, feed: Iterable[Any]) -> GraphSpec:
    """Return the graph at and behind `node`, with `feed` as its only input.

    A join gets its rows from `feed`, taken apart again by a node in the place of each that leads to
    it; a node with `batch` gets whole batches. No edge is durable. Failures are tolerated without a
    limit: these items have failed before.
    """
    part = reached(spec, node)
    nodes = {name: each for name, each in _own_batches(spec).items() if name in part}
    nodes[node] = _unbatched(nodes[node])
    # The logs of durable edges belong to the run whose letters these are.
    edges = [replace(edge, durable=None) for edge in spec.edges if edge.source in part]
    name = _free_name(f"letters of {node}", spec.nodes)
    if shape_of_letters(spec, node) == "row":
        before = [edge.source for edge in spec.inbound(node)]
        nodes |= {each: _helper(each, itemgetter(i)) for i, each in enumerate(before)}
        edges += [EdgeSpec(name, each) for each in before]
        edges += [EdgeSpec(each, node) for each in before]
    else:
        edges.append(EdgeSpec(name, node))
    return replace(
        spec,
        nodes={name: _helper(name, feed), **nodes},
        edges=tuple(edges),
        defaults=replace(spec.defaults, batch=None),
        runtime=replace(spec.runtime, max_failures=None),
    )


def reached(spec: GraphSpec, node: str) -> set[str]:
    """Return `node` and all nodes behind it."""
    found = {node}
    for name in topological_order(spec):
        if name in found:
            found |= {edge.target for edge in spec.outbound(name)}
    return found


def shape_of_letters(spec: GraphSpec, node: str) -> str:
    """Tell what a node's letters hold: ``item``, ``row``, ``batch``, or ``batch of rows``."""
    properties = spec.properties(node)
    joins = len(spec.inbound(node)) > 1 and properties.aggregate_inputs
    if properties.batch is not None:
        return "batch of rows" if joins else "batch"
    return "row" if joins else "item"


def misfit(spec: GraphSpec, node: str, item: Any, shape: str) -> str:
    """Say why the item of a node's letter can't be one of its items, if it can't; else nothing."""
    width = len(spec.inbound(node))
    if not isinstance(item, list):
        return f"node {node!r} takes a {shape}, but the item is {type(item).__name__}"
    rows = item if shape == "batch of rows" else [item] if shape == "row" else []
    if all(isinstance(row, list) and len(row) == width for row in rows):
        return ""
    return f"node {node!r} joins {width} inputs, but the item has not {width} parts"


def _own_batches(spec: GraphSpec) -> dict[str, NodeSpec]:
    """Return the nodes, each with its own `batch` where the graph's defaults say one."""
    if spec.defaults.batch is None:
        return dict(spec.nodes)
    return {
        name: replace(each, properties=replace(each.properties, batch=spec.properties(name).batch))
        for name, each in spec.nodes.items()
        if spec.inbound(name)
    }


def _unbatched(node: NodeSpec) -> NodeSpec:
    return replace(node, properties=replace(node.properties, batch=None))


def _helper(name: str, func: Any) -> NodeSpec:
    """Return a node of ours, which the graph's defaults are not meant for."""
    properties = Properties(
        executor="inline", on_error="fail", ordered=True, retry=Retry(attempts=1)
    )
    return NodeSpec(name, func=func, properties=properties)


def _free_name(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "'"
    return name
