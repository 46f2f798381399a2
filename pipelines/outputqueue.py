"""What a seed's input coroutine puts its items into."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

from pipelines.edge import UNBOUNDED
from pipelines.failure import SPECIAL
from pipelines.schedule import clock

if TYPE_CHECKING:
    from pipelines.inputprocessor import InputProcessor

__all__ = ["OutputQueue"]


class OutputQueue:
    """What a seed's input coroutine puts into: an `asyncio.Queue` as far as a producer can tell."""

    def __init__(self, node: InputProcessor) -> None:
        self._node = node
        self._outlet = node.outlet

    async def put(self, item: Any) -> None:
        """Send an item on, waiting while an edge is full.

        Raises:
            PipelinesError: called from outside the node, and nothing can be put any more.
        """
        node, outlet = self._node, self._outlet
        if node.stopping:
            node.end_put()
        while outlet.room() <= 0:
            if outlet.deserted:
                node.end_put()
            elif node.task is asyncio.current_task():
                await node.block()
            else:
                event = node.schedule.loop.create_future()
                outlet.arm(functools.partial(_set, event))
                await event
        self._send(item)
        while clock() > node.schedule.deadline:
            await node.schedule.breath()

    def offer(self, item: Any) -> bool:
        """Send an item on if nothing has to be waited for; tell whether it was sent.

        Without a coroutine around it, which costs a source that waits for each item.
        """
        node = self._node
        if node.stopping or self._outlet.room() <= 0 or clock() > node.schedule.deadline:
            return False
        self._send(item)
        return True

    def put_nowait(self, item: Any) -> None:
        """Send an item on.

        Raises:
            asyncio.QueueFull: an edge is full.
        """
        if self.full():
            raise asyncio.QueueFull
        self._send(item)

    def _send(self, item: Any) -> None:
        node = self._node
        node.received += 1
        if type(item) in SPECIAL:
            mark = node.account(item, item)
            node.finished += 1
            node.send(mark)
            return
        self._outlet.append(item)
        node.finished += 1
        if self._outlet.hungry:
            self._outlet.feed()
        if node.limit is not None and node.received >= node.limit:
            node.end_own_task()

    def full(self) -> bool:
        """Tell whether a `put` would wait."""
        return self._outlet.room() <= 0

    def empty(self) -> bool:
        """Tell whether nothing that was put waits to be taken."""
        return self.qsize() == 0

    def qsize(self) -> int:
        """Return how many items lie in the fullest outbound edge."""
        return max((edge.qsize() for edge in self._outlet.edges), default=0)

    @property
    def maxsize(self) -> int:
        """How many items the smallest outbound edge holds; 0 where nothing bounds it."""
        capacity = self._outlet.capacity()
        return 0 if capacity == UNBOUNDED else capacity


def _set(event: asyncio.Future[None]) -> None:
    if not event.done():
        event.set_result(None)
