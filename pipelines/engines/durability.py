"""What durable edges need of a graph: that it is known of each batch what it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.engines.plan import HostPlan, Plan
from pipelines.errors import GraphError, Problem
from pipelines.spec import EdgeSpec, GraphSpec
from pipelines.streams import Link

__all__ = ["Lineage", "lineage_of", "root_of"]


@dataclass(frozen=True, slots=True)
class _Made:
    """What lies on an edge: of which roots, and whether each batch is of one piece of one."""

    roots: frozenset[str]
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Lineage:
    """What is known of a graph with durable edges; of any other one all is empty.

    Attributes:
        regrouping: the heads that make batches of parts of others: joins of several streams, and
            nodes that take lists.
        roots: for each durable edge the input nodes and durable edges that it keeps batches of.
        kept_whole: the input nodes of which nothing goes anywhere but over durable edges, so that
            what these have kept need not be made again.
    """

    regrouping: frozenset[str] = frozenset()
    roots: dict[Link, frozenset[str]] = field(default_factory=dict)
    kept_whole: frozenset[str] = frozenset()


def root_of(edge: EdgeSpec) -> str:
    """Return what a durable edge is called as an origin."""
    return f"{edge.source} -> {edge.target}"


def lineage_of(spec: GraphSpec, plan: Plan) -> Lineage:
    """Follow all batches through a plan.

    Raises:
        GraphError: a durable edge can't be had there; it lists every problem.
    """
    durable = [edge for edge in spec.edges if edge.durable is not None]
    if not durable:
        return Lineage()
    on: dict[Link, _Made] = {}
    for name in plan.local:
        for edge in spec.outbound(name):
            on[name, edge.target] = _Made(frozenset([name]))
    regrouping = set()
    for host in plan.hosts:
        coming = [_behind(edge, on[edge.source, edge.target]) for edge in host.inbound]
        made = _made(spec, host, coming)
        if not made.whole and all(each.whole for each in coming):
            regrouping.add(host.head)
        for edge in host.outbound:
            on[edge.source, edge.target] = made
    problems = [each for edge in durable for each in _faults(spec, edge, on)]
    problems += [each for host in plan.hosts for each in _mispairing(spec, host, on)]
    problems += [each for name in sorted(plan.local) for each in _unseen(spec, name, on)]
    if problems:
        raise GraphError(problems)
    return Lineage(
        frozenset(regrouping),
        {(edge.source, edge.target): on[edge.source, edge.target].roots for edge in durable},
        frozenset(name for name in plan.local if _all_kept(spec, name)),
    )


def _behind(edge: EdgeSpec, made: _Made) -> _Made:
    return made if edge.durable is None else _Made(frozenset([root_of(edge)]))


def _made(spec: GraphSpec, host: HostPlan, coming: list[_Made]) -> _Made:
    """Return what a host's results are made of."""
    properties = spec.properties(host.head)
    roots = frozenset[str]().union(*(each.roots for each in coming))
    whole = all(each.whole for each in coming) and properties.batch is None
    if len(coming) > 1 and properties.aggregate_inputs:
        whole = whole and len(roots) == 1  # else one's batches are not cut where another's are
    elif len(coming) > 1:
        whole = whole and len(roots) == sum(len(each.roots) for each in coming)
    return _Made(roots, whole)


def _mispairing(spec: GraphSpec, host: HostPlan, on: dict[Link, _Made]) -> Iterator[Problem]:
    """Yield a join that would pair wrongly after a crash: one of its streams then begins later."""
    coming = [_behind(edge, on[edge.source, edge.target]) for edge in host.inbound]
    roots = sorted(frozenset[str]().union(*(each.roots for each in coming)))
    joins = len(coming) > 1 and spec.properties(host.head).aggregate_inputs
    if joins and len(roots) > 1 and not all(root in spec.nodes for root in roots):
        path = ("nodes", host.head)
        line, column = spec.locations.get(path, (None, None))
        what = f"node {host.head!r} pairs {' with '.join(roots)}: after a crash a durable edge "
        what += "goes on where it was, and the others would begin elsewhere."
        hint = "Put the durable edge in front of where the streams part, or behind the join."
        yield Problem("join-not-durable", what, path, hint, "error", spec.source, line, column)


def _unseen(spec: GraphSpec, name: str, on: dict[Link, _Made]) -> Iterator[Problem]:
    """Yield a node of the driver behind a durable edge: what has its effect there is not known."""
    coming = [_behind(edge, on[edge.source, edge.target]) for edge in spec.inbound(name)]
    roots = sorted(root for each in coming for root in each.roots if root not in spec.nodes)
    if roots:
        path = ("nodes", name)
        line, column = spec.locations.get(path, (None, None))
        what = f"node {name!r} runs in the driver, item by item, so the durable edge {roots[0]} "
        what += "would not know what had its effect there."
        hint = "Use a step that takes items, with a scope; or make no edge in front of it durable."
        yield Problem("not-durable", what, path, hint, "error", spec.source, line, column)


def _faults(spec: GraphSpec, edge: EdgeSpec, on: dict[Link, _Made]) -> Iterator[Problem]:
    path = ("graph", edge.source)
    line, column = spec.locations.get(path, (None, None))
    who = f"the edge {edge.source} -> {edge.target} can't be durable: "

    def problem(what: str, hint: str) -> Problem:
        return Problem(
            "not-durable", who + what, path, hint, file=spec.source, line=line, column=column
        )

    if spec.name is None and spec.source is None:
        what = "nothing tells this graph's runs from those of others."
        yield problem(what, "Give the graph a `name`.")
    made = on.get((edge.source, edge.target))
    if made is not None and not made.whole:
        what = "what comes over it is made of parts of several batches, by a node that takes lists "
        what += "or joins or merges, so after a crash it can't be told what is there already."
        yield problem(what, "Make an edge in front of that node durable.")


def _all_kept(spec: GraphSpec, name: str) -> bool:
    """Tell whether each way from a node to an end of the graph leads over a durable edge."""
    edges = spec.outbound(name)
    return bool(edges) and all(e.durable is not None or _all_kept(spec, e.target) for e in edges)
