"""How fast a loop goes: how much at a time, how often it calls, how long a call may take."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from pipelines.spec import Rate

__all__ = ["Pace", "Seats", "Throttle", "Watch"]


class Pace:
    """How many items a loop takes at a time: about `target` seconds of work, at most `most`."""

    __slots__ = ("_most", "_target", "limit")

    def __init__(self, target: float = 0.001, most: int = 64) -> None:
        self.limit = 1
        self._target = target
        self._most = most

    def adapt(self, count: int, seconds: float) -> None:
        """Be told that `count` items took `seconds`."""
        if seconds > self._target:
            self.limit = max(1, self.limit // 2)
        elif count == self.limit and seconds * 2 < self._target:
            self.limit = min(self._most, self.limit * 2)


class Throttle:
    """Lets one call go on at a time, evenly spaced to a `Rate`."""

    def __init__(self, rate: Rate) -> None:
        self._spacing = rate.per / rate.count
        self._next = 0.0

    async def wait(self) -> None:
        """Wait for the next free place in time."""
        now = asyncio.get_running_loop().time()
        place = max(now, self._next)
        self._next = place + self._spacing
        if place > now:
            await asyncio.sleep(place - now)


class Seats:
    """A bound on the calls in flight of several pools, given out in the order they are asked for.

    Args:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue: deque[asyncio.Future[None]] = deque()

    def claim(self) -> None:
        """Take one for a call that is under way already, though none may be free."""
        self._free -= 1

    async def take(self) -> None:
        """Take one, waiting until one is free."""
        if self._free > 0 and not self._queue:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # it was given out in the same turn of the loop
            raise

    def leave(self) -> None:
        """Give one back."""
        self._free += 1
        while self._free > 0 and self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)


class Watch:
    """Ends a worker's call that takes too long.

    A timer now and then looks whether the worker is still at the same call; a timer for each call
    would cost more than ten hops. A call of more than `timeout` seconds is ended before it has
    taken a quarter more.
    """

    LOOKS = 8  # per time-out

    def __init__(self, timeout: float, task: asyncio.Task[Any] | None = None) -> None:
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._task = task or asyncio.current_task()
        self._calls = 0
        self._calling = False
        self._seen = (0, 0.0)
        self._expired = False
        self._timer = self._loop.call_later(self._timeout / self.LOOKS, self._look)
        assert self._task is not None
        self._task.add_done_callback(lambda _: self.stop())

    @classmethod
    def of(cls, timeout: float | None) -> Watch | None:
        """Return a watch over the running task, if there is a time-out."""
        return None if timeout is None else cls(timeout)

    def begin(self) -> None:
        """Be told that a call begins."""
        self._calls += 1
        self._calling = True

    def end(self) -> None:
        """Be told that the call has returned."""
        self._calling = False
        if self._expired:  # it swallowed the cancellation: its result stands
            self._forgive()

    def judge(self, error: BaseException) -> BaseException:
        """Return the error of a call that raised: `TimeoutError` where it was ended from here."""
        self._calling = False
        if self._expired and isinstance(error, asyncio.CancelledError):
            self._forgive()
            if self._task is not None and self._task.cancelling():
                return error  # somebody else has cancelled the task in the same turn
            late = TimeoutError(f"the call took longer than {self._timeout:g} s")
            late.__cause__ = error
            return late
        return error

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _forgive(self) -> None:
        self._expired = False
        assert self._task is not None
        self._task.uncancel()

    def _look(self) -> None:
        now = self._loop.time()
        calls, since = self._seen
        if not self._calling or calls != self._calls:
            self._seen = (self._calls, now)
        elif now - since >= self._timeout and not self._expired:
            self._expired = True
            assert self._task is not None
            self._task.cancel()
        self._timer = self._loop.call_later(self._timeout / self.LOOKS, self._look)
