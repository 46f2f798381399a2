"""Changes a graph while it runs: what flows comes to rest, and then parts are exchanged.

The input nodes pause; what is under way goes on to its end. Once nobody can go on, which the
account of who waits tells at that moment, nothing lies anywhere but what a join keeps for items
that have not come, or a node for a batch that is not full. Nodes that go are then ended one by one
like at the end of a run, so that they flush what they have; the others don't notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pipelines.audit import start_anew, unbalanced
from pipelines.build import Builder
from pipelines.check import Examination
from pipelines.difference import Changes, compare, refusals
from pipelines.edge import Edge
from pipelines.errors import GraphError, PipelinesError
from pipelines.growth import Growth
from pipelines.holding import ENDED
from pipelines.inputprocessor import InputProcessor
from pipelines.life import Life, Unit
from pipelines.processor import Processor
from pipelines.schedule import Schedule
from pipelines.standstill import Standstill
from pipelines.streams import Link, topological_order

__all__ = ["Revision"]

_OVER = "the run has ended, so its graph can't be changed"


class Revision:
    """Changes a graph that may be running, one change after the other.

    Args:
        growth: what else changes it, and knows what it has become.
        builder: makes the parts.
        nodes, edges: those of the run; they are exchanged in here.
        schedule: the run's.
        begin: told of each new input node before it starts.

    Attributes:
        active: a change is under way.
        stalled: be told that nobody can go on; tells whether that is as it should be.
    """

    def __init__(
        self,
        growth: Growth,
        builder: Builder,
        nodes: dict[str, Processor],
        edges: dict[Link, Edge],
        schedule: Schedule,
        begin: Callable[[InputProcessor], None],
    ) -> None:
        self.active = False
        self._growth = growth
        self._builder = builder
        self._nodes = nodes
        self._edges = edges
        self._schedule = schedule
        self._begin = begin
        self._still = Standstill(edges, schedule)
        self.stalled = self._still.stalled
        self._lock = asyncio.Lock()
        self._exchanging: asyncio.Task[Changes] | None = None

    async def apply(self, new: Examination) -> Changes:
        """Have the graph become another one; return what that has changed.

        Being cancelled gives up the change, or comes too late: then it is made all the same.

        Raises:
            GraphError: it can't become that while it runs; it lists every problem.
            PipelinesError: the run, or a node that is to change, has ended; or a step awaits this.
        """
        self._check_outside()
        task = asyncio.get_running_loop().create_task(
            self._apply(new), name="pipelines: a change of the graph"
        )
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task is not self._exchanging:
                task.cancel()
                await asyncio.wait([task])
            raise

    def _check_outside(self) -> None:
        """Refuse to wait in a step for what waits for that step; a source's own code may."""
        task = asyncio.current_task()
        if task in self._schedule.tasks and all(node.task is not task for node in self._inputs()):
            raise PipelinesError(
                "apply() waits until all calls have ended, so a step can't await it: make a task "
                "of it"
            )

    async def _apply(self, new: Examination) -> Changes:
        async with self._lock:
            life, spec = self._growth.life, new.spec
            assert spec is not None
            if life is not None and life.over:
                raise PipelinesError(_OVER)
            made = self._builder.edges(new)
            old = self._growth.spec
            changes = compare(old, self._nodes, self._edges, new, made)
            if problems := [*refusals(old, self._nodes, new, changes)]:
                raise GraphError(problems)
            if not changes:
                self._growth.spec = spec
            elif life is None:
                self._exchange(new, made, self._nodes, None)
            else:
                await self._change(life, new, made, changes)
            return changes

    async def _change(
        self, life: Life, new: Examination, made: Mapping[Link, Edge], changes: Changes
    ) -> None:
        self.active = True
        life.keep()
        self._still.begin(life)
        try:
            await self._still.entered()
            self._pause(new, made, changes)
            await self._still.reached()
            self._check_alive(changes)
            self._exchanging = asyncio.current_task()
            held = await self._part([*changes.removed, *changes.replaced])
            self._check_balance(life)
            self._exchange(new, made, changes.replaced, life)
            self._hold([name for name in held if name in self._nodes])
            await self._still.reached()  # the new nodes have been entered
        finally:
            self._exchanging = None
            self.active = False
            self._still.end()
            for node in self._inputs():
                node.resume()
            life.release()
            self._schedule.leave()

    # Coming to rest.

    def _pause(self, new: Examination, made: Mapping[Link, Edge], changes: Changes) -> None:
        """Have input nodes send nothing, and let each node that has to do with a change be alone.

        Nodes that run as one can't be told apart otherwise.
        """
        for node in self._inputs():
            node.pause()
            node.separate()
        for name in {*changes.removed, *changes.replaced, *self._around(made)}:
            if name in self._nodes:
                self._nodes[name].separate()

    def _around(self, made: Mapping[Link, Edge]) -> Iterator[str]:
        """Yield the ends of all edges that are not as they were."""
        for link in self._edges.keys() | made.keys():
            old, fresh = self._edges.get(link), made.get(link)
            if old is None or fresh is None or old.gapped != fresh.gapped:
                yield from link

    def _inputs(self) -> list[InputProcessor]:
        nodes = self._nodes.values()
        return [n for n in nodes if isinstance(n, InputProcessor) and n.state not in ENDED]

    def _check_alive(self, changes: Changes) -> None:
        """Refuse to change what has ended.

        Raises:
            PipelinesError: that is the run, a node, or one where an edge is to begin or end.
        """
        ended = [name for name, node in self._nodes.items() if node.state in ENDED]
        if len(ended) == len(self._nodes):
            raise PipelinesError(_OVER)
        touched = {*changes.replaced, *(name for link in changes.edges_added for name in link)}
        if gone := [name for name in ended if name in touched]:
            raise PipelinesError(
                f"node {' and node '.join(map(repr, gone))} has ended, so it can't be changed, nor "
                "can a new edge lead there or from there"
            )

    def _check_balance(self, life: Life) -> None:
        """End the run if items were lost before its counters begin anew."""
        if wrong := "; ".join(unbalanced(self._nodes)):
            life.abort(PipelinesError(f"items were lost, which is a bug in pipelines: {wrong}"))
            self._still.check()

    # Exchanging.

    async def _part(self, names: Iterable[str]) -> list[str]:
        """End nodes one after the other, each when all before it have; return those held."""
        leaving = {name for name in names if self._nodes[name].state not in ENDED}
        held = self._growth.release(leaving)
        for name in topological_order(self._growth.spec):
            if name in leaving:
                await self._end(self._nodes[name])
        return held

    async def _end(self, node: Processor) -> None:
        node.outlet.lasting = True
        edges = () if node.inlet is None else node.inlet.edges
        kept = [_Kept(edge) for edge in edges]
        for edge in edges:
            if not edge.closed:
                edge.closed = True
                edge.inlet.ending()
        if isinstance(node, InputProcessor):
            node.resume()
            node.stop()
        await self._still.reached()
        for each in kept:
            each.put_back()
        node.outlet.lead(())
        node.outlet.desert()

    def _exchange(
        self,
        new: Examination,
        made: Mapping[Link, Edge],
        replaced: Iterable[str],
        life: Life | None,
    ) -> None:
        """Put the new nodes in, and lead all edges as they are to be from now on."""
        assert new.spec is not None
        self._take_edges(made)
        kept = self._nodes.keys() - set(replaced)
        inbound, outbound = self._ways(new)
        for name in kept & inbound.keys():
            inlet = self._nodes[name].inlet
            if inlet is not None and inlet.edges:
                inlet.lead(inbound[name])
        old = dict(self._nodes)
        self._nodes.clear()
        fresh = []
        for name, spec in new.spec.nodes.items():
            if name in kept:
                node = old[name]
                node.spec = spec
            else:
                node = self._builder.node(new, name, inbound[name], outbound[name])
                fresh.append(node)
            self._nodes[name] = node
        for name, node in self._nodes.items():
            node.outlet.lead(outbound[name])
        start_anew(self._nodes)
        self._growth.spec = new.spec
        self._start(fresh, life)

    def _take_edges(self, made: Mapping[Link, Edge]) -> None:
        old = dict(self._edges)
        self._edges.clear()
        for link, fresh in made.items():
            if link in old:
                old[link].become(fresh)
            self._edges[link] = old.get(link, fresh)

    def _ways(self, new: Examination) -> tuple[dict[str, list[Edge]], dict[str, list[Edge]]]:
        """Return the edges that lead to each node, and those that lead from it."""
        assert new.spec is not None
        inbound: dict[str, list[Edge]] = {name: [] for name in new.spec.nodes}
        outbound: dict[str, list[Edge]] = {name: [] for name in new.spec.nodes}
        for (source, target), edge in self._edges.items():
            outbound[source].append(edge)
            inbound[target].append(edge)
        return inbound, outbound

    def _start(self, fresh: Iterable[Processor], life: Life | None) -> None:
        for node in fresh:
            if isinstance(node, InputProcessor):
                self._begin(node)
            if life is not None:
                if isinstance(node, InputProcessor):
                    node.pause()
                life.add(Unit([[node]]))
        if life is not None:
            for node in self._nodes.values():
                if node.inlet is not None:
                    node.inlet.rouse()  # to wait at the edges that there are now

    def _hold(self, names: Iterable[str]) -> None:
        for name in names:
            inlet = self._nodes[name].inlet
            if inlet is not None and inlet.merge is not None:
                self._growth.hold(name)


class _Kept:
    """What lies before a node that ends, for the one that takes its place."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._closed = edge.closed
        self._items: list[Any] = [*edge.items]
        self._gaps = edge.gaps
        edge.items.clear()
        edge.gaps = 0

    def put_back(self) -> None:
        """Have it lie there again, behind nothing."""
        self._edge.items.extend(self._items)
        self._edge.gaps += self._gaps
        self._edge.closed = self._closed
