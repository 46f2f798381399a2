"""The moment in which nothing flows in a graph whose input nodes pause."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pipelines.edge import Edge
from pipelines.errors import PipelinesError
from pipelines.life import Life
from pipelines.schedule import Schedule
from pipelines.streams import Link

__all__ = ["Standstill"]


class Standstill:
    """Waits until nobody in a run can go on.

    Where a join waits for one stream and holds up another one, the edges that are full are widened
    meanwhile: what is under way can then come to its end, and there is no more of it.

    Args:
        edges: those of the run.
        schedule: the run's.
    """

    def __init__(self, edges: Mapping[Link, Edge], schedule: Schedule) -> None:
        self._edges = edges
        self._schedule = schedule
        self._life: Life | None = None
        self._event: asyncio.Future[None] | None = None
        self._begins = False
        self._widths: dict[Edge, int] = {}

    def begin(self, life: Life) -> None:
        """Take part in a run: who waits here counts like a node that waits."""
        self._life = life
        life.news = self._look
        self._schedule.busy += 1

    def end(self) -> None:
        """Leave the edges as they were; the caller leaves the schedule."""
        assert self._life is not None
        self._life.news = _nothing
        self._life = None
        self._narrow()

    async def entered(self) -> None:
        """Wait until the run has begun.

        Raises:
            PipelinesError: it has ended before.
        """
        assert self._life is not None
        if not self._life.entered and not self._life.over:
            self._event, self._begins = self._schedule.loop.create_future(), True
            await self._event
        self.check()

    async def reached(self) -> None:
        """Wait until nobody can go on.

        Raises:
            PipelinesError: the run has ended meanwhile.
        """
        self.check()
        event = self._schedule.loop.create_future()
        self._event, self._begins = event, False
        self._schedule.pause()
        try:
            await event
        except asyncio.CancelledError:
            if event.cancelled():
                self._schedule.come_back()
            raise
        self._narrow()
        self.check()

    def check(self) -> None:
        """Raise the error that has ended the run, if one has."""
        assert self._life is not None
        error = self._life.error
        if isinstance(error, PipelinesError):
            raise error
        if self._life.over:
            what = "the run has ended, so its graph can't be changed any more"
            raise PipelinesError(what) from error

    def stalled(self) -> bool:
        """Be told that nobody can go on; tell whether that is as it should be."""
        if self._life is None or self._life.error is not None:
            return False
        if self._event is not None and not self._event.done() and not self._widen():
            self._schedule.wake(self._event)
        return True

    def _widen(self) -> bool:
        """Widen the edges that are full; tell whether somebody goes on for that reason."""
        for edge in self._edges.values():
            if edge.full() and edge.when_full == "block" and not edge.outlet.paused:
                self._widths.setdefault(edge, edge.maxsize)
                edge.maxsize = 2 * len(edge.items)
                edge.outlet.interrupt()
        return self._schedule.busy > 0

    def _narrow(self) -> None:
        for edge, width in self._widths.items():
            edge.maxsize = width
        self._widths.clear()

    def _look(self) -> None:
        """Be told that the run has begun, or ends."""
        assert self._life is not None
        if self._event is None or self._event.done():
            return
        if self._begins:
            self._event.set_result(None)
        elif self._life.over:
            self._schedule.wake(self._event)


def _nothing() -> None:
    """Be told of nothing more."""
