"""One batch on its way through the nodes of a host: a run of the engine, over entered steps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.audit import unbalanced
from pipelines.build import Builder
from pipelines.check import Examination
from pipelines.edge import GAP, UNBOUNDED, Edge, Outlet
from pipelines.errors import PipelinesError, StalledError
from pipelines.inlet import Inlet
from pipelines.life import Life, Unit
from pipelines.metrics import NodeCounts
from pipelines.processor import Processor
from pipelines.schedule import Schedule
from pipelines.spec import EdgeSpec, GraphSpec
from pipelines.step import Shape
from pipelines.streams import Link, Streams
from pipelines.units import in_order, units_of

__all__ = ["HostGraph", "Outcome", "Passage"]


@dataclass(frozen=True, slots=True)
class HostGraph:
    """What a host has to know, as data that can travel.

    Attributes:
        spec: its nodes, the head first, and the edges between them.
        inbound, outbound: the edges that lead to the head, and those that lead away.
        shapes, targets: of each node's step.
        gapped: the edges on which a missing item leaves a gap mark.
        stateful: batches go one by one.
        env_vars: what the seed's steps reach.
    """

    spec: GraphSpec
    inbound: tuple[EdgeSpec, ...]
    outbound: tuple[EdgeSpec, ...]
    shapes: Mapping[str, Shape]
    targets: Mapping[str, Any]
    gapped: frozenset[Link]
    stateful: bool = False
    env_vars: Any = None


@dataclass(slots=True)
class Outcome:
    """What came of a batch.

    Attributes:
        outputs: for each of the host's outbound edges what was sent there, gap marks too.
        nodes: the counters of each node for this batch alone.
        tolerated: how many failures each node put up with.
        dropped: what edges inside the host gave up.
        letters: dead letters, to be written by the driver.
        error: what ended it, if it did not end well.
        state: what stateful steps remember behind it.
    """

    outputs: list[list[Any]] = field(default_factory=list)
    nodes: dict[str, NodeCounts] = field(default_factory=dict)
    tolerated: dict[str, int] = field(default_factory=dict)
    dropped: dict[Link, int] = field(default_factory=dict)
    letters: list[dict[str, Any]] = field(default_factory=list)
    error: BaseException | None = None
    state: dict[str, Any] | None = None


class Passage:
    """Runs one batch.

    Args:
        graph: the host's.
        columns: for each inbound edge its entries; none to enter the steps only.
        owners: the nodes whose steps have been entered, by name.
        before: the batch before, which may be under way still.

    Attributes:
        nodes: those of this batch, the head first.
        over: set when it has ended.
    """

    def __init__(
        self,
        graph: HostGraph,
        columns: Sequence[Sequence[Any]],
        *,
        owners: Mapping[str, Processor] | None = None,
        before: Passage | None = None,
    ) -> None:
        self._graph = graph
        self._schedule = Schedule(self._stalled)
        self._outcome = Outcome()
        self._life: Life | None = None
        self.over = asyncio.Event()
        self._fed = [
            _feed(edge, entries, (edge.source, edge.target) in graph.gapped)
            for edge, entries in zip(
                graph.inbound, columns or [()] * len(graph.inbound), strict=True
            )
        ]
        self._sources = {edge.source: _Sent(edge.qsize()) for edge in self._fed}
        self._inner: dict[Link, Edge] = {}
        self._outbound: list[Edge] = []
        self.nodes = self._build()
        for name, owner in (owners or {}).items():
            self._take_turns(self.nodes[name], owner, before)

    def _build(self) -> dict[str, Processor]:
        graph, spec = self._graph, self._graph.spec
        streams = Streams({}, {}, graph.gapped)
        known = Examination(spec, (), graph.targets, graph.shapes, None, streams)
        builder = Builder(spec, self._schedule, self._bury, graph.env_vars, None)
        self._inner = builder.edges(known)
        self._outbound = [
            Edge(
                each.source,
                each.target,
                UNBOUNDED,
                gapped=(each.source, each.target) in graph.gapped,
            )
            for each in graph.outbound
        ]
        inbound: dict[str, list[Edge]] = {name: [] for name in spec.nodes}
        outbound: dict[str, list[Edge]] = {name: [] for name in spec.nodes}
        inbound[next(iter(spec.nodes))] += self._fed
        for edge in self._inner.values():
            inbound[edge.target].append(edge)
        for edge in (*self._inner.values(), *self._outbound):
            outbound[edge.source].append(edge)
        for edge in self._outbound:
            _Shelf([edge])
        return {
            name: builder.node(known, name, inbound[name], outbound[name]) for name in spec.nodes
        }

    def _take_turns(self, node: Processor, owner: Processor, before: Passage | None) -> None:
        """Have a node share its step with those of other batches, and wait for the one before."""
        node.borrow(owner)
        node.passage = asyncio.Event()
        if before is not None and not before.over.is_set() and node.concurrency == 1:
            node.gate = before.nodes[node.name].passage

    async def run(self) -> Outcome:
        """Run the batch to its end; being cancelled ends it in order.

        Raises:
            asyncio.CancelledError: it was cancelled.
        """
        spec = self._graph.spec
        self._schedule.start(asyncio.get_running_loop())
        self._life = life = Life(
            units_of(spec, self.nodes), self._schedule, self._in_order, lambda: None
        )
        try:
            await life.run()
        finally:
            self.over.set()
            for node in self.nodes.values():
                node.pass_gate()
        if isinstance(life.error, asyncio.CancelledError):
            raise life.error
        return self._conclude(life.error)

    def _in_order(self, units: Iterable[Unit]) -> Iterable[Unit]:
        return in_order(self._graph.spec, units)

    def _conclude(self, error: BaseException | None) -> Outcome:
        done = self._outcome
        done.nodes = {name: node.counts() for name, node in self.nodes.items()}
        done.tolerated = {n: node.tolerated for n, node in self.nodes.items() if node.tolerated}
        done.dropped = {link: edge.dropped for link, edge in self._inner.items() if edge.dropped}
        done.error = error or self._audit()
        done.outputs = [list(edge.items) for edge in self._outbound]
        return done

    def _audit(self) -> PipelinesError | None:
        """Return what was lost, if anything was."""
        wrong = list(unbalanced(self.nodes, self._sources))
        if not wrong:
            return None
        return PipelinesError(f"items were lost, which is a bug in pipelines: {'; '.join(wrong)}")

    async def _bury(self, letter: Mapping[str, Any]) -> None:
        self._outcome.letters.append(dict(letter))

    def _stalled(self) -> None:
        if self._life is not None:
            self._life.abort(StalledError("no node of a host can go on"))


def _feed(spec: EdgeSpec, entries: Sequence[Any], gapped: bool) -> Edge:
    """Return an edge that holds all of a batch's entries, and ends behind them."""
    edge = Edge(spec.source, spec.target, len(entries) + 1, gapped=gapped)
    edge.items.extend(entries)
    edge.gaps = sum(entry is GAP for entry in entries) if gapped else 0
    edge.closed = True
    Outlet([edge])
    return edge


class _Sent:
    """Stands for a node elsewhere, in the proof that all of what it sent was received."""

    def __init__(self, items: int) -> None:
        self.emitted = items


class _Shelf(Inlet):
    """The end of an edge that leads away: what is sent lies there until the batch is done."""
