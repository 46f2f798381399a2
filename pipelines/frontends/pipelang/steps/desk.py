"""Whose turn it is: one desk for all steps of a run, with a number of calls under way at once."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import heapq
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

from pipelines.executor import Executor
from pipelines.lane import Lane

__all__ = ["WORKERS", "Desk", "Rank"]

T = TypeVar("T")

#: Calls under way at once in the whole run, where nobody says.
WORKERS = 100

logger = logging.getLogger(__name__)

#: Who comes first: the place of the scope, then the priority with its sign turned.
Rank = tuple[int, int]


class Desk:
    """Grants turns: to the lowest rank first, and within one rank to who came first.

    There is no ageing: as long as enough work of a better rank comes, that of a worse one waits.
    Graphs that run in one event loop, with as many workers, share a desk; but what a call runs
    inside itself gets another one, as it would wait for its own caller.

    Args:
        workers: turns that may be held at once.
    """

    def __init__(self, workers: int) -> None:
        self._free = workers
        self._arrivals = itertools.count()
        self._waiting: list[tuple[Rank, int, asyncio.Future[None]]] = []
        self._threads = _Threads()
        self._users = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def joined(cls, workers: int) -> AsyncIterator[Self]:
        """Enter the desk for `workers` of the running event loop; who leaves last closes it."""
        desks = _DESKS.setdefault(asyncio.get_running_loop(), {})
        key = (workers, _at.get())
        desk = desks.setdefault(key, cls(workers))
        desk._users += 1
        try:
            yield desk
        finally:
            desk._users -= 1
            if not desk._users:
                del desks[key]
                await desk._threads.close()

    @contextlib.asynccontextmanager
    async def turn(self, rank: Rank) -> AsyncIterator[None]:
        """Wait for a turn, and hold it."""
        await self._take(rank)
        before = _at.set(self)
        try:
            yield
        finally:
            _at.reset(before)
            self._pass_on()

    async def call(self, function: Callable[[], T]) -> T:
        """Return what a function returns that may block: it is called in a thread."""
        return await self._threads.call(function)

    async def _take(self, rank: Rank) -> None:
        if self._free > 0:
            self._free -= 1
            return
        granted = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._arrivals), granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give a turn that was held to the next who still waits."""
        while self._waiting:
            _, _, granted = heapq.heappop(self._waiting)
            if not granted.done():
                granted.set_result(None)
                return
        self._free += 1


_DESKS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[int, Desk | None], Any]] = (
    WeakKeyDictionary()
)

#: The desk that gave the running call its turn.
_at: contextvars.ContextVar[Desk | None] = contextvars.ContextVar("_at", default=None)


class _Threads:
    """Threads for calls that may block, started when they are needed and kept for the next call.

    They are daemons: a call that never returns can't be ended, and must not keep the program.
    """

    def __init__(self) -> None:
        self._lanes: list[Lane] = []
        self._free: list[Lane] = []

    async def call(self, function: Callable[[], T]) -> T:
        """Return what a function returns; where the caller is cancelled it still goes on."""
        lane = self._free.pop() if self._free else self._start()
        answer = lane.submit(functools.partial(contextvars.copy_context().run, function))
        answer.add_done_callback(lambda _: self._over(lane, answer))
        await asyncio.wait([answer])
        result: T = answer.result()
        return result

    def _start(self) -> Lane:
        lane = Lane(f"pipelang:{len(self._lanes)}", asyncio.get_running_loop())
        self._lanes.append(lane)
        return lane

    def _over(self, lane: Lane, answer: asyncio.Future[Any]) -> None:
        self._free.append(lane)
        if not answer.cancelled():
            answer.exception()  # looked at, also where nobody waits any more

    async def close(self) -> None:
        """End the threads, but for those whose call never returns."""
        ended = await asyncio.gather(*(lane.join(Executor.patience) for lane in self._lanes))
        if not all(ended):
            logger.warning(
                "a function is still running in a thread, which can't be ended; "
                "give it a time-out of its own, or !executor process"
            )
