"""Which edges carry the same stream, position by position, and where gap marks are needed.

Two edges carry the same stream when their n-th entries come from the same item of the same source.
A node that gives one result per item, in order, passes its stream on; anything else starts a new
one. An aggregated join pairs by position, so its inbound edges must carry one stream, or streams
that have nothing to do with each other. See the wiki page *Concepts*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.spec import EdgeSpec, GraphSpec
from pipelines.step import Shape

__all__ = ["Link", "Streams", "analyse", "is_join", "topological_order"]

#: The two ends of an edge, which name it: a graph has at most one edge from a node to another.
Link = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Streams:
    """What `analyse` found.

    Attributes:
        of: each edge's stream, named after the node (or the dropping edge) that starts it.
        broken_by: for each stream that does not start at an input node, what starts it anew.
        gapped: the edges on which a missing item must leave a gap mark.
    """

    of: Mapping[Link, str]
    broken_by: Mapping[str, str]
    gapped: frozenset[Link]


def is_join(spec: GraphSpec, inbound: Mapping[str, list[EdgeSpec]], name: str) -> bool:
    """Tell whether node `name` aggregates several inbound edges into rows."""
    return len(inbound[name]) > 1 and bool(spec.properties(name).aggregate_inputs)


def topological_order(spec: GraphSpec) -> list[str]:
    """Return the node names, each after all that lead to it.

    Raises:
        graphlib.CycleError: the graph has a cycle.
    """
    return list(spec.topological_order())


def analyse(spec: GraphSpec, shapes: Mapping[str, Shape]) -> Streams:
    """Follow every stream through an acyclic graph whose edges lead from and to known nodes.

    Args:
        spec: the graph.
        shapes: the shape of each node's step, where known; an unknown one counts as plain.
    """
    inbound: dict[str, list[EdgeSpec]] = {name: [] for name in spec.nodes}
    outbound: dict[str, list[EdgeSpec]] = {name: [] for name in spec.nodes}
    for edge in spec.edges:
        inbound[edge.target].append(edge)
        outbound[edge.source].append(edge)

    order = topological_order(spec)
    breaks = {name: _why_broken(spec, shapes.get(name, Shape()), inbound, name) for name in order}
    of: dict[Link, str] = {}
    broken_by: dict[str, str] = {}
    for name in order:
        entering = {of[edge.source, edge.target] for edge in inbound[name]}
        stream = entering.pop() if len(entering) == 1 and not breaks[name] else name
        if stream == name and breaks[name]:
            broken_by[name] = breaks[name]
        for edge in outbound[name]:
            of[name, edge.target] = stream
            if edge.when_full != "block":
                of[name, edge.target] = dropping = f"{name} -> {edge.target}"
                broken_by[dropping] = f"drops items when it is full ({edge.when_full})"

    gapped: set[Link] = set()
    for name in reversed(order):
        needs = is_join(spec, inbound, name) or (
            not breaks[name] and any((name, edge.target) in gapped for edge in outbound[name])
        )
        if needs:
            gapped |= {(e.source, name) for e in inbound[name] if e.when_full == "block"}
    return Streams(of, broken_by, frozenset(gapped))


def _why_broken(
    spec: GraphSpec, shape: Shape, inbound: Mapping[str, list[EdgeSpec]], name: str
) -> str:
    """Say why node `name` starts a new stream; empty where it passes its own on."""
    properties = spec.properties(name)
    if not inbound[name]:
        return ""
    if len(inbound[name]) > 1 and not properties.aggregate_inputs:
        return "merges its inputs as they come (aggregate_inputs: false)"
    if shape.yields:
        return "yields any number of values for one item"
    if properties.batch is not None:
        return "gathers items into batches"
    if not properties.ordered:
        return "gives results in the order they are ready (ordered: false)"
    return ""
