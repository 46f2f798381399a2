"""Neighbouring nodes, each leading to the next one alone, that run as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.fused import MOST, Fused, Split, send
from pipelines.pace import Pace
from pipelines.processor import Processor
from pipelines.schedule import clock
from pipelines.serial import obstacle, ready
from pipelines.stage import Stage

__all__ = ["Line"]


class Line(Fused):
    """Runs one line of nodes, fed over its first one's way in."""

    def __init__(self, nodes: Sequence[Processor], split: Split) -> None:
        super().__init__([nodes], split)

    async def _flow(self) -> bool:
        first, last = self._stages[0].node, self._stages[-1].node
        inlet = first.inlet
        assert inlet is not None
        # Between its nodes a run lies in no queue, but is held to what their queues may hold.
        pace = Pace(most=min([MOST, *(s.node.outlet.capacity() for s in self._stages[:-1])]))
        pulled = inlet.seconds
        first.regroup = True
        while True:
            while first.regroup or not (count := ready(first, last, pace.limit)):
                if first.regroup:
                    self._reconsider()
                    if self._forks():
                        return False
                    continue
                if (what := obstacle(first, last, pace.limit)) is None:
                    return True
                await what
            began = clock() - (inlet.seconds - pulled)
            pulled = inlet.seconds
            self._watch()  # before the take, which may have a producer fill the queue
            if not await self._push(inlet.take(count)):
                return False
            pace.adapt(count, clock() - began)

    def _forks(self) -> bool:
        """Tell whether a node has come to lead elsewhere than to the next one alone."""
        return any(len(stage.node.outlet.edges) > 1 for stage in self._stages[:-1])

    async def _go_on_alone(self, node: Processor) -> bool:
        self._stages = [Stage(node, last=True)]
        self._lines = [self._stages]
        self._at = self._stages[0]
        return True

    def _flush(self) -> None:
        """Do nothing: the one stage with results has sent them."""

    async def _push(self, items: list[Any]) -> bool:
        """Take items through the nodes; tell whether nothing waits."""
        calm = True
        for stage in self._stages:
            await self._run_stage(stage, items)
            if stage.interrupted:
                return False
            calm = calm and not stage.waiting
            items = stage.results
            if not items:
                return calm
        send(self._at)
        return calm
