"""One thread that makes calls for an event loop, one after another."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from pipelines.errors import describe

__all__ = ["Lane", "outlast"]


class Lane:
    """One daemon thread that runs calls one after another, for a loop to await.

    Daemon, because a user's call that never returns can't be ended and must not keep the program.
    """

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._inbox: SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None] = (
            SimpleQueue()
        )
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Return a future of ``function()``, called in the lane's thread."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._inbox.put((future, function))
        return future

    def stop(self) -> None:
        """Let the thread end once it has made its calls."""
        self._inbox.put(None)

    async def answers(self, seconds: float) -> bool:
        """Tell whether the thread has made its calls within `seconds`."""
        done, _ = await asyncio.wait([self.submit(lambda: None)], timeout=seconds)
        return bool(done)

    async def join(self, seconds: float) -> bool:
        """Wait for the thread's end, whatever is cancelled; tell whether it came in `seconds`."""
        last = self.submit(lambda: None)
        self.stop()
        try:
            await outlast(last, seconds)
        finally:
            if last.done():
                self._thread.join()
        return last.done()

    def _work(self) -> None:
        while (job := self._inbox.get()) is not None:
            future, function = job
            result: Any = None
            error: BaseException | None = None
            try:
                result = function()
            except StopIteration as raised:  # which no future takes
                error = RuntimeError(f"the step raised {describe(raised)}")
                error.__cause__ = raised
            except BaseException as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop may be closed: nobody waits then
                self._loop.call_soon_threadsafe(_resolve, future, result, error)


async def outlast(future: asyncio.Future[Any], seconds: float) -> None:
    """Wait for a future, at most `seconds`; a cancellation is passed on behind that."""
    loop = asyncio.get_running_loop()
    cancelled = None
    until = loop.time() + seconds
    while not future.done() and (left := until - loop.time()) > 0:
        try:
            await asyncio.wait([future], timeout=left)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _resolve(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
