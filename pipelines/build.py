"""Makes a run's edges, ways in and processors from what `check` knows of a graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from pipelines.audit import audit
from pipelines.check import Examination
from pipelines.edge import Edge, Outlet
from pipelines.errors import PipelinesError
from pipelines.failure import Tolerance
from pipelines.inlet import BatchInlet, Inlet, JoinInlet, MergeInlet
from pipelines.inputprocessor import InputProcessor
from pipelines.metrics import EdgeCounts, HostCounts, NodeCounts, Snapshot
from pipelines.processor import Processor
from pipelines.schedule import Schedule
from pipelines.spec import EdgeSpec, GraphSpec
from pipelines.step import Shape
from pipelines.streams import Link

__all__ = ["Assembly", "Builder", "Engine", "Wrap"]

#: Makes another way in of a node's own.
Wrap = Callable[[Inlet], Inlet]


class Assembly:
    """The parts of one run; those of a run on several machines derive from it.

    Attributes:
        nodes, edges: what runs in this process.
        hosted: whether others run elsewhere; then nothing can be added or changed.
    """

    hosted = False

    def __init__(self, nodes: dict[str, Processor], edges: dict[Link, Edge]) -> None:
        self.nodes = nodes
        self.edges = edges

    async def open(self) -> None:
        """Get ready, before any node is entered."""

    async def close(self, finished: bool) -> None:
        """End what `open` began, after all nodes have been exited.

        Args:
            finished: the run has ended well and by itself.
        """

    def wiring(self, spec: GraphSpec) -> GraphSpec:
        """Return how the nodes in this process follow each other; all do as in the graph."""
        return spec

    def nodes_counted(self) -> dict[str, NodeCounts]:
        """Return the counters of every node of the graph."""
        return {name: node.counts() for name, node in self.nodes.items()}

    def edges_counted(self) -> dict[Link, EdgeCounts]:
        """Return what lies on each edge of the graph."""
        return {
            link: EdgeCounts(
                size=0 if edge.abandoned else edge.qsize(),
                maxsize=edge.maxsize,
                dropped=edge.dropped + (edge.qsize() if edge.abandoned else 0),
            )
            for link, edge in self.edges.items()
        }

    def hosts_counted(self) -> dict[str, HostCounts]:
        """Return what is known of processes elsewhere."""
        return {}

    def audit(self, snapshot: Snapshot) -> PipelinesError | None:
        """Return what was lost by the end of the run, if anything was."""
        return audit(snapshot, self.nodes, self.edges)


class Engine(Protocol):
    """Runs graphs elsewhere than in this process alone."""

    def assemble(self, graph: Examination, builder: Builder) -> Assembly:
        """Make the parts of one run.

        Raises:
            GraphError: the graph can't run there; it lists every problem.
        """


class Builder:
    """Makes the parts of one run.

    Attributes:
        common: what all processors of a run are made with.

    Args:
        spec: the graph.
        schedule: the run's.
        bury: writes a dead letter.
        env_vars: what the seed's steps reach.
        limit: items after which each source stops.
    """

    def __init__(
        self,
        spec: GraphSpec,
        schedule: Schedule,
        bury: Callable[[Mapping[str, Any]], Awaitable[None]],
        env_vars: Any,
        limit: int | None,
    ) -> None:
        self._schedule = schedule
        self._limit = limit
        self.common: dict[str, Any] = {
            "schedule": schedule,
            "tolerance": Tolerance(spec.runtime.max_failures),
            "bury": bury,
            "env_vars": env_vars,
        }

    def assemble(self, graph: Examination) -> Assembly:
        """Make all parts of a graph that runs in this process."""
        edges = self.edges(graph)
        return Assembly(self.nodes(graph, edges), edges)

    def edges(self, graph: Examination) -> dict[Link, Edge]:
        """Make all edges of a graph."""
        assert graph.spec is not None
        assert graph.streams is not None
        sizes = {name: graph.spec.properties(name).buffer_size for name in graph.spec.nodes}
        gapped = graph.streams.gapped
        made = {}
        for edge in graph.spec.edges:
            link = (edge.source, edge.target)
            made[link] = self.edge(edge, sizes[edge.target], link in gapped)
        return made

    def edge(self, spec: EdgeSpec, size: int | None, gapped: bool = False) -> Edge:
        """Make one edge, of the target's `buffer_size` where it does not say another one."""
        size = spec.buffer_size or size or 1
        return Edge(spec.source, spec.target, size, spec.when_full, gapped)

    def nodes(self, graph: Examination, edges: Mapping[Link, Edge]) -> dict[str, Processor]:
        """Make all processors of a graph, between its edges."""
        assert graph.spec is not None
        inbound: dict[str, list[Edge]] = {name: [] for name in graph.spec.nodes}
        outbound: dict[str, list[Edge]] = {name: [] for name in graph.spec.nodes}
        for (source, target), edge in edges.items():
            outbound[source].append(edge)
            inbound[target].append(edge)
        return {
            name: self.node(graph, name, inbound[name], outbound[name]) for name in graph.spec.nodes
        }

    def node(
        self,
        graph: Examination,
        name: str,
        inbound: Sequence[Edge],
        outbound: Sequence[Edge] = (),
        wrap: Wrap | None = None,
    ) -> Processor:
        """Make one processor."""
        assert graph.spec is not None
        spec, properties = graph.spec.nodes[name], graph.spec.properties(name)
        outlet, target = Outlet(outbound), graph.targets.get(name)
        common: dict[str, Any] = {"target": target, "outlet": outlet, **self.common}
        if inbound:
            inlet = self._inlet(graph.spec, name, inbound)
            inlet = inlet if wrap is None else wrap(inlet)
            shape = graph.shapes[name]
            return Processor(spec, properties, shape=shape, inlet=inlet, **common)
        # Defaults are for items. A source that breaks must not just end for one.
        own = spec.properties.on_error or "fail"
        properties = dataclasses.replace(properties, on_error=own, batch=None, timeout=None)
        common |= {"shape": Shape(), "inlet": None, "limit": self._limit}
        return InputProcessor(spec, properties, **common)

    def _inlet(self, spec: GraphSpec, name: str, edges: Sequence[Edge]) -> Inlet:
        properties = spec.properties(name)
        # A node that says so itself may gain edges while it runs, even where it has one as yet.
        merges = spec.nodes[name].properties.aggregate_inputs is False and not edges[0].gapped
        inlet: Inlet
        if len(edges) == 1 and not merges:
            inlet = Inlet(edges)
        elif properties.aggregate_inputs:
            inlet = JoinInlet(edges, name, properties.join.on_missing if properties.join else None)
        else:
            inlet = MergeInlet(edges)
        if properties.batch is not None:
            return BatchInlet(inlet, properties.batch, self._schedule)
        return inlet
