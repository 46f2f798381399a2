"""Nodes that run as one, with no queue between them, as long as none of their calls waits.

Fused nodes take a run of items through stage by stage: each node's step is called with all of them,
then the next one's with the results. That costs little more than calling the steps by hand, and
while no call waits there is nothing that separate tasks could do better.

The first call that waits **splits** them, for good: what is done goes on at once, what has not
begun goes back into its queue, the nodes around become lines of their own, and the node of that
call gets the loop of its kind. So nothing finished is held back by a call that waits, and each node
has as many calls in flight as it may.
"""

from __future__ import annotations

import abc
import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.failure import SPECIAL, is_plain
from pipelines.pace import Pace
from pipelines.pool import Calls
from pipelines.processor import Processor
from pipelines.schedule import clock
from pipelines.serial import serve
from pipelines.shortcut import Shortcut, Stop
from pipelines.spread import SpreadInlet, SpreadStage
from pipelines.stage import Stage

__all__ = ["MOST", "Fused", "Piece", "Split", "send"]

#: Items that fused nodes take at a time, at most.
MOST = 512

#: Nodes of a line that is cut in two when one of its neighbours waits.
LONG = 8

#: Seconds of work at a time for each stage, if there are many: some 2 µs a stage are spent around
#: its calls, so that a thousand nodes would take one item at a time in the usual millisecond. With
#: half as much they did so on a slow machine.
STAGE = 2e-5


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring nodes of a unit that was split.

    Attributes:
        nodes: in topological order; none for a task that is left with nothing but a call.
        pool: what goes on with them, if they don't go on as a line.
        stays: they stay in the unit's own task.
    """

    nodes: Sequence[Processor]
    pool: Calls | None = None
    stays: bool = False


#: Divides a unit into pieces, each of which gets a task of its own unless it stays.
Split = Callable[[Sequence[Piece]], None]


class Fused(abc.ABC):
    """Runs nodes as one, until doomsday or until they are split.

    Args:
        lines: nodes of which each but the last leads to the next one alone; in topological order.
        split: divides the unit that this runs in.
    """

    def __init__(self, lines: Sequence[Sequence[Processor]], split: Split) -> None:
        self._lines = [
            [_stage_of(node)(node, self._sends(node, nodes)) for node in nodes] for nodes in lines
        ]
        self._stages = [stage for line in self._lines for stage in line]
        #: One loop through all stages, where there can be one.
        self._shortcut: Shortcut | None = None
        self._split = split
        self._schedule = lines[0][0].schedule
        self._task = asyncio.current_task()
        #: Whether the runs of items so far have left nothing special, and nothing that waits.
        self._calm = True
        #: The stage under way, or the last one that was.
        self._at = self._stages[0]
        # Tasks that a split makes get the context as it is now, not as a step may have changed it.
        self._notice = functools.partial(contextvars.copy_context().run, self._interrupt)
        self._may_wait = any(stage.node.shape.is_async for stage in self._stages)
        self._guest: tuple[Calls, int] | None = None
        self._fault: BaseException | None = None
        nodes = [stage.node for stage in self._stages]
        for node in nodes:
            node.line = nodes

    @staticmethod
    def _sends(node: Processor, line: Sequence[Processor]) -> bool:
        """Tell whether a node's results are sent over its edges, marks and all."""
        return node is line[-1]

    async def run(self) -> bool:
        """Take items through the nodes; tell whether they were all its own until doomsday."""
        whole = True
        try:
            while not await self._flow():
                whole = False
                if not self._at.interrupted:
                    self._split([*self._pieces(), Piece([], stays=True)])
                    break
                if self._fault is not None:
                    raise self._fault
                if not await self._go_on():
                    break
        finally:
            if self._shortcut is not None:
                self._shortcut.settle()
        return whole

    @abc.abstractmethod
    async def _flow(self) -> bool:
        """Take items through the nodes until doomsday; tell whether it has come.

        Otherwise the nodes have been split, or are to be.
        """

    def _push(self, items: list[Any], now: float) -> Coroutine[Any, Any, None]:
        """Return what takes items through the nodes; `_calm` then tells of nothing special."""
        if self._shortcut is not None and self._shortcut.is_open(len(items)):
            return self._rush(self._shortcut, items, now)
        return self._go_through(0, items, now)

    @abc.abstractmethod
    async def _go_through(self, start: int, items: list[Any], now: float) -> None:
        """Take items from stage to stage, like `_push`, from the one with the number `start` on."""

    async def _rush(self, shortcut: Shortcut, items: list[Any], now: float) -> None:
        """Take items through all stages in one loop, like `_push`."""
        stop = await shortcut.run(items, now)
        if stop is not None and self._at.interrupted:
            await self._at.end(stop.made, stop.error)
            self._calm = False
            return
        self._at = self._stages[-1]
        send(self._at)
        if stop is not None:
            self._give_back(stop.left)
            self._lay(stop)
            self._stages[stop.stage].tell(stop.made, stop.error)
            await self._go_through(stop.stage, [stop.item], clock())

    def _give_back(self, items: list[Any]) -> None:
        inlet = self._stages[0].node.inlet
        assert inlet is not None
        inlet.give_back(items)

    @abc.abstractmethod
    def _lay(self, stop: Stop) -> None:
        """Leave what has become of an item where it would be if it came from stage to stage."""

    def _pace(self, most: int) -> Pace:
        """Return how many items to take at a time, for as many stages as there are."""
        return Pace(max(0.001, STAGE * len(self._stages)), most)

    def _give_up(self) -> None:
        """Leave all in its place where the run ends within a stage.

        Raises:
            BaseException: what ended it, if that was found out from outside.
        """
        stage = self._at
        stage.give_up()
        send(stage)
        if not stage.interrupted:
            self._flush()
        if self._fault is not None:
            raise self._fault from None

    # Being split.

    def _reconsider(self) -> None:
        """Begin to send over the edges that nodes have gained."""
        self._stages[0].node.regroup = False
        for stage in self._stages:
            stage.node.adopt()

    def _interrupt(self) -> None:
        """Split the nodes, as the call of the stage under way waits."""
        if self._schedule.over:
            return
        assert self._task is not None
        if self._shortcut is not None and (stop := self._shortcut.part()) is not None:
            self._leave_shortcut(stop)
        stage = self._at
        try:
            stage.interrupt(self._task)
        except BaseException as error:
            self._fault = error  # to be raised where the nodes run
            self._task.cancel()
        finally:
            send(stage)
            self._flush()
            stage.leave()
        if self._fault is None and len(pieces := list(self._pieces())) > 1:
            self._split(pieces)

    def _leave_shortcut(self, stop: Stop) -> None:
        """Have all lie where it would if the item whose call waits had come from stage to stage."""
        send(self._stages[-1])
        self._give_back(stop.left)
        self._lay(stop)
        self._at = self._stages[stop.stage]
        self._at.begin(stop.item)

    @abc.abstractmethod
    def _flush(self) -> None:
        """Put into the queues what lies between stages that are over and others to come."""

    def _pieces(self) -> Iterator[Piece]:
        """Divide the nodes: those that a call or an item waits at are alone, the rest are lines.

        A line looks for items in its first queue only, so one also ends where any lie within, and
        behind a node that has come to lead elsewhere too.
        """
        for line in self._lines:
            together: list[Processor] = []
            for stage in line:
                alone = stage.interrupted or bool(stage.waiting)
                queue = stage.node.inlet
                if together and (
                    alone
                    or (queue is not None and queue.items)
                    or len(together[-1].outlet.edges) > 1  # what it sends must go by queues
                    or together[-1].apart
                    or stage.node.apart
                ):
                    yield from _halves(together)
                    together = []
                if alone:
                    yield from self._alone(stage)
                else:
                    together.append(stage.node)
            yield from _halves(together)

    def _alone(self, stage: Stage) -> Iterator[Piece]:
        nodes = [stage.node]
        if stage.interrupted and not stage.several:
            yield Piece(nodes, stays=True)
            return
        if not stage.interrupted:
            stage.node.leave_line(clock())
        pool = Calls(stage.node).begun(stage.waiting)
        yield Piece(nodes, pool)
        if stage.interrupted:
            self._guest = pool, pool.admit(stage.items[0])
            yield Piece([], stays=True)

    async def _go_on(self) -> bool:
        """Go on with the node whose call has waited; tell whether it does as a line."""
        stage = self._at
        item, outcome = stage.resume()
        if self._guest is not None:
            pool, place = self._guest
            await pool.join(place, item, outcome)
            return False
        stage.results = []
        stage.sort(item, outcome)
        send(stage)
        if stage.waiting:
            await Calls(stage.node).begun(stage.waiting).run()
        elif stage.node.shape.is_async:
            await serve(stage.node)
        else:
            return await self._go_on_alone(stage.node)
        return False

    @abc.abstractmethod
    async def _go_on_alone(self, node: Processor) -> bool:
        """Go on with one node as a line; tell whether `_flow` is to be called again for that."""


def _halves(nodes: Sequence[Processor]) -> Iterator[Piece]:
    """Cut a long line in two, as its nodes may well wait too, each in its turn.

    If each split only cut one node off a thousand that wait, it would look at all the others.
    """
    middle = len(nodes) // 2 if len(nodes) > LONG else 0
    for part in (nodes[:middle], nodes[middle:]):
        if part:
            yield Piece(part)


def _stage_of(node: Processor) -> type[Stage]:
    return SpreadStage if isinstance(node.inlet, SpreadInlet) else Stage


def send(stage: Stage) -> None:
    """Send on a stage's results."""
    outlet, results = stage.node.outlet, stage.results
    if not results:
        return
    if results is stage.outcomes or is_plain(results):
        outlet.extend(results)
        return
    for result in results:
        if type(result) in SPECIAL:
            stage.node.send(result)
        else:
            outlet.append(result)
    if outlet.hungry:
        outlet.feed()
