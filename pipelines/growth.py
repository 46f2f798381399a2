"""What a graph may gain while it runs: edges, and nodes behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from pipelines.build import Builder, Wrap
from pipelines.check import Examination, examine
from pipelines.checks.topology import arrows
from pipelines.edge import Edge
from pipelines.errors import GraphError, PipelinesError, Problem
from pipelines.holding import ENDED, Holding, neighbours
from pipelines.inlet import SourceInlet
from pipelines.life import Life, Unit
from pipelines.processor import Processor
from pipelines.registry import did_you_mean
from pipelines.schedule import Schedule
from pipelines.spec import EdgeSpec, GraphSpec, NodeSpec
from pipelines.streams import Link

__all__ = ["Growth"]


class Growth:
    """Adds to a graph that may be running.

    Args:
        spec: the graph as it is.
        builder: makes the parts.
        nodes, edges: those of the run; new ones are added to them.
        schedule: the run's.
        coro_map: says what stands in a node's `coro` or `func`.

    Attributes:
        spec: the graph as it has become.
        life: the run, once it has begun.
        stir: looks which held nodes may end.
        let_one_go: lets a held node end where nobody can go on.
    """

    def __init__(
        self,
        spec: GraphSpec,
        builder: Builder,
        nodes: dict[str, Processor],
        edges: dict[Link, Edge],
        schedule: Schedule,
        coro_map: Callable[[Any], Any] | None,
    ) -> None:
        self.spec = spec
        self.life: Life | None = None
        self._builder = builder
        self._nodes = nodes
        self._edges = edges
        self._coro_map = coro_map
        self._holding = Holding(nodes, edges, schedule)
        self.stir = self._holding.stir
        self.let_one_go = self._holding.let_one_go

    def connect(self, edge: EdgeSpec, node: NodeSpec | None, wrap: Wrap | None = None) -> None:
        """Lead an edge from a node to another one, or to a new one.

        Args:
            edge: the edge.
            node: its target, if that is new.
            wrap: makes another way in of the new node's.

        Raises:
            GraphError: the graph may not have that edge; it lists every problem.
            PipelinesError: one of the nodes has ended, or the run has.
        """
        found = self._examine(edge, node)
        self._check_alive(edge, node)
        spec = self.spec if node is None else found.spec
        assert spec is not None
        made = self._builder.edge(edge, spec.properties(edge.target).buffer_size)
        if node is not None:
            self._add(found, made, wrap)
        self._nodes[edge.source].gain(made)
        if node is None:
            self._lead_in(self._nodes[edge.target], made)
        self._edges[edge.source, edge.target] = made
        nodes = self.spec.nodes if node is None else {**self.spec.nodes, node.name: node}
        self.spec = replace(self.spec, nodes=nodes, edges=(*self.spec.edges, edge))

    def _add(self, found: Examination, edge: Edge, wrap: Wrap | None) -> None:
        node = self._builder.node(found, edge.target, [edge], wrap=wrap)
        self._nodes[edge.target] = node
        if self.life is not None:
            self.life.add(Unit([[node]]))

    def _lead_in(self, node: Processor, edge: Edge) -> None:
        inlet = node.inlet
        assert inlet is not None
        assert inlet.merge is not None
        inlet.merge.gain(edge)
        inlet.edges = inlet.merge.edges
        node.reconsider()

    def _examine(self, edge: EdgeSpec, node: NodeSpec | None) -> Examination:
        """Check an edge and a new node by the rules of a whole graph; return what was found."""
        problems = list(self._misnamed(edge, node))
        if problems:
            raise GraphError(problems)
        found = self._examine_part(edge, node)
        problems += [each for each in found.problems if each.severity == "error"]
        if node is None:
            problems += self._misplaced(edge)
        if problems:
            raise GraphError(problems)
        return found

    def _examine_part(self, edge: EdgeSpec, node: NodeSpec | None) -> Examination:
        """Check two nodes and the edge: nothing else in the graph bears on a new node."""
        nodes = {edge.source: NodeSpec(edge.source)}
        if node is None:
            nodes[edge.target] = NodeSpec(edge.target, func=_any)
            return examine(GraphSpec(nodes, (edge,)))
        nodes[node.name] = node
        part = replace(self.spec, nodes=nodes, edges=(edge,), source=None, locations={})
        return examine(part, coro_map=self._coro_map)

    def _misnamed(self, edge: EdgeSpec, node: NodeSpec | None) -> Iterator[Problem]:
        yield from self._unknown([edge.source] if node is not None else [edge.source, edge.target])
        if edge.source == edge.target:
            yield Problem("self-loop", f"node {edge.source!r} leads to itself.", ("graph",))
        elif node is not None and node.name in self._nodes:
            hint = "Give its name alone to lead an edge to that one."
            what = f"a node named {node.name!r} is there already."
            yield Problem("duplicate-node", what, ("nodes", node.name), hint)

    def release(self, names: Iterable[str]) -> list[str]:
        """Let some nodes end like any other; return those that were held."""
        return self._holding.release(names)

    def _unknown(self, names: list[str]) -> Iterator[Problem]:
        for name in names:
            if name not in self._nodes:
                hint = did_you_mean(name, self._nodes)
                yield Problem("unknown-node", f"no node is named {name!r}.", (), hint)

    def _misplaced(self, edge: EdgeSpec) -> Iterator[Problem]:
        source, target = edge.source, edge.target
        path = ("graph", source)
        if (source, target) in self._edges:
            yield Problem("duplicate-edge", f"{source!r} leads to {target!r} already.", path)
        elif way := self._way(target, source):
            hint = "Leave this edge out: a graph may not run in a circle."
            yield Problem("cycle", f"{arrows([source, *way])}.", path, hint)
        yield from self._unfit(target)

    def _unfit(self, name: str) -> Iterator[Problem]:
        """Say why a node can't gain an edge, if it can't."""
        inlet, path = self._nodes[name].inlet, ("nodes", name)
        if inlet is None or isinstance(inlet, SourceInlet):
            what = f"node {name!r} makes its items itself, so no edge can lead there."
            yield Problem("input-node", what, path, "Lead the edge to a node behind it.")
        elif inlet.merge is None and self.spec.nodes[name].properties.aggregate_inputs is False:
            what = f"what {name!r} sends is paired by position further on, so it can't merge more."
            yield Problem("join-misaligned", what, path, "Move the join before it.")
        elif inlet.merge is None:
            several = "pairs its inputs by position, so it can't gain one while it runs."
            single = "would have to pair its inputs by position once it has several."
            what = f"node {name!r} {single if len(inlet.edges) == 1 else several}"
            hint = f"Set aggregate_inputs: false at {name!r} itself, so that it merges them."
            yield Problem("join-gains", what, path, hint)

    def _way(self, start: str, end: str) -> list[str]:
        """Return the nodes on a shortest way from one to another; none where no way leads there."""
        after = neighbours(self._edges)
        before: dict[str, str] = {start: ""}
        waiting = [start]
        for name in waiting:
            fresh = [each for each in after.get(name, ()) if each not in before]
            before |= dict.fromkeys(fresh, name)
            waiting += fresh
        way = [end] if end in before else []
        while way and way[-1] != start:
            way.append(before[way[-1]])
        return way[::-1]

    def _check_alive(self, edge: EdgeSpec, node: NodeSpec | None) -> None:
        if self.life is not None and self.life.over:
            raise PipelinesError("the run has ended, so it can't gain an edge")
        outlet, state = self._nodes[edge.source].outlet, self._nodes[edge.source].state
        gone = [edge.source] if state in ENDED or outlet.deserted or outlet.closed else []
        if node is None and _has_ended(self._nodes[edge.target]):
            gone.append(edge.target)
        if gone:
            raise PipelinesError(
                f"node {' and node '.join(map(repr, gone))} has ended, so there can be no new edge "
                f"from {edge.source!r} to {edge.target!r}"
            )

    def hold(self, name: str) -> None:
        """Keep a node from ending as long as a node that is at work could lead an edge to it.

        Raises:
            GraphError: no node has that name, or it can't gain edges.
            PipelinesError: it has ended.
        """
        if problems := [*self._unknown([name])] or [*self._unfit(name)]:
            raise GraphError(problems)
        if _has_ended(self._nodes[name]):
            raise PipelinesError(f"node {name!r} has ended, so it can't be held")
        self._holding.hold(name)
        self._nodes[name].reconsider()


def _any(item: Any) -> Any:
    """Stand in for a step that is not looked at."""
    return item


def _has_ended(node: Processor) -> bool:
    """Tell whether nothing that is sent to a node would be looked at any more."""
    over = node.inlet is not None and node.inlet.ended
    return over or node.state in ENDED or node.outlet.deserted
