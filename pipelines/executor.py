"""Where a step call runs when it is not in the event loop: a thread, or a process of its own.

A node with ``executor: thread`` or ``process`` gets an `Executor` of as many *lanes* as it may have
calls in flight. In threads, a lane is one daemon thread that makes one call after another; in
processes, it stands for one worker process (see `pipelines.processes`). A call takes a chunk of
items, because a process call costs a hundred times what a small step costs.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter as clock
from types import TracebackType
from typing import Any, Protocol, final

from pipelines.errors import describe
from pipelines.lane import Lane
from pipelines.step import Step, discard

__all__ = [
    "Caller",
    "Executor",
    "Failure",
    "Outcomes",
    "ThreadExecutor",
    "call_chunk",
    "processors",
]

logger = logging.getLogger(__name__)

#: What a lane sends back for a chunk: one outcome an item, and the seconds the calls took.
Outcomes = tuple[list[Any], float]

_Error = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


@final
class Failure:
    """Stands in a chunk's outcomes for an item whose call raised `error`."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


@final
class Yielded:
    """Stands in a chunk's outcomes for the values that a step yields, and what it then raised."""

    __slots__ = ("error", "values")

    def __init__(self, values: Iterable[Any]) -> None:
        self.values: list[Any] = []
        self.error: BaseException | None = None
        try:
            self.values.extend(values)
        except (Exception, asyncio.CancelledError) as error:
            self.error = error


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def call_chunk(call: Callable[[Any], Any], chunk: Sequence[Any], yields: bool) -> list[Any]:
    """Call a step with each item; return an outcome each: a value, `Yielded`, or a `Failure`."""
    outcomes: list[Any] = []
    for item in chunk:
        try:
            outcomes.append(Yielded(call(item)) if yields else call(item))
        except (Exception, asyncio.CancelledError) as error:
            outcomes.append(Failure(error))
    discard(outcomes)  # the node will say what is wrong with a coroutine; nobody may await it
    return outcomes


def _timed(call: Callable[[Any], Any], chunk: Sequence[Any], yields: bool) -> Outcomes:
    began = clock()
    return call_chunk(call, chunk, yields), clock() - began


class Caller(Protocol):
    """Makes the calls of a chunk in one of its lanes; see `Executor`."""

    async def run(self, lane: int, chunk: list[Any], timeout: float | None = None) -> Outcomes:
        """Return the outcomes of a chunk."""


class Executor(abc.ABC):
    """Runs a node's step outside the event loop, in `size` lanes.

    Args:
        node: the node's name, for messages.
        step: what to call.
        size: the number of lanes, at most as many calls at once.
    """

    #: Seconds that a lane gets to end when the run does; then it is left behind and named.
    patience = 5.0

    def __init__(self, node: str, step: Step, size: int) -> None:
        self.node = node
        self.step = step
        self.size = size
        self.lanes: list[Lane] = []

    async def open(self) -> None:
        """Start the lanes and enter the step; no item ever waits for a lane's first call.

        Raises:
            Exception: what went wrong in the first lane that can't make calls.
        """
        loop = asyncio.get_running_loop()
        self.lanes = [Lane(f"pipelines:{self.node}:{index}", loop) for index in range(self.size)]
        await self._enter()
        ready = asyncio.gather(*map(self._prepare, range(self.size)), return_exceptions=True)
        for outcome in await ready:
            if isinstance(outcome, BaseException):
                raise outcome

    async def run(self, lane: int, chunk: list[Any], timeout: float | None = None) -> Outcomes:
        """Return the outcomes of a chunk, called in the given lane.

        A call that takes longer than `timeout` seconds, a worker that dies and an item that can't
        travel are outcomes too: a `Failure` for each item of the chunk that they concern.
        """
        try:
            await self._prepare(lane)
        except Exception as error:
            return [Failure(error)] * len(chunk), 0.0
        if timeout is None:
            return await self._call(lane, chunk)
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await self._call(lane, chunk)
        except TimeoutError:
            if not limit.expired():
                raise
        await self._give_up(lane)
        failure = Failure(TimeoutError(f"the call took longer than {timeout:g} s"))
        return [failure] * len(chunk), timeout

    async def close(self, error: BaseException | None = None) -> None:
        """Exit the step, as for a run that ended with `error`, and end the lanes."""
        try:
            await self._exit(error)
        finally:
            ended = await asyncio.gather(*(lane.join(self.patience) for lane in self.lanes))
            if not all(ended):
                logger.warning(
                    "node %r: a call is still running in a thread, which can't be ended; "
                    "give the step a time-out of its own, or executor: process",
                    self.node,
                )

    @abc.abstractmethod
    async def _enter(self) -> None:
        """Do what is done once, in the first lane."""

    @abc.abstractmethod
    async def _prepare(self, lane: int) -> None:
        """Make the lane ready for a call, if it is not, in time that no time-out counts."""

    @abc.abstractmethod
    async def _call(self, lane: int, chunk: list[Any]) -> Outcomes:
        """Make the calls; is cancelled where they take too long, or the run ends."""

    @abc.abstractmethod
    async def _give_up(self, lane: int) -> None:
        """Make the lane usable again although its call has not returned."""

    @abc.abstractmethod
    async def _exit(self, error: BaseException | None) -> None: ...


class ThreadExecutor(Executor):
    """Runs the step in threads; a class is constructed, entered and exited in the first one.

    An instance with `enter_thread` and `exit_thread` has them called in each thread that makes
    calls: before the first of them, and at the end.
    """

    def __init__(self, node: str, step: Step, size: int) -> None:
        super().__init__(node, step, size)
        self._stack = contextlib.ExitStack()
        self._bound: Callable[[Any], Any] | None = None
        self._instance: Any = None
        self._entered: set[int] = set()

    async def _enter(self) -> None:
        def enter() -> tuple[Any, Callable[[Any], Any]]:
            return enter_step(self.step, self._stack)

        self._instance, self._bound = await self.lanes[0].submit(enter)

    async def _prepare(self, lane: int) -> None:
        if lane not in self._entered and hasattr(self._instance, "enter_thread"):
            await self.lanes[lane].submit(self._instance.enter_thread)
            self._entered.add(lane)

    async def _call(self, lane: int, chunk: list[Any]) -> Outcomes:
        assert self._bound is not None
        call = functools.partial(_timed, self._bound, chunk, self.step.shape.yields)
        return await self.lanes[lane].submit(call)  # type: ignore[no-any-return]

    async def _give_up(self, lane: int) -> None:
        # The call goes on until it returns; its outcome is forgotten.
        if lane in self._entered:
            self._entered.discard(lane)
            self.lanes[lane].submit(self._instance.exit_thread).add_done_callback(_forget)
        self.lanes[lane].stop()
        name = f"pipelines:{self.node}:{lane}"
        self.lanes[lane] = Lane(name, asyncio.get_running_loop())

    async def _exit(self, error: BaseException | None) -> None:
        if self._bound is None:
            return
        try:
            await self._exit_threads(error)
        finally:
            await self._exit_step(error)

    async def _exit_threads(self, error: BaseException | None) -> None:
        asked = [self.lanes[lane].submit(self._instance.exit_thread) for lane in self._entered]
        if asked:
            # After a failure a call that hangs is not waited for.
            await asyncio.wait(asked, timeout=None if error is None else self.patience)
        for answer in asked:
            if not answer.done():
                answer.add_done_callback(_forget)
        raised = [error for each in asked if each.done() and (error := each.exception())]
        if raised:
            raise raised[0]

    async def _exit_step(self, error: BaseException | None) -> None:
        if error is not None and not await self.lanes[0].answers(self.patience):
            # A call that hangs keeps the lane. The exit comes from another thread, or never.
            self.lanes.append(Lane(f"pipelines:{self.node}:exit", asyncio.get_running_loop()))
        lane = self.lanes[0] if error is None else self.lanes[-1]
        await lane.submit(lambda: self._stack.__exit__(*exc_info(error)))


def enter_step(step: Step, stack: contextlib.ExitStack) -> tuple[Any, Callable[[Any], Any]]:
    """Construct and enter a step that is a class; return it, and what to call with each item."""
    instance = step.construct()
    if hasattr(type(instance), "__enter__"):
        stack.enter_context(instance)
    return instance, step.bind(instance)


def _forget(answer: asyncio.Future[Any]) -> None:
    """Take note of what a call raised that nobody waits for any longer."""
    if not answer.cancelled() and (error := answer.exception()) is not None:
        logger.warning("a thread that was given up raised in its exit: %s", describe(error))


def exc_info(error: BaseException | None) -> _Error:
    """Return the three arguments of an ``__exit__``."""
    return (None, None, None) if error is None else (type(error), error, error.__traceback__)
