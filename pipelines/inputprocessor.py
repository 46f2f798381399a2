"""An input node at run time: what makes its items, and what is put into it from outside."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterable, Iterable
from typing import Any, cast

from pipelines.errors import PipelinesError
from pipelines.failure import Again
from pipelines.inlet import SourceInlet
from pipelines.outputqueue import OutputQueue
from pipelines.processor import Processor, enter, is_cancelled
from pipelines.step import is_iterable_source

__all__ = ["InputProcessor"]

logger = logging.getLogger(__name__)


class InputProcessor(Processor):
    """A node without inbound edges: its step makes items, or `Plumber.put` does, or both.

    Args:
        limit: items after which it stops, or `None`.
    """

    doing = "while making its items"

    def __init__(self, *args: Any, limit: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limit = limit
        self.stopping = False
        self.queue = OutputQueue(self)
        self._open = self.spec.target is None
        self._closed = asyncio.Event()
        self._started = asyncio.Event()
        self._instance: Any = None
        self._attempt = 1
        self._opened = False
        self._driven = False
        self._aside = False
        #: What gives the items, and what its making raised.
        self.values: Any = ()
        self.broken: BaseException | None = None

    async def _enter(self) -> None:
        if inspect.isclass(self.step.target):
            self._instance = self.step.target(**self.spec.args)
            await enter(self._instance, self._to_exit())

    @property
    def is_seed(self) -> bool:
        """Whether the step is a coroutine of the seed's protocol, which puts items by itself."""
        return self.spec.coro is not None

    @property
    def is_prompt(self) -> bool:
        """Whether its items can be pulled at once, by all that is known before it is called."""
        target = self.step.target
        awaits = inspect.iscoroutinefunction(target) or inspect.isasyncgenfunction(target)
        return self._is_inline and not self.is_seed and not awaits

    @property
    def _is_inline(self) -> bool:
        return self.properties.executor == "inline" and self.properties.rate_limit is None

    async def open(self) -> None:
        """Make the node's `values`, once; they are its way in where a line can pull from them.

        What that raises is kept as `broken`.
        """
        if self._opened:
            return
        self._opened = True
        try:
            self.values = await self.make()
        except Exception as error:
            self.broken = error
        else:
            if self._is_inline and not isinstance(self.values, AsyncIterable):
                self.attach(self.values)

    # Being paused.

    def pause(self) -> None:
        """Send nothing on until `resume`; who waits for the step's own code does not wait for it.

        What is put meanwhile lies in the way in, or waits.
        """
        self.outlet.pause()
        if self._driven and self.state != "blocked":
            self._set_aside()
        if self.inlet is not None:
            self.inlet.rouse()

    def resume(self) -> None:
        """Go on."""
        self._come_back()
        self.outlet.resume()

    def depart(self) -> None:
        """Be told that the step now makes its items by itself, in its own time."""
        self._driven = True
        if self.outlet.paused:
            self._set_aside()

    def arrive(self) -> None:
        """Be told that it no longer does."""
        self._driven = False
        self._come_back()

    def _set_aside(self) -> None:
        self._aside = True
        self.schedule.set_aside()

    def _come_back(self) -> None:
        if self._aside:
            self._aside = False
            self.schedule.busy += 1

    def block(self) -> asyncio.Future[None]:
        self._come_back()
        return super().block()

    def hold_open(self) -> None:
        """Go on taking what is put after the step has ended, until `close`."""
        self._open = True

    async def make(self) -> Iterable[Any] | AsyncIterable[Any]:
        """Return what gives the node's items.

        Raises:
            TypeError: the step gives nothing that can be iterated over.
        """
        target: Any = self.step.target
        args = self.spec.args
        if target is None:
            return ()
        if self._instance is not None and isinstance(self._instance, Iterable | AsyncIterable):
            return self._instance
        if is_iterable_source(target):
            return cast(Iterable[Any] | AsyncIterable[Any], target)
        values = target(**args) if self._instance is None else self._instance()
        if inspect.isawaitable(values):
            values = await values
        if not isinstance(values, Iterable | AsyncIterable):
            raise TypeError(
                f"an input node's step must give an iterable, not {type(values).__name__}"
            )
        return values

    def attach(self, values: Iterable[Any]) -> SourceInlet:
        """Make an iterable the node's way in."""
        size = self.properties.buffer_size or 1
        iterator = iter(values)
        # An iterator that the graph was given may go on elsewhere; any other was made for this run.
        owned = iterator is not values or not is_iterable_source(self.step.target)
        self.inlet = SourceInlet(iterator, size, self._open, self.limit, owned)
        if self.stopping:
            self.inlet.stop()
        self._started.set()
        return self.inlet

    def drive(self, task: asyncio.Task[Any]) -> None:
        """Be told of the task in which the step makes its items by itself."""
        self.task = task
        self._started.set()

    async def put(self, item: Any) -> None:
        """Add an item from outside, waiting while there is no room for it.

        Raises:
            PipelinesError: the input has ended.
        """
        await self._started.wait()
        if isinstance(self.inlet, SourceInlet):
            await self.inlet.put(item)
        elif self.stopping or self._closed.is_set() or self.schedule.over:
            raise PipelinesError(f"input node {self.name!r} has ended: nothing more can be put")
        else:
            await self._put_into_queue(item)

    async def _put_into_queue(self, item: Any) -> None:
        try:
            await self.queue.put(item)
        except asyncio.CancelledError:
            # The end of a run cancels who lets the loop turn then, also one that is none of its
            # tasks: its item has been sent.
            if is_cancelled() or not self.schedule.over:
                raise

    def count_sent(self, count: int) -> None:
        self.received += count
        self.finished += count

    def end_put(self) -> None:
        """Be told by the queue that nobody wants what is put: end the step, or the caller's wait.

        Raises:
            PipelinesError: called from outside the node.
        """
        self.end_own_task()
        raise PipelinesError(f"input node {self.name!r} has ended: nothing more can be put")

    def end_own_task(self) -> None:
        """Stop; in the step's own task, end that from the inside."""
        if self.task is None or self.task is not asyncio.current_task():
            self.stop()
            return
        self.task = None
        self.stop()
        raise asyncio.CancelledError

    async def closed(self) -> None:
        """Wait until nothing more can be put."""
        if self._open:
            await self._closed.wait()

    def close(self) -> None:
        """Let nothing more be put; the node ends with its own step."""
        self._open = False
        self._closed.set()
        if isinstance(self.inlet, SourceInlet):
            self.inlet.close()

    def end(self) -> None:
        """Release those who wait to put something: the run is over."""
        self.close()
        if isinstance(self.inlet, SourceInlet):
            self.received += len(self.inlet.items)  # they were put, and count as in flight
            self.inlet.items.clear()
            self.inlet.abandon()
        self.outlet.desert()
        self._started.set()

    def stop(self) -> None:
        """Make no more items; what was made goes on."""
        if not self.stopping:
            self._come_back()
            self.stopping = True
            self.close()
            if isinstance(self.inlet, SourceInlet):
                self.inlet.stop()
            elif self.task is not None:
                # Woken first, to count as busy from now on and not only when it is cancelled.
                self.outlet.interrupt()
                self.task.cancel()

    async def start_over(self, error: BaseException) -> bool:
        """Handle a source that broke: tell whether to begin again, or to end here.

        It is tried again only while nothing came of it: later, items would come twice.

        Raises:
            StepError: the node does not tolerate it.
        """
        if self.received and self.properties.retry is not None:
            self._attempt = self.properties.retry.attempts
        outcome = await self.caught(None, error, self._attempt)
        if type(outcome) is not Again:
            # The item that could not be made: what was made before it goes on, and ends there.
            logger.warning("input node %r ends early: %s", self.name, self.last_error)
            self.received += 1
            self.account(None, outcome)
            self.finished += 1
            return False
        await asyncio.sleep(outcome.seconds)
        self._attempt = outcome.attempt
        self._opened, self.broken = False, None
        return True
