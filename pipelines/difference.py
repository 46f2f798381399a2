"""What distinguishes a graph from one that runs, and which of it can't be changed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from pipelines.check import Examination
from pipelines.edge import Edge
from pipelines.errors import Problem
from pipelines.processor import Processor
from pipelines.spec import GraphSpec, Properties
from pipelines.streams import Link, analyse, is_join

__all__ = ["Changes", "compare", "refusals"]


@dataclass(frozen=True, slots=True)
class Changes:
    """What `Plumber.apply` has changed; false where that is nothing.

    Attributes:
        added, removed: nodes.
        replaced: nodes that were ended and made anew.
        edges_added, edges_removed: edges, by their two ends.
        edges_changed: edges that hold more or fewer items, or drop other ones, from now on.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    edges_added: tuple[Link, ...] = ()
    edges_removed: tuple[Link, ...] = ()
    edges_changed: tuple[Link, ...] = ()

    def __bool__(self) -> bool:
        nodes = self.added or self.removed or self.replaced
        return bool(nodes or self.edges_added or self.edges_removed or self.edges_changed)


def compare(
    old: GraphSpec,
    nodes: Mapping[str, Processor],
    edges: Mapping[Link, Edge],
    new: Examination,
    made: Mapping[Link, Edge],
) -> Changes:
    """Return how a graph differs from one that runs.

    Args:
        old: the graph that runs.
        nodes, edges: those of the run.
        new: the other graph.
        made: its edges.
    """
    spec = new.spec
    assert spec is not None

    def differs(name: str) -> bool:
        return (
            not _equal(nodes[name].step.target, new.targets.get(name))
            or not _equal(_said(old, name), _said(spec, name))
            or _way_in(old, edges, name) != _way_in(spec, made, name)
            or _reordered(old, spec, name)
        )

    return Changes(
        added=tuple(name for name in spec.nodes if name not in nodes),
        removed=tuple(name for name in nodes if name not in spec.nodes),
        replaced=tuple(name for name in spec.nodes if name in nodes and differs(name)),
        edges_added=tuple(link for link in made if link not in edges),
        edges_removed=tuple(link for link in edges if link not in made),
        edges_changed=tuple(
            link
            for link, edge in made.items()
            if link in edges and _options(edge) != _options(edges[link])
        ),
    )


def _options(edge: Edge) -> tuple[int, str]:
    return edge.maxsize, edge.when_full


def _equal(one: Any, other: Any) -> bool:
    """Compare two values, of which some may not be meant to be compared."""
    try:
        return one is other or bool(one == other)
    except Exception:
        return False


def _said(spec: GraphSpec, name: str) -> tuple[Any, ...]:
    """Return what a graph says of a node and what the node can't do without being made anew."""
    node = spec.nodes[name]
    return node.coro is not None, dict(node.args), _properties(spec, name)


def _properties(spec: GraphSpec, name: str) -> Properties:
    properties = spec.properties(name)
    if spec.inbound(name):
        return replace(properties, buffer_size=None)  # that of its edges
    own = spec.nodes[name].properties.on_error
    return replace(properties, on_error=own, batch=None, timeout=None)  # as `Builder` has it


def _way_in(spec: GraphSpec, edges: Mapping[Link, Edge], name: str) -> tuple[str, int]:
    """Return of what kind a node's way in is, and how many edges' items make up one of its own."""
    inbound = spec.inbound(name)
    if not inbound:
        return "source", 0
    own = spec.nodes[name].properties.aggregate_inputs is False
    if len(inbound) == 1 and not (own and not edges[inbound[0].source, name].gapped):
        return "single", 1
    if spec.properties(name).aggregate_inputs:
        return "join", len(inbound)
    return "merge", 1


def _reordered(old: GraphSpec, new: GraphSpec, name: str) -> bool:
    """Tell whether a join is to have the same rows, in another order."""
    before = [edge.source for edge in old.inbound(name)]
    after = [edge.source for edge in new.inbound(name)]
    joins = len(after) > 1 and bool(new.properties(name).aggregate_inputs)
    return joins and before != after and sorted(before) == sorted(after)


def refusals(
    old: GraphSpec, nodes: Mapping[str, Processor], new: Examination, changes: Changes
) -> Iterator[Problem]:
    """Yield all that can't be changed while the graph runs."""
    spec = new.spec
    assert spec is not None
    for key in ("runtime", "dead_letter"):
        if getattr(old, key) != getattr(spec, key):
            what = f"{key} can't be changed while the graph runs."
            yield Problem("not-live", what, (key,), "Leave it as it is, or start another run.")
    for edge in spec.edges:
        if edge.durable is not None:
            what = f"the edge {edge.source} -> {edge.target} can't become durable while the graph "
            what += "runs."
            hint = "Remove `durable`, or make another Plumber for the new graph."
            yield Problem("not-live", what, ("graph", edge.source), hint)
    if not changes:
        return
    shapes = {name: node.shape for name, node in nodes.items()}
    assert new.streams is not None
    yield from _uneven(old, analyse(old, shapes).of, spec, new.streams.of)


def _uneven(
    old: GraphSpec, streams: Mapping[Link, str], new: GraphSpec, others: Mapping[Link, str]
) -> Iterator[Problem]:
    """Yield the joins in which items that wait for their partners would get wrong ones.

    Where a join pairs several streams, one of them is ahead. What waits for the others has been
    sent already, so an edge that carries the same stream and comes now would lag behind.
    """
    for name in old.nodes:
        if name not in new.nodes or not (_joins(old, name) and _joins(new, name)):
            continue
        before = {(edge.source, name): streams[edge.source, name] for edge in old.inbound(name)}
        after = {(edge.source, name): others[edge.source, name] for edge in new.inbound(name)}
        if len(set(before.values())) > 1 and not _keeps(before, after):
            what = f"node {name!r} pairs several streams, of which one may be ahead of another."
            hint = f"Leave what leads to {name!r} as it is, or put the change in front of that."
            yield Problem("join-uneven", what, ("nodes", name), hint)


def _joins(spec: GraphSpec, name: str) -> bool:
    return is_join(spec, {name: list(spec.inbound(name))}, name)


def _keeps(before: Mapping[Link, str], after: Mapping[Link, str]) -> bool:
    """Tell whether no edge is new, and those that carried one stream still do."""
    return after.keys() <= before.keys() and all(
        (after[one] == after[other]) == (before[one] == before[other])
        for one, other in combinations(after, 2)
    )
