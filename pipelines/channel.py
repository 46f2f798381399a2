"""Queues between threads and an event loop, both bounded: a channel in, an outbox out."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import Any, Self

__all__ = ["Channel", "Outbox"]


class Channel:
    """Gives an event loop, with ``async for``, what threads put into it, each item at once.

    Args:
        size: how many items may wait here before `put` does; `None` for any number.
        changed: is notified of room and of the end, if somebody wants to wait for one of several
            things; by default the channel has one of its own.
    """

    def __init__(self, size: int | None = None, changed: threading.Condition | None = None) -> None:
        self.changed = threading.Condition() if changed is None else changed
        self._size = size
        self._items: deque[Any] = deque()
        self._closed = False
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    # The threads' side.

    @property
    def closed(self) -> bool:
        """Whether nothing can be put any more."""
        return self._closed

    def full(self) -> bool:
        """Tell whether `put` would wait."""
        return not self._closed and self._size is not None and len(self._items) >= self._size

    def put(self, item: Any) -> bool:
        """Add an item, waiting for room; tell whether it was taken, which it is not once closed."""
        with self.changed:
            self.changed.wait_for(lambda: not self.full())
            if self._closed:
                return False
            self._items.append(item)
            self._wake()
            return True

    def close(self, error: BaseException | None = None) -> None:
        """End the stream behind what was put; the loop then gets `error`, if there is one."""
        with self.changed:
            if not self._closed:
                self._closed, self._error = True, error
            self.changed.notify_all()
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            _tell(waiter)

    # The loop's side.

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while True:
            with self.changed:
                if self._items:
                    return self._take()
                if self._error is not None:
                    raise self._error
                if self._closed:
                    raise StopAsyncIteration
                waiter = self._waiter = asyncio.get_running_loop().create_future()
            await waiter

    def _take(self) -> Any:
        item = self._items.popleft()
        if self._size is not None and len(self._items) == self._size // 2:
            self.changed.notify_all()  # not at each item: a thread that is woken fills a half
        return item

    def __len__(self) -> int:
        """Return how many items wait here."""
        return len(self._items)


class Outbox:
    """Gives a thread what an event loop puts into it.

    Args:
        size: how many items may wait here before `put` does.
        changed: is notified of each item.
    """

    def __init__(self, size: int, changed: threading.Condition) -> None:
        self.changed = changed
        self._size = size
        self._items: deque[Any] = deque()
        self._waiter: asyncio.Future[None] | None = None

    async def put(self, item: Any) -> None:
        """Add an item, waiting for room; for one task at a time."""
        while True:
            with self.changed:
                if len(self._items) < self._size:
                    self._items.append(item)
                    self.changed.notify_all()
                    return
                waiter = self._waiter = asyncio.get_running_loop().create_future()
            await waiter

    def take(self) -> Any:
        """Return the first item, of which there must be one; for one thread."""
        with self.changed:
            item = self._items.popleft()
            if self._waiter is not None and len(self._items) <= self._size // 2:
                waiter, self._waiter = self._waiter, None
                _tell(waiter)
            return item

    def __len__(self) -> int:
        """Return how many items wait here."""
        return len(self._items)


def _tell(waiter: asyncio.Future[None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop may be closed: nobody waits then
        waiter.get_loop().call_soon_threadsafe(_resolve, waiter)


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
