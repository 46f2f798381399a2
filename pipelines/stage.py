"""One node's turn in a line: its step called with a run of items, and what comes of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, starmap
from typing import Any

from pipelines.failure import SPECIAL, Again, is_plain
from pipelines.inputprocessor import InputProcessor
from pipelines.pace import Watch
from pipelines.processor import Processor
from pipelines.schedule import clock
from pipelines.step import Later, Route, discard

__all__ = ["Stage", "stopped_iterating"]

#: An item with what came of it.
Pair = tuple[Any, Any]


class Stage:
    """A node's turn.

    Args:
        node: whose step is called.
        last: it is the last of its line, so its marks are sent on too.

    Attributes:
        items: the run of items; shortened to the one whose call waits by `interrupt`.
        outcomes: one for each of the first of `items`. In the midst of a call that is the one for
            the next item.
        calling: a call is under way; while the task is suspended, that call waits.
        interrupted: what is left of the stage is one call.
        makes: the items are its results already, as those of a source are.
        uncounted: has the node's counters brought up to date with calls that were made elsewhere.
        results: what goes on, once the stage is over: plain values, and marks at the last node.
        waiting: items that wait to be called again, and those behind them.
    """

    __slots__ = (
        "_awaits",
        "_before",
        "_began",
        "_finished",
        "_made",
        "_raised",
        "_watch",
        "calling",
        "interrupted",
        "items",
        "last",
        "makes",
        "node",
        "outcomes",
        "results",
        "several",
        "uncounted",
        "waiting",
    )

    def __init__(self, node: Processor, last: bool) -> None:
        self.node = node
        #: Whether calls may overlap once one waits; a failed one is then not tried again in place.
        self.several = node.shape.is_async and node.concurrency > 1
        self.items: list[Any] = []
        self.outcomes: list[Any] = []
        self.results: list[Any] = []
        self.waiting: list[Pair] = []
        self.calling = False
        self.interrupted = False
        self.last = last
        self.makes = isinstance(node, InputProcessor)
        self._awaits = node.shape.is_async
        self._watch: Watch | None = None
        self._made: list[Any] = []
        self._raised: BaseException | None = None
        self._before = self._finished = 0
        self._began = 0.0
        self.uncounted: Callable[[], None] = _nothing
        node.refresh = self._refresh

    async def run(self, items: list[Any], began: float) -> float:
        """Call the step with each item; afterwards `results` and `waiting` say what came of them.

        Args:
            items: a run of them.
            began: `clock()` as it is.

        Returns:
            `clock()` as it has become.

        Raises:
            StepError: the node does not tolerate a failure.
        """
        node = self.node
        self.items = items
        self._before, self._finished, self._began = node.received, node.finished, began
        if self.makes:
            self.outcomes = items
        else:
            self.outcomes, self._made = self._made, []
            error, self._raised = self._raised, None
            self.calling = True
            if error is None:
                # A sync step never waits, so it needs no coroutine around the loop.
                error = await self._await_each() if self._awaits else self._map()
            if error is not None:
                await self._bear_all(error)
            self.calling = False
            if self.interrupted:
                return 0.0
        node.received = self._before + len(items)
        if is_plain(self.outcomes):
            node.finished = self._finished + len(items)
            self.results = self.outcomes
        else:
            self._sort(zip(items, self.outcomes, strict=True))
        now = clock()
        node.worked += now - began
        return now

    def tell(self, made: Sequence[Any], raised: BaseException | None) -> None:
        """Be told of calls for the first of the next items, which have been made elsewhere.

        Args:
            made: their outcomes.
            raised: what the call for the one behind them has raised, if it has.
        """
        self._made, self._raised = list(made), raised

    def begin(self, item: Any) -> None:
        """Be told of a call under way, which is made elsewhere; see `end`."""
        node = self.node
        self.items, self.outcomes, self.results = [item], [], []
        self._before, self._finished, self._began = node.received, node.finished, clock()
        self.calling = True

    async def end(self, made: Sequence[Any], raised: BaseException | None) -> None:
        """Be told of the end of a call that began elsewhere: its outcome, or what it raised.

        Raises:
            StepError: the node does not tolerate a failure.
        """
        self.outcomes += made if raised is None else [await self._bear(self.items[0], raised)]
        self.calling = False

    def count(self, items: int, seconds: float = 0.0) -> None:
        """Count items that were taken through elsewhere, all with plain results, and the time."""
        node = self.node
        node.received += items
        node.finished += items
        node.worked += seconds

    def pass_on(self) -> list[Any]:
        """Return `results`, and keep nothing of what the stage is through with.

        What the next stage makes then takes the place of what is still in the processor's cache:
        6 % less time for an item of four plain functions.
        """
        results = self.results
        self.items = self.outcomes = self.results = []
        return results

    async def _bear_all(self, error: BaseException | None) -> None:
        """Go on with the other items after one failed, and so on."""
        while error is not None:
            self.outcomes.append(await self._bear(self.items[len(self.outcomes)], error))
            error = await self._await_each() if self._awaits else self._map()

    async def _await_each(self) -> BaseException | None:
        """Await a call for each item that has no outcome yet; return what the first bad one raised.

        `items` may be shortened meanwhile, which ends this.
        """
        call, outcomes = self.node.call, self.outcomes
        try:
            for item in self._left():
                outcomes.append(await call(item))
        except (Exception, asyncio.CancelledError) as error:
            return error
        return None

    def _map(self) -> BaseException | None:
        """Call a plain function with each item that has no outcome yet, like `_await_each`."""
        outcomes, node, left = self.outcomes, self.node, self._left()
        try:
            outcomes.extend(starmap(node.star, left) if node.star else map(node.call, left))
        except BaseException as error:
            return error
        if len(self.outcomes) < len(self.items):
            return stopped_iterating()  # to `map` it looks like the end of the items
        return None

    def _left(self) -> Iterable[Any]:
        """Return the items that have no outcome yet; the list as it is, which takes 4 ns less."""
        return islice(self.items, len(self.outcomes), None) if self.outcomes else self.items

    async def _bear(self, item: Any, error: BaseException) -> Any:
        """Return the outcome of an item whose call raised."""
        node = self.node
        if not self.several:
            if self._watch is None and node.shape.is_async:
                self._watch = Watch.of(node.properties.timeout)
            return await node.insist(item, error, self._watch)
        return await node.caught(item, error if self._watch is None else self._watch.judge(error))

    # Cut short.

    def interrupt(self, task: asyncio.Task[Any]) -> None:
        """Leave the call that waits alone in the stage; send on what is done, give back the rest.

        Args:
            task: in which the call waits. Only now does it need a watch over its time.

        Raises:
            StepError: a step returned what it may not.
        """
        node, done = self.node, len(self.outcomes)
        self.interrupted = True
        over = list(zip(self.items, self.outcomes, strict=False))
        # The queue may have been filled up meanwhile; it is then too long by what comes back.
        assert node.inlet is not None
        node.inlet.give_back(self.items[done + 1 :])
        self.items[:] = [self.items[done]]
        self.outcomes.clear()
        self._before += done
        node.received = self._before + 1
        if self._watch is None and node.properties.timeout is not None and node.shape.is_async:
            self._watch = Watch(node.properties.timeout, task)
            self._watch.begin()
        self._sort(over)
        self._finished = node.finished  # where the run ends in this call, that is what has been

    def leave(self) -> None:
        """Let the node be by itself from now on; what was done has been sent on."""
        self.node.leave_line(self._began)

    def resume(self) -> Pair:
        """Return the item whose call waited, and what came of it."""
        if self._watch is not None:
            self._watch.end()
            self._watch.stop()
        return self.items[0], self.outcomes[0]

    def give_up(self) -> None:
        """Make the counts and queues right where the run ends within the stage."""
        node, done = self.node, len(self.outcomes)
        if self.calling:
            # What went through lies in the next queue; what did not begin in this one.
            self.calling = False
            node.received = self._before + done + 1
            assert node.inlet is not None
            node.inlet.give_back(self.items[done + 1 :])
            self._sort(zip(self.items, self.outcomes, strict=False))

    # What came of it.

    def _sort(self, pairs: Iterable[Pair]) -> None:
        self.node.finished = self._finished
        self.results = []
        try:
            for item, outcome in pairs:
                self.sort(item, outcome)
        except BaseException:
            discard(self.outcomes)
            raise

    def sort(self, item: Any, outcome: Any) -> None:
        """Put an outcome where it belongs: behind those that wait, or among the results."""
        kind = type(outcome)
        node = self.node
        poll = (kind is Later or kind is Again) and not isinstance(node, InputProcessor)
        if self.waiting or poll:
            self.waiting.append((item, outcome))
            return
        if kind in SPECIAL:
            outcome = node.account(item, outcome)
        node.finished += 1
        if kind not in SPECIAL or self.last:
            self.results.append(outcome)
        elif type(outcome) is Route:
            self.results += outcome.values.values()  # the one edge to the next node

    def _refresh(self) -> None:
        self.uncounted()
        if self.calling and not self.interrupted:
            self.node.received = self._before + len(self.outcomes) + 1
            self.node.finished = self._finished + len(self.outcomes)


def stopped_iterating() -> RuntimeError:
    """Return what stands for a StopIteration, which no coroutine can raise."""
    return RuntimeError("the step raised StopIteration")


def _nothing() -> None:
    """Do nothing."""
