"""A plain generator function at the head of a line: what it yields is what the line takes."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from itertools import islice, repeat
from typing import Any

from pipelines.errors import StepError
from pipelines.failure import SPECIAL, Again, is_plain, misused
from pipelines.inlet import Inlet, Wrapping
from pipelines.processor import Processor
from pipelines.schedule import clock
from pipelines.stage import Stage
from pipelines.step import Route, Skip

__all__ = ["SpreadInlet", "SpreadStage"]


class SpreadInlet(Wrapping):
    """A way in that calls a generator function with what another way in has.

    Its `items` are what is yielded, never more of it than was asked for.

    Attributes:
        fault: what the step raised, once all that it had yielded before is taken; see `mend`.
    """

    __slots__ = ("_attempt", "_item", "_node", "_values", "_yielded", "fault", "seconds")

    #: Items whose values are drawn before a look at the queue.
    MOST = 64

    def __init__(self, inner: Inlet, node: Processor) -> None:
        super().__init__(inner)
        self.gapped = False  # what is yielded starts a new stream
        self.fault: BaseException | None = None
        self.seconds = 0.0
        self._node = node
        self._values: Generator[Any, None, None] | None = None
        self._item: Any = None
        self._yielded = False
        self._attempt = 1

    @property
    def ended(self) -> bool:
        busy = self.items or self._values is not None or self.fault is not None
        return not busy and self._inner.ended

    def _more(self) -> None:
        self.rouse()  # the step is called where the line runs, not where it is woken

    def abandon(self) -> None:
        if self._values is not None:
            self._values.close()
        super().abandon()

    # Drawing.

    def ready(self, limit: int) -> int:
        if not self.items and self.fault is None:
            self._draw(limit)
        return len(self.items)

    def _draw(self, limit: int) -> None:
        began = clock()
        values = self._each(again=False) if self._values is None else self._values
        self._values = values
        try:
            self.items.extend(islice(values, limit))
        except (Exception, asyncio.CancelledError) as error:
            self.fault = error
        if len(self.items) < limit:
            self._values = None
        self.seconds += clock() - began

    def _each(self, again: bool) -> Generator[Any, None, None]:
        """Give what the step yields for each item, taking one when it is its turn.

        Args:
            again: begin with the item that was taken last.
        """
        node, inner, call = self._node, self._inner, self._node.call
        while count := 1 if again else self._clear(inner.ready(self.MOST)):
            for _ in repeat(None, count):
                if not again:
                    self._item = inner.items.popleft()
                    self._attempt = 1
                    if inner.wanted:
                        inner.release()
                    node.received += 1
                again = self._yielded = False
                values = iter(call(self._item))
                for value in values:
                    self._yielded = True
                    yield value
                    break
                yield from values
                node.finished += 1

    def _clear(self, count: int) -> int:
        """Drop gap marks that stand first; return how many items come then."""
        inner = self._inner
        while count and inner.gaps and not (count := inner.run(count)):
            inner.pop_gap()
            count = inner.ready(self.MOST)
        return count

    async def mend(self) -> None:
        """Handle the `fault`; it is in the past, and so is all that was yielded before.

        Raises:
            StepError: the node does not tolerate it.
        """
        error, self.fault = self.fault, None
        assert error is not None
        node, retry = self._node, self._node.properties.retry
        # What was sent can't be taken back: another attempt would send it twice.
        attempt = retry.attempts if retry is not None and self._yielded else self._attempt
        outcome = await node.caught(self._item, error, attempt)
        if type(outcome) is Again:
            await asyncio.sleep(outcome.seconds)
            self._attempt = outcome.attempt
            self._values = self._each(again=True)
        else:
            node.account(self._item, outcome)
            node.finished += 1


class SpreadStage(Stage):
    """The stage of such a node: its items are the values already."""

    __slots__ = ()

    def __init__(self, node: Processor, last: bool) -> None:
        super().__init__(node, last)
        self.makes = True

    async def run(self, items: list[Any], began: float) -> float:
        self.items = self.outcomes = items
        if is_plain(items):
            self.results = items
            self.node.yielded += len(items)
        else:
            self.results = []
            for value in items:
                self.sort(value, value)
        return clock()

    def count(self, items: int, seconds: float = 0.0) -> None:
        self.node.yielded += items

    def sort(self, item: Any, outcome: Any) -> None:
        kind = type(outcome)
        if kind is Skip:
            return
        if kind in SPECIAL and kind is not Route:
            raise StepError(self.node.name, item, misused(outcome))
        self.node.yielded += 1
        if kind is not Route:
            self.results.append(outcome)
            return
        self.node.check_route(item, outcome)
        if self.last:
            self.results.append(outcome)
        else:
            self.results += outcome.values.values()
