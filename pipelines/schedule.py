"""The event loop's time shared out among the nodes of a run, and the account of who waits.

Two rules that need one place: no node holds the loop for long (a common *slice*), and a run in
which every node waits for another one ends at once (exact accounting, no timer).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter as clock
from typing import Any
from weakref import WeakSet

__all__ = ["Schedule", "clock"]

#: Seconds of work after which a node lets the loop turn. Measured: 4 ms gave gaps of 8 to 14 ms.
SLICE = 0.002

#: How many of those that queue for a slice may begin in one turn; each looks at the deadline first,
#: and queues again when it has passed. One at a time makes a thousand small nodes slow.
RELEASED = 32


class Schedule:
    """One run's share of its event loop.

    Attributes:
        deadline: `clock()` after which a node that has work left must await its `breath`.
        on_stall: called once when every thread of execution waits for another.
    """

    __slots__ = (
        "_granted",
        "_queue",
        "_waiting",
        "busy",
        "deadline",
        "loop",
        "now",
        "on_stall",
        "over",
        "tasks",
    )

    #: The loop of the run, and a future that is done; there is none before it starts.
    loop: asyncio.AbstractEventLoop
    now: asyncio.Future[None]

    def __init__(self, on_stall: Callable[[], None]) -> None:
        self.on_stall = on_stall
        self.deadline = clock() + SLICE
        #: Threads of execution that can go on by themselves: tasks that run or await the user's
        #: code, and timers that will wake one.
        self.busy = 0
        self._waiting = 0
        self._granted = False
        #: The run is aborted; also a step that swallows its cancellation must come to an end.
        self.over = False
        self._queue: deque[asyncio.Future[None]] = deque()
        #: Those in which steps are called.
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to share out the time of the running `loop`."""
        self.loop = loop
        self.now = loop.create_future()
        self.now.set_result(None)

    def breath(self) -> asyncio.Future[None]:
        """Return what to await past the `deadline`, so that the loop turns if it has to.

        The first call in a turn of the loop only finds that the deadline is an old one, and grants
        a fresh slice. Later ones queue, and go on in later turns, as many as a slice has time for:
        a slice for each worker would add up (193 ms gaps with 16 workers).
        """
        if self.over:
            raise asyncio.CancelledError
        if not self._granted:
            self._grant()
            return self.now
        turn = self.loop.create_future()
        self._queue.append(turn)
        return turn

    def _grant(self) -> None:
        self._granted = True
        if not self.over:
            self.deadline = clock() + SLICE
        self.loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._granted = False
        if not self._queue:
            return
        self._grant()
        for _ in range(min(RELEASED, len(self._queue))):
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)

    def end(self) -> None:
        """Let nobody go on: whoever looks at the deadline next is cancelled."""
        self.over = True
        self.deadline = 0.0

    def pause(self) -> None:
        """Count one thread of execution as waiting: it awaits what only `wake` brings about."""
        self._waiting += 1
        self.busy -= 1
        if not self.busy:
            self.on_stall()

    def wake(self, event: asyncio.Future[None]) -> None:
        """Bring about an event that somebody waits for; once more does nothing."""
        if not event.done():
            event.set_result(None)
            self._waiting -= 1
            self.busy += 1

    def come_back(self) -> None:
        """Count one thread of execution as no longer waiting: it gave that up."""
        self._waiting -= 1
        self.busy += 1

    def set_aside(self) -> None:
        """Don't count one thread of execution, though it may go on by itself; see `busy`."""
        self.busy -= 1
        if not self.busy:
            self.on_stall()

    def leave(self) -> None:
        """Count one thread of execution less; if that was the last, those who wait are stuck."""
        self.busy -= 1
        if not self.busy and self._waiting:
            self.on_stall()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call `callback` after `seconds`; until then the run is not stalled."""
        self.busy += 1

        def ring() -> None:
            callback()
            self.leave()

        return self.loop.call_later(seconds, ring)

    def cancel_later(self, timer: asyncio.TimerHandle) -> None:
        """Cancel a timer of `call_later` that has not rung."""
        if not timer.cancelled():
            timer.cancel()
            self.leave()
