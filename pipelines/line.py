"""Neighbouring nodes, each leading to the next one alone, that run as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.fused import MOST, Fused, Split, send
from pipelines.processor import Processor
from pipelines.schedule import clock
from pipelines.serial import obstacle, ready
from pipelines.shortcut import Shortcut, Stop
from pipelines.spread import SpreadInlet
from pipelines.stage import Stage
from pipelines.suspension import noticed

__all__ = ["Line"]


class Line(Fused):
    """Runs one line of nodes, fed over its first one's way in."""

    def __init__(self, nodes: Sequence[Processor], split: Split) -> None:
        super().__init__([nodes], split)
        self._shortcut = Shortcut.through(self._stages)

    async def _flow(self) -> bool:
        first, last = self._stages[0].node, self._stages[-1].node
        inlet = first.inlet
        assert inlet is not None
        pace = self._pace(self._bound())
        pulled = inlet.seconds
        first.regroup = True
        while True:
            if inlet.dry() and not (last.outlet.deserted or first.regroup):
                await first.starve()  # the usual obstacle, found out with less ado
            while first.regroup or not (count := ready(first, last, pace.limit)):
                if first.regroup:
                    self._reconsider()
                    if self._forks():
                        return False
                    continue
                if isinstance(inlet, SpreadInlet) and inlet.fault is not None:
                    await inlet.mend()
                    continue
                if (what := obstacle(first, last, pace.limit)) is None:
                    return True
                await what
            now = clock()
            began = now - (inlet.seconds - pulled)
            pulled = inlet.seconds
            try:
                await noticed(self._push(inlet.take(count), now), self._notice)
            except BaseException:
                self._give_up()
                raise
            if not self._calm:
                return False
            pace.adapt(count, clock() - began)

    def _bound(self) -> int:
        """Return how many items may be taken at a time.

        Between its nodes they lie in no queue, but are held to what the queues may hold: all of
        them together, or each one where a call that waits may have them lie in it.
        """
        capacities = [stage.node.outlet.capacity() for stage in self._stages[:-1]]
        holds = min if self._may_wait else sum
        return min(MOST, holds(capacities)) if capacities else MOST

    def _forks(self) -> bool:
        """Tell whether a node has come to lead elsewhere than to the next one alone."""
        if len(self._stages) > 1 and any(stage.node.apart for stage in self._stages):
            return True
        return any(len(stage.node.outlet.edges) > 1 for stage in self._stages[:-1])

    async def _go_on_alone(self, node: Processor) -> bool:
        self._stages, self._shortcut = [Stage(node, True)], None
        self._lines = [self._stages]
        self._at, self._calm = self._stages[0], True
        return True

    def _flush(self) -> None:
        """Do nothing: the one stage with results has sent them."""

    def _lay(self, stop: Stop) -> None:
        """Do nothing: all that a stage needs is what it is given."""

    async def _go_through(self, start: int, items: list[Any], now: float) -> None:
        for stage in self._stages[start:]:
            self._at = stage
            now = await stage.run(items, now)
            if stage.interrupted or stage.waiting:
                self._calm = False
            if stage.interrupted or not stage.results:
                return
            if not stage.last:
                items = stage.pass_on()
        send(self._at)
