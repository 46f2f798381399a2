"""The life of a run: its tasks start together, and end in order, also when something fails."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from pipelines.errors import say
from pipelines.fused import Piece
from pipelines.inlet import SourceInlet
from pipelines.inputprocessor import InputProcessor
from pipelines.loops import Loop, loop_of, resumed
from pipelines.processor import Processor
from pipelines.schedule import Schedule, clock

__all__ = ["Life", "Unit"]

logger = logging.getLogger(__name__)

#: Seconds after which a loop that an abort has not ended is cancelled again.
INSISTENCE = 0.1


class Unit:
    """Nodes that run in one task: one, or neighbouring ones in a line.

    Args:
        lines: its nodes, in topological order, as `loops.loop_of` wants them; they enter and exit
            in its task.
        loop: what it runs, where that has begun elsewhere; the nodes have then been entered.
    """

    def __init__(self, lines: Sequence[Sequence[Processor]], loop: Loop | None = None) -> None:
        self.lines = lines
        self.nodes = tuple(node for line in lines for node in line)
        self.loop = loop
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
        units: those to begin with.
        schedule: the run's.
        in_order: puts units in topological order.
        ended: called whenever the loop of a unit has ended.

    Attributes:
        news: called when all nodes have been entered, and when the run is aborted.
        units: all that run, those too that came later.
        error: what ended the run, if it did not end by itself.
    """

    def __init__(
        self,
        units: Iterable[Unit],
        schedule: Schedule,
        in_order: Callable[[Iterable[Unit]], Iterable[Unit]],
        ended: Callable[[], None],
    ) -> None:
        self.units = list(units)
        self.error: BaseException | None = None
        self._schedule = schedule
        self._in_order = in_order
        self._ended = ended
        self._tasks: dict[Unit, asyncio.Task[None]] = {}
        self._looping = 0
        self._loops_over = asyncio.Event()
        self.news: Callable[[], None] = _nothing
        self._entering = 0
        self._entered = asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether the run has ended, or is about to: nothing can be added any more."""
        return self.error is not None or self._loops_over.is_set()

    @property
    def entered(self) -> bool:
        """Whether the nodes to begin with have all been entered."""
        return self._entered.is_set()

    async def until_entered(self) -> None:
        """Wait until they have."""
        await self._entered.wait()

    def keep(self) -> None:
        """Go on, even if all loops end, until `release`."""
        self._looping += 1

    def release(self) -> None:
        """End with the last loop, as usual; forget the units that have ended."""
        self._loop_ended()
        gone = [unit for unit in self.units if unit in self._tasks and self._tasks[unit].done()]
        for unit in gone:
            self.units.remove(unit)
            del self._tasks[unit]

    def add(self, unit: Unit) -> None:
        """Have one more unit run; where the others do already, it starts at once."""
        self.units.append(unit)
        if self._tasks:
            self._start(unit)

    def _start(self, unit: Unit) -> None:
        self._schedule.busy += 1
        self._looping += 1
        self._entering += unit.loop is None
        self._make_task(unit)

    def _make_task(self, unit: Unit) -> None:
        name = f"pipelines: {unit.title}"
        task = self._schedule.loop.create_task(self._live(unit), name=name)
        task.add_done_callback(functools.partial(self._make_up, unit))
        self._tasks[unit] = task

    def _make_up(self, unit: Unit, task: asyncio.Task[None]) -> None:
        """End a unit in order whose task was cancelled before it had begun, which then never runs.

        `asyncio.run` does so with all tasks that it finds when its main one fails.
        """
        if unit.task is None:
            self.abort(asyncio.CancelledError("the run was cancelled"))
            self._make_task(unit)

    async def run(self) -> None:
        """Start all units and wait for their end; a cancellation aborts, and is waited out."""
        if self.error is not None:
            return  # aborted before it began
        for unit in self.units:
            self._start(unit)
        await self.outlast(self._loops_over.wait)
        for unit in reversed([*self._in_order(self.units)]):
            unit.turn.set()
            await self.outlast(functools.partial(asyncio.wait, [self._tasks[unit]]))

    def _split(self, unit: Unit, pieces: Sequence[Piece]) -> None:
        """Give pieces of a running unit tasks of their own."""
        for piece in pieces:
            if piece.stays:
                unit.nodes = tuple(piece.nodes)
            else:
                self.add(Unit([piece.nodes], resumed(piece)))

    def abort(self, error: BaseException) -> None:
        """End the run with an error; the first one counts."""
        if self.over:
            return
        self.error = error
        self._schedule.end()
        self._cancel()
        self.news()

    def _cancel(self) -> None:
        """Cancel all loops, and again soon: a step may swallow what should end it."""
        for unit in self.units:
            if unit.looping and unit.task is not None:
                unit.task.cancel()
        if self._looping and self._schedule.loop.is_running():
            self._schedule.loop.call_later(INSISTENCE, self._cancel)

    async def _live(self, unit: Unit) -> None:
        unit.task = asyncio.current_task()
        if unit.task is not None:
            self._schedule.tasks.add(unit.task)
        try:
            if self.error is not None:
                raise asyncio.CancelledError  # aborted before this unit's turn to start
            if unit.loop is None:
                await self._enter(unit)
                for node in unit.nodes:
                    if node.gated and node.gate is not None:
                        await node.gate.wait()
                unit.loop = loop_of(unit.lines)
            await unit.loop(functools.partial(self._split, unit))
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
            self.news()
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
            node.end_stream()
        self._loop_ended()
        self._ended()
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
            node.adopt()
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


def _nothing() -> None:
    """Be told of nothing."""
