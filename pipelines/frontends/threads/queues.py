"""A `queue.Queue` of the user's as a source of items."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator
from typing import Any

from pipelines.executor import Executor
from pipelines.lane import Lane

__all__ = ["POLL", "QueueItems"]

#: Seconds after which a thread that waits for a queue looks whether it still should.
POLL = 0.1

_NOTHING = object()


class QueueItems:
    """Gives what is in a queue, each item at once, until `finished` is set and nothing is left."""

    def __init__(self, items: queue.Queue[Any], finished: threading.Event) -> None:
        self._queue = items
        self._finished = finished

    async def __aiter__(self) -> AsyncIterator[Any]:
        lane = Lane("pipelines:in_queue", asyncio.get_running_loop())
        try:
            while True:
                last = self._finished.is_set()  # before the look, or an item might come after it
                item = await lane.submit(self._next)
                if item is not _NOTHING:
                    yield item
                elif last:
                    return
        finally:
            await lane.join(Executor.patience)

    def _next(self) -> Any:
        try:
            return self._queue.get(timeout=POLL)
        except queue.Empty:
            return _NOTHING
