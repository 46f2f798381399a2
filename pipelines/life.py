"""The life of a run: its tasks start together, and end in order, also when something fails."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Sequence

from pipelines import loops
from pipelines.errors import say
from pipelines.inlet import SourceInlet
from pipelines.processor import InputProcessor, Processor
from pipelines.schedule import Schedule, clock

__all__ = ["Life", "Unit"]

logger = logging.getLogger(__name__)

#: Seconds after which a loop that an abort has not ended is cancelled again.
INSISTENCE = 0.1


class Unit:
    """Nodes that run in one task: one, or neighbouring ones in a line."""

    def __init__(self, nodes: Sequence[Processor]) -> None:
        self.nodes = tuple(nodes)
        self.task: asyncio.Task[None] | None = None
        #: Set when its nodes may exit after a failure: those behind it have.
        self.turn = asyncio.Event()
        self.looping = True

    @property
    def title(self) -> str:
        """The names of its nodes, for a person."""
        names = ", ".join(repr(node.name) for node in self.nodes)
        return f"node {names}" if len(self.nodes) == 1 else f"one of the nodes {names}"


class Life:
    """Runs units until all have ended.

    A node ends when its way in has, then its exit code runs, then its own edges end. When one
    fails, or the run is aborted, all loops are cancelled first; then the exits run, the last node
    of the graph first.

    Args:
        units: in topological order.
        schedule: the run's.

    Attributes:
        error: what ended the run, if it did not end by itself.
    """

    def __init__(self, units: Sequence[Unit], schedule: Schedule) -> None:
        self.units = units
        self.error: BaseException | None = None
        self._schedule = schedule
        self._looping = len(units)
        self._loops_over = asyncio.Event()
        self._entering = len(units)
        self._entered = asyncio.Event()

    async def run(self) -> None:
        """Start all units and wait for their end; a cancellation aborts, and is waited out."""
        if self.error is not None:
            return  # aborted before it began
        self._schedule.busy += len(self.units)
        tasks = [
            asyncio.create_task(self._live(unit), name=f"pipelines: {unit.title}")
            for unit in self.units
        ]
        await self.outlast(self._loops_over.wait)
        for unit, task in zip(reversed(self.units), reversed(tasks), strict=True):
            unit.turn.set()
            await self.outlast(functools.partial(asyncio.wait, [task]))

    def abort(self, error: BaseException) -> None:
        """End the run with an error; the first one counts."""
        if self.error is not None or not self._looping:
            return
        self.error = error
        self._schedule.end()
        self._cancel()

    def _cancel(self) -> None:
        """Cancel all loops, and again soon: a step may swallow what should end it."""
        for unit in self.units:
            if unit.looping and unit.task is not None:
                unit.task.cancel()
        if self._looping and self._schedule.loop.is_running():
            self._schedule.loop.call_later(INSISTENCE, self._cancel)

    async def _live(self, unit: Unit) -> None:
        unit.task = asyncio.current_task()
        try:
            if self.error is not None:
                raise asyncio.CancelledError  # aborted before this unit's turn to start
            await self._enter(unit)
            await loops.run(unit.nodes)
            unit.looping = False  # from here on an abort lets it exit in peace
            await self._end_well(unit)
        except BaseException as error:
            unit.looping = False
            self._fail(error)
            await self._end_badly(unit)

    async def _enter(self, unit: Unit) -> None:
        for node in unit.nodes:
            await node.enter()
        self._entering -= 1
        if not self._entering:
            self._entered.set()
        await self._entered.wait()
        for node in unit.nodes:
            node.state = "running"
            node.began = clock()

    async def _end_well(self, unit: Unit) -> None:
        for node in unit.nodes:
            if node.inlet is not None:
                node.inlet.abandon()
            node.tolerance.check(node)
            await node.exit(self.error)
            node.state = "done"
            node.ended = clock()
            node.outlet.close()
        self._loop_ended()
        self._schedule.leave()

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, asyncio.CancelledError) or self.error is None:
            self.abort(error)
        if isinstance(error, Exception) and error is not self.error:
            self._note(error)

    async def _end_badly(self, unit: Unit) -> None:
        for node in unit.nodes:
            failed = getattr(self.error, "node", None) == node.name
            node.state = "failed" if failed else "stopped"
            node.ended = clock()
        self._loop_ended()
        await self.outlast(unit.turn.wait)
        for node in reversed(unit.nodes):
            try:
                await node.exit(self.error)
            except BaseException as error:  # not even SystemExit keeps the others from running
                self._note(error)
            if isinstance(node, InputProcessor):
                node.end()
            if isinstance(node.inlet, SourceInlet) and node.inlet.error is not None:
                self._note(node.inlet.error)  # of a generator that was closed

    def _loop_ended(self) -> None:
        self._looping -= 1
        if not self._looping:
            self._loops_over.set()

    def _note(self, error: BaseException) -> None:
        """Keep a failure that came after the one that ended the run."""
        if error in (self.error, getattr(self.error, "cause", None)):
            return
        logger.error("%s", say(error))
        if self.error is not None:
            self.error.add_note(f"Then {say(error)}")

    async def outlast(self, wait: Callable[[], Awaitable[object]]) -> None:
        """Wait in spite of cancellations: they abort the run, but what ends must end in order."""
        while True:
            try:
                await wait()
                return
            except asyncio.CancelledError as error:
                self.abort(error)
