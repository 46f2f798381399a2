"""Whole graphs of steps that don't wait: forks, joins and merges, with no queue between them.

What a stage needs lies in the results of those before it: a fork's are used twice, a join's inputs
are zipped, a merge's put one behind the other; without merges, one loop may call all steps for an
item before the next one is taken. As soon as anything is out of the ordinary, be it an item that is
left out, streams of unequal length or a call that waits, all goes into the queues where it would
lie otherwise, and the lines of the graph go on by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from pipelines.fused import MOST, Fused, Split, send
from pipelines.inlet import Inlet, JoinInlet, SourceInlet
from pipelines.line import Line
from pipelines.processor import Processor
from pipelines.schedule import clock
from pipelines.shortcut import Shortcut, Stop
from pipelines.stage import Stage
from pipelines.suspension import noticed

__all__ = ["Region", "most_at_once"]


class Region(Fused):
    """Runs all nodes that hang together, fed only by sources that a line can pull from."""

    def __init__(self, lines: Sequence[Sequence[Processor]], split: Split) -> None:
        super().__init__(lines, split)
        self._place = {stage.node.name: number for number, stage in enumerate(self._stages)}
        #: The numbers of the stages that each gets its items from.
        self._inputs = [
            [self._place[edge.source] for edge in _edges(stage)] for stage in self._stages
        ]
        if self._inputs.count([]) == 1 and not any(map(_merges, self._stages)):
            self._shortcut = Shortcut.through(self._stages, self._inputs)
        #: The first stage that has not begun to run, in the run of items under way.
        self._next = 0
        #: Items that each source gives at most, in that run.
        self._limit = 0

    @staticmethod
    def _sends(node: Processor, line: Sequence[Processor]) -> bool:
        return True

    async def _flow(self) -> bool:
        first = self._stages[0].node
        first.regroup = any(
            _is_held(stage.node.inlet) or stage.node.apart for stage in self._stages
        )
        pace = self._pace(most_at_once([stage.node for stage in self._stages]))
        sources = [stage.node.inlet for stage in self._stages if not _edges(stage)]
        while True:
            while clock() > self._schedule.deadline:
                await self._schedule.breath()
            if first.regroup:
                self._reconsider()
                return False
            self._limit = pace.limit
            counts = []
            for inlet in sources:
                assert inlet is not None
                counts.append(min(inlet.ready(self._limit), self._limit))
                if isinstance(inlet, SourceInlet) and inlet.error is not None:
                    return False
                if not counts[-1] and not inlet.ended:
                    return False  # others may have items meanwhile
            if not any(counts):
                return True
            began = clock()
            items = self._gather(0)
            assert items is not None
            try:
                await noticed(self._push(items, began), self._notice)
            except BaseException:
                self._give_up()
                raise
            if not self._calm:
                return False
            pace.adapt(max(counts), clock() - began)

    async def _go_on_alone(self, node: Processor) -> bool:
        await Line([node], self._split).run()
        return False

    def _lay(self, stop: Stop) -> None:
        for stage, result in zip(self._stages, stop.before, strict=False):
            stage.results = [result]
        self._next = stop.stage + 1

    async def _go_through(self, start: int, items: list[Any], now: float) -> None:
        for number, stage in enumerate(self._stages[start:], start):
            self._at, self._next = stage, number
            given = items if number == start else self._gather(number)
            if given is None:
                self._calm = False
                self._flush()
                return
            self._next = number + 1
            if not given:
                stage.results = given
                continue
            now = await stage.run(given, now)
            if stage.interrupted:
                self._calm = False
                return
            if stage.results is not stage.outcomes:
                self._calm = False
                send(stage)
                self._flush()
                return

    def _gather(self, number: int) -> list[Any] | None:
        """Return what a stage is to get; `None` where rows can't be made of it."""
        columns = [self._stages[each].results for each in self._inputs[number]]
        if len(columns) == 1:
            return columns[0]
        inlet = self._stages[number].node.inlet
        assert inlet is not None
        if isinstance(inlet, SourceInlet):
            return inlet.take(min(len(inlet.items), self._limit))
        if not isinstance(inlet, JoinInlet):
            return list(chain.from_iterable(columns))
        if len(set(map(len, columns))) > 1:
            return None
        return list(zip(*columns, strict=True))

    def _flush(self) -> None:
        for stage in self._stages[: self._next]:
            if stage is self._at and self._next > self._place[stage.node.name]:
                continue
            for edge in stage.node.outlet.edges:
                if self._place[edge.target] >= self._next:
                    edge.items.extend(stage.results)


def _is_held(inlet: Inlet | None) -> bool:
    """Tell whether a way in waits for more edges."""
    return inlet is not None and inlet.merge is not None and inlet.merge.held is not None


def _merges(stage: Stage) -> bool:
    """Tell whether a stage gets items of several others one by one."""
    return len(_edges(stage)) > 1 and not isinstance(stage.node.inlet, JoinInlet)


def _edges(stage: Stage) -> Sequence[Any]:
    inlet = stage.node.inlet
    return () if inlet is None else inlet.edges


def most_at_once(nodes: Sequence[Processor]) -> int:
    """Return how many items each source may give so that no edge gets more than it may hold.

    Args:
        nodes: in topological order; all that hang together.

    Returns:
        0 where something comes from a node that is none of them.
    """
    share: dict[str, int] = {}
    most = MOST
    for node in nodes:
        edges = () if node.inlet is None else node.inlet.edges
        parts = [share.get(edge.source, 0) for edge in edges] or [1]
        if 0 in parts:
            return 0
        share[node.name] = max(parts) if isinstance(node.inlet, JoinInlet) else sum(parts)
        most = min([most, *(edge.maxsize // share[node.name] for edge in node.outlet.edges)])
    return most
