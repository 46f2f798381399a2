"""A run whose nodes are in hosts: the driver's edges and nodes, made from a graph and its plan."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines.build import Assembly, Builder
from pipelines.check import Examination
from pipelines.edge import Edge, Outlet
from pipelines.engines.board import Board
from pipelines.engines.dispatch import Dispatch
from pipelines.engines.durability import lineage_of, root_of
from pipelines.engines.intake import Intake, WholeIntake
from pipelines.engines.keeping import Keeper, Packer
from pipelines.engines.passage import HostGraph
from pipelines.engines.plan import HostPlan, make_plan
from pipelines.engines.slices import SliceEdge
from pipelines.engines.transport import Transport
from pipelines.inlet import Inlet
from pipelines.metrics import EdgeCounts, HostCounts, NodeCounts
from pipelines.spec import EdgeSpec, GraphSpec, NodeSpec, Properties
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
        window: batches that may be under way in a process, whatever its nodes do: one that it works
            on, and others so that it need not wait. Where nodes wait for something there are more,
            as many as give them the items that they may have in flight.
    """

    size: int = 1000
    age: float = 0.05
    scopes: Sequence[str] = ()
    window: int = 2


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
        assert graph.spec is not None
        self._graph = graph
        self._spec = graph.spec
        self._builder = builder
        self._transport = transport
        self._batching = batching
        self._plan = plan = make_plan(graph, transport.elsewhere)
        self._lineage = lineage_of(self._spec, plan)
        host_graphs = {each.name: self._host_graph(each) for each in plan.hosts}
        transport.prepare([(each, host_graphs[each.name]) for each in plan.hosts])
        prioritised = any(each.priority for each in plan.hosts) or batching.scopes
        self._board = Board(slots) if prioritised else None
        super().__init__({}, {})
        self._keepers: dict[Link, Keeper] = {}
        self._packers: dict[str, Packer] = {}
        #: Where what leaves a node in the driver begins, and where what enters one ends.
        self._out: dict[Link, Edge] = {}
        self._make_edges()
        for each in plan.hosts:
            self.nodes[each.head] = self._dispatch(each, host_graphs[each.name])
        for name in self._spec.nodes:
            if name in plan.local:
                self._make_local(name)

    def wiring(self, spec: GraphSpec) -> GraphSpec:
        nodes = {name: NodeSpec(name) for name in self.nodes}
        edges = [
            EdgeSpec(name, edge.target)
            for name, node in self.nodes.items()
            for edge in node.outlet.edges
        ]
        return GraphSpec(nodes, tuple(edges))

    # Making the edges.

    def _make_edges(self) -> None:
        for spec in self._spec.edges:
            link = (spec.source, spec.target)
            if spec.source not in self._plan.local and not self._crosses(link):
                continue  # inside of a host
            self.edges[link] = self._out[link] = self._edge(spec)
            if spec.durable is not None:
                self._keep(spec)

    def _crosses(self, link: Link) -> bool:
        return any(
            link == (edge.source, edge.target)
            for host in self._plan.hosts
            for edge in host.outbound
        )

    def _edge(self, spec: EdgeSpec) -> Edge:
        """Make an edge of the driver: of slices, or of items that are yet to become a batch."""
        size = spec.buffer_size or self._spec.properties(spec.target).buffer_size or 1
        packed = spec.source not in self._plan.local or bool(self._lineage.roots)
        if packed and spec.target not in self._plan.local:
            slices = max(SLICES, size // self._batching.size)
            return SliceEdge(spec.source, spec.target, slices, spec.when_full)
        assert self._graph.streams is not None
        if spec.target not in self._plan.local:
            size = max(size, 2 * self._batching.size)
        gapped = (spec.source, spec.target) in self._graph.streams.gapped
        return Edge(spec.source, spec.target, size, spec.when_full, gapped)

    @property
    def _name(self) -> str:
        """What tells the graph's logs from those of others."""
        return self._spec.name or os.path.basename(self._spec.source or "")

    def _keep(self, spec: EdgeSpec) -> None:
        """Put a log in the middle of an edge."""
        from pipelines.durable import Log  # and with it redis, which few graphs need

        assert spec.durable is not None
        link, root = (spec.source, spec.target), root_of(spec)
        before = SliceEdge(spec.source, root, SLICES)
        self.edges[link] = behind = SliceEdge(root, spec.target, SLICES, spec.when_full)
        self._out[link] = before
        self._keepers[link] = self.nodes[root] = Keeper(
            root,
            Log(spec.durable, f"{self._name}: {root}"),
            root,
            self._transport,
            inlet=Inlet([before]),
            outlet=Outlet([behind]),
            **self._builder.common,
        )

    # Making the nodes.

    def _make_local(self, name: str) -> None:
        inbound = [self.edges[edge.source, name] for edge in self._spec.inbound(name)]
        outbound = [self._out[name, edge.target] for edge in self._spec.outbound(name)]
        slices = [edge for edge in outbound if isinstance(edge, SliceEdge)]
        if slices:
            outbound = [each for each in outbound if each not in slices]
            outbound.append(self._pack(name, slices))
        self.nodes[name] = self._builder.node(self._graph, name, inbound, outbound)

    def _pack(self, name: str, outbound: list[SliceEdge]) -> Edge:
        """Make batches of a source's items, one kind for all of its edges."""
        packer = f"{name}, in batches"
        edge = Edge(name, packer, 2 * self._batching.size)
        self._packers[name] = self.nodes[packer] = Packer(
            packer,
            name,
            [self._keepers[link] for link, roots in self._lineage.roots.items() if name in roots],
            skips=name in self._lineage.kept_whole,
            goes_on=_goes_on(self._graph.targets.get(name)),
            inlet=self._intake([edge], packer, Properties()),
            outlet=Outlet(outbound),
            **self._builder.common,
        )
        return edge

    def _intake(self, edges: Sequence[Edge], name: str, properties: Properties) -> Intake:
        packed = bool(self._lineage.roots) and name in self._spec.nodes
        kind = WholeIntake if packed and name not in self._lineage.regrouping else Intake
        schedule = self._builder.common["schedule"]
        return kind(edges, name, properties, schedule, self._batching.size, self._batching.age)

    def _dispatch(self, plan: HostPlan, graph: HostGraph) -> Dispatch:
        inbound = [self.edges[edge.source, edge.target] for edge in plan.inbound]
        outbound = [self._out[edge.source, edge.target] for edge in plan.outbound]
        # Durable edges know what they have by how far they have come.
        plan = replace(plan, ordered=plan.ordered or bool(self._lineage.roots))
        return Dispatch(
            plan,
            graph,
            self._transport,
            window=self._batching.window,
            board=self._board,
            rank=self._rank(plan),
            inlet=self._intake(inbound, plan.head, self._spec.properties(plan.head)),
            outlet=Outlet(outbound),
            **self._builder.common,
        )

    def _rank(self, plan: HostPlan) -> tuple[int, int, int]:
        scopes = list(self._batching.scopes)
        scope = scopes.index(plan.scope) if plan.scope in scopes else len(scopes)
        heads = [each.head for each in self._plan.hosts]
        return scope, -plan.priority, heads.index(plan.head)

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

    async def close(self, finished: bool) -> None:
        closing = [keeper.close(finished) for keeper in self._keepers.values()]
        try:
            ended = await asyncio.gather(*closing, return_exceptions=True)
        finally:
            await self._transport.close()
        for each in ended:
            if isinstance(each, BaseException):
                raise each

    # What it counts.

    def nodes_counted(self) -> dict[str, NodeCounts]:
        found: dict[str, NodeCounts] = {}
        for name, node in self.nodes.items():
            found |= node.tallies() if isinstance(node, Dispatch) else {name: node.counts()}
        return {name: found[name] for name in self._spec.nodes}

    def edges_counted(self) -> dict[Link, EdgeCounts]:
        own = super().edges_counted()
        inside: dict[Link, int] = {}
        for node in self.nodes.values():
            inside |= node.dropped if isinstance(node, Dispatch) else {}
        found = {}
        for edge in self._spec.edges:
            link = (edge.source, edge.target)
            size = edge.buffer_size or self._spec.properties(edge.target).buffer_size or 1
            found[link] = own.get(link) or EdgeCounts(0, size, inside.get(link, 0))
            if isinstance(self.edges.get(link), SliceEdge):
                room = found[link].maxsize * self._batching.size
                found[link] = replace(found[link], maxsize=room)
            if link in self._keepers:
                found[link] = self._keepers[link].counted(found[link])
            elif edge.source in self._packers:
                found[link] = replace(found[link], duplicates=self._packers[edge.source].skipped)
        return found

    def hosts_counted(self) -> dict[str, HostCounts]:
        found: dict[str, HostCounts] = {}
        for node in self.nodes.values():
            found |= node.hosts() if isinstance(node, Dispatch) else {}
        return found

    def audit(self, snapshot: Any) -> None:
        """Prove nothing here: each host proves it of each batch; see `Passage`."""


def _goes_on(source: Any) -> bool:
    """Tell whether a source gives in a second run only what it did not give in the first.

    So does what is fed by `Plumber.put`, and a callable that says so by an attribute `resumes`.
    """
    return source is None or bool(getattr(source, "resumes", False))
