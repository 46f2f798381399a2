"""A run whose nodes are in hosts: the driver's edges and nodes, made from a graph and its plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.build import Assembly, Builder
from pipelines.check import Examination
from pipelines.edge import Edge, Outlet
from pipelines.engines.board import Board
from pipelines.engines.dispatch import Dispatch
from pipelines.engines.intake import Intake
from pipelines.engines.passage import HostGraph
from pipelines.engines.plan import HostPlan, make_plan
from pipelines.engines.slices import SliceEdge
from pipelines.engines.transport import Transport
from pipelines.metrics import EdgeCounts, HostCounts, NodeCounts
from pipelines.processor import Processor
from pipelines.spec import EdgeSpec
from pipelines.step import Shape
from pipelines.streams import Link

__all__ = ["Batching", "HostedAssembly"]

#: Slices on an edge between hosts, beside what its two ends have in hand.
SLICES = 4


@dataclass(frozen=True, slots=True)
class Batching:
    """How items become batches.

    Attributes:
        size: items of a batch, at most.
        age: seconds after which a batch is sent though it is not full.
        scopes: those that come first where processors are short, the most important one first.
    """

    size: int = 1000
    age: float = 0.05
    scopes: Sequence[str] = ()


class HostedAssembly(Assembly):
    """The driver's parts of a run.

    Args:
        graph: the whole graph.
        builder: makes what runs in the driver.
        transport: where the hosts run.
        batching: how items become batches.
        slots: batches that may be under way in all hosts together; looked at only where nodes have
            priorities.
    """

    hosted = True

    def __init__(
        self,
        graph: Examination,
        builder: Builder,
        transport: Transport,
        batching: Batching,
        slots: int,
    ) -> None:
        self._graph = graph
        self._builder = builder
        self._transport = transport
        self._batching = batching
        self._plan = make_plan(graph)
        self._host_graphs = {plan.name: self._host_graph(plan) for plan in self._plan.hosts}
        transport.prepare([(p, self._host_graphs[p.name]) for p in self._plan.hosts])
        prioritised = any(plan.priority for plan in self._plan.hosts)
        self._board = Board(slots) if prioritised or batching.scopes else None
        edges = self._make_edges()
        super().__init__(self._make_nodes(edges), edges)

    def _make_edges(self) -> dict[Link, Edge]:
        spec = self._graph.spec
        assert spec is not None
        inside = {name for plan in self._plan.hosts for name in plan.spec.nodes}
        crossing = {(e.source, e.target): e for plan in self._plan.hosts for e in plan.inbound}
        made = {}
        for edge in spec.edges:
            link = (edge.source, edge.target)
            if link in crossing or edge.target in self._plan.local:
                made[link] = self._edge(edge, edge.source in inside and link in crossing)
        return made

    def _edge(self, spec: EdgeSpec, between_hosts: bool) -> Edge:
        """Make an edge of the driver: of slices, or of items that are yet to become a batch."""
        graph, whole = self._graph, self._graph.spec
        assert whole is not None
        assert graph.streams is not None
        size = spec.buffer_size or whole.properties(spec.target).buffer_size or 1
        if between_hosts:
            slices = max(SLICES, size // self._batching.size)
            return SliceEdge(spec.source, spec.target, slices, spec.when_full)
        if spec.target not in self._plan.local:
            size = max(size, 2 * self._batching.size)
        gapped = (spec.source, spec.target) in graph.streams.gapped
        return Edge(spec.source, spec.target, size, spec.when_full, gapped)

    def _make_nodes(self, edges: Mapping[Link, Edge]) -> dict[str, Processor]:
        spec = self._graph.spec
        assert spec is not None
        hosts = {plan.head: plan for plan in self._plan.hosts}
        made: dict[str, Processor] = {}
        for name in spec.nodes:
            if name in self._plan.local:
                inbound = [edges[e.source, name] for e in spec.inbound(name)]
                outbound = [edges[name, e.target] for e in spec.outbound(name)]
                made[name] = self._builder.node(self._graph, name, inbound, outbound)
            elif name in hosts:
                made[name] = self._dispatch(hosts[name], edges)
        return made

    def _dispatch(self, plan: HostPlan, edges: Mapping[Link, Edge]) -> Dispatch:
        spec = self._graph.spec
        assert spec is not None
        intake = Intake(
            [edges[each.source, each.target] for each in plan.inbound],
            plan.head,
            spec.properties(plan.head),
            self._builder.common["schedule"],
            self._batching.size,
            self._batching.age,
        )
        outlet = Outlet([edges[each.source, each.target] for each in plan.outbound])
        return Dispatch(
            plan,
            self._host_graphs[plan.name],
            self._transport,
            board=self._board,
            rank=self._rank(plan),
            inlet=intake,
            outlet=outlet,
            **self._builder.common,
        )

    def _rank(self, plan: HostPlan) -> tuple[int, int, int]:
        scopes = list(self._batching.scopes)
        scope = scopes.index(plan.scope) if plan.scope in scopes else len(scopes)
        return scope, -plan.priority, self._plan.hosts.index(plan)

    def _host_graph(self, plan: HostPlan) -> HostGraph:
        graph = self._graph
        assert graph.streams is not None
        links = {(e.source, e.target) for e in (*plan.inbound, *plan.outbound, *plan.spec.edges)}
        return HostGraph(
            spec=plan.spec,
            inbound=plan.inbound,
            outbound=plan.outbound,
            shapes={name: graph.shapes.get(name, Shape()) for name in plan.spec.nodes},
            targets={name: graph.targets[name] for name in plan.spec.nodes},
            gapped=graph.streams.gapped & links,
            stateful=plan.stateful,
            env_vars=self._builder.common["env_vars"],
        )

    # Beginning and ending.

    async def open(self) -> None:
        await self._transport.open()

    async def close(self) -> None:
        await self._transport.close()

    # What it counts.

    def nodes_counted(self) -> dict[str, NodeCounts]:
        assert self._graph.spec is not None
        found: dict[str, NodeCounts] = {}
        for node in self.nodes.values():
            found |= node.tallies() if isinstance(node, Dispatch) else {node.name: node.counts()}
        return {name: found[name] for name in self._graph.spec.nodes}

    def edges_counted(self) -> dict[Link, EdgeCounts]:
        own = super().edges_counted()
        spec = self._graph.spec
        assert spec is not None
        dropped = {
            link: count
            for node in self.nodes.values()
            if isinstance(node, Dispatch)
            for link, count in node.dropped.items()
        }
        found = {}
        for edge in spec.edges:
            link = (edge.source, edge.target)
            size = edge.buffer_size or spec.properties(edge.target).buffer_size or 1
            found[link] = own.get(link) or EdgeCounts(0, size, dropped.get(link, 0))
        return found

    def hosts_counted(self) -> dict[str, HostCounts]:
        found: dict[str, HostCounts] = {}
        for node in self.nodes.values():
            if isinstance(node, Dispatch):
                found |= node.hosts()
        return found

    def audit(self, snapshot: Any) -> None:
        """Prove nothing here: each host proves it of each batch; see `Passage`."""
