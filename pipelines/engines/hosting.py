"""A host: keeps the steps of some nodes entered, and takes one batch a call through them.

Each batch is a run of its own of the engine, over the same entered steps. So a batch's results are
known to be whole, and a batch that was under way in a process that died can be made again,
anywhere, without the others.

A host whose nodes wait for something takes several batches at once. What a node promises holds over
all of them: as many calls in flight as its `concurrency`, its rate, and one that makes one call at
a time sees the items of one batch after those of the batch before.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from pipelines.engines.passage import HostGraph, Outcome, Passage
from pipelines.errors import PipelinesError, StepError
from pipelines.executor import Caller, Outcomes
from pipelines.pace import Seats, Throttle
from pipelines.processor import Processor

__all__ = ["Host"]

#: Seconds that a batch gets to be done by itself before the next one is begun beside it. A batch of
#: quick steps takes 1 to 10 ms, and what runs beside another can't run as one with its neighbours.
PATIENCE = 0.02


class Host:
    """Runs the nodes of one host in the running event loop.

    Args:
        graph: what they are.
        succeeds: it takes the place of a process that was lost.
    """

    def __init__(self, graph: HostGraph, succeeds: bool = False) -> None:
        self.graph = graph
        self._nodes: dict[str, Processor] = {}
        self._latest: Passage | None = None
        self._turns = _Turns(None if succeeds else 0)
        self._opening = asyncio.Lock()
        self._last = -1  # the batch that the state of its steps includes
        self._initial: dict[str, Any] | None = None

    async def open(self) -> None:
        """Enter all steps, once.

        Raises:
            StepError: one could not be entered; those before it have been exited.
        """
        async with self._opening:
            if self._nodes:
                return
            nodes = Passage(self.graph, ()).nodes
            try:
                for node in nodes.values():
                    await node.enter()
                    _share(node)
                self._nodes = nodes
                self._initial = self._checkpoint(copied=True)
            except BaseException as error:
                self._nodes = {}
                await _exit(nodes, error)
                raise

    async def process(
        self, number: int, columns: Sequence[Sequence[Any]], state: Mapping[str, Any] | None = None
    ) -> Outcome:
        """Take one batch through all nodes.

        Args:
            number: which batch of this host it is, counted from 0; they are begun in order.
            columns: for each inbound edge its entries.
            state: of stateful steps, as it was after the batch before; used where it is another.
        """
        async with self._turns.turn(number):
            await self.open()
            await self._wait_for_room()
            if self._last != number - 1:
                self._restore(state or self._initial or {})
            passage = Passage(self.graph, columns, owners=self._nodes, before=self._latest)
            self._latest = passage
            task = asyncio.ensure_future(passage.run())
        try:
            outcome = await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise
        self._last = number
        outcome.state = self._checkpoint()
        return outcome

    async def close(self, error: BaseException | None) -> BaseException | None:
        """Exit all steps, the last one first, as for a run that ended with `error`.

        Returns:
            What the first exit that raised has raised.
        """
        nodes, self._nodes = self._nodes, {}
        return await _exit(nodes, error)

    async def _wait_for_room(self) -> None:
        """Give the batch before a chance to be done; a stateful host waits until it is."""
        if self._latest is not None and not self._latest.over.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self.graph.stateful else PATIENCE):
                    await self._latest.over.wait()

    # The state of steps that remember.

    def _keepers(self) -> dict[str, Any]:
        """Return the instances that can say what they remember."""
        return {
            name: node.instance
            for name, node in self._nodes.items()
            if self.graph.stateful and hasattr(node.instance, "checkpoint")
        }

    def _checkpoint(self, copied: bool = False) -> dict[str, Any] | None:
        found = {}
        for name, instance in self._keepers().items():
            try:
                state = instance.checkpoint()
                found[name] = copy.deepcopy(state) if copied else state
            except Exception as error:
                raise StepError(name, None, error, doing="while saying its state") from error
        return found or None

    def _restore(self, state: Mapping[str, Any]) -> None:
        for name, instance in self._keepers().items():
            try:
                instance.restore(state[name])
            except Exception as error:
                raise StepError(name, None, error, doing="while taking its state back") from error


def _share(node: Processor) -> None:
    """Give a node what bounds its calls over all batches."""
    node.seats = Seats(node.concurrency)
    if node.properties.rate_limit is not None:
        node.throttle = Throttle(node.properties.rate_limit)
    if node.executor is not None:
        node.executor = _Lanes(node.executor, node.concurrency)


async def _exit(
    nodes: Mapping[str, Processor], error: BaseException | None
) -> BaseException | None:
    first: BaseException | None = None
    for node in reversed([*nodes.values()]):
        try:
            await node.exit(error)
        except PipelinesError as raised:
            first = first or raised
    return first


class _Lanes:
    """The lanes of an executor, given to whoever calls next: several batches share them."""

    def __init__(self, caller: Caller, size: int) -> None:
        self._caller = caller
        self._free = list(range(size))

    async def run(self, lane: int, chunk: list[Any], timeout: float | None = None) -> Outcomes:
        """Return the outcomes of a chunk, called in a free lane."""
        with self._lane() as free:
            return await self._caller.run(free, chunk, timeout)

    @contextlib.contextmanager
    def _lane(self) -> Iterator[int]:
        """Take a free lane: there is one for whoever has a seat."""
        free = self._free.pop()
        try:
            yield free
        finally:
            self._free.append(free)


class _Turns:
    """Lets batches begin one by one, in the order of their numbers.

    Args:
        first: the lowest; `None` where they begin as they come. To a process that takes another's
            place those never come that the other had done.
    """

    def __init__(self, first: int | None) -> None:
        self._next = first
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._one = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def turn(self, number: int) -> AsyncIterator[None]:
        """Wait for the turn of a batch; leaving lets the next one begin."""
        try:
            if self._next is not None and number > self._next:
                self._waiting[number] = asyncio.get_running_loop().create_future()
                await self._waiting[number]
            async with self._one:
                yield
        finally:
            if self._next is not None:
                self._call_next(self._next, number)

    def _call_next(self, awaited: int, number: int) -> None:
        self._waiting.pop(number, None)
        self._next = max(awaited, number + 1)
        waiting = self._waiting.get(self._next)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
