"""The pool for a step that yields."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

from pipelines.executor import Failure
from pipelines.failure import SPECIAL, Again
from pipelines.pace import Pace, Watch
from pipelines.pool import Pool
from pipelines.processor import Processor
from pipelines.schedule import clock

__all__ = ["Expansion", "Values"]


class Expansion(Pool):
    """A pool for a step that yields any number of values for one item.

    In an ordered node the values of one item stay together, in the items' order: the worker whose
    turn it is sends on, the others gather up to an edge's worth of values and wait.
    """

    def __init__(self, node: Processor) -> None:
        several = node.shape.is_async or node.executor is not None or node.shape.streams
        super().__init__(node, node.concurrency if several else 1)
        self._turns: dict[int, asyncio.Future[None]] = {}
        self.most = min(self.outlet.capacity(), 1000)

    def credit(self) -> int:
        """Return how many more items may be taken: as many as there are workers without one."""
        if self.outlet.room() <= 0:
            return 0  # their values would only be held
        return self.size - (self.taken - self.emitted - (0 if self.ordered else self.waiting))

    def pass_gap(self) -> None:
        """Drop a gap mark: what is yielded starts a new stream."""

    async def work(self, lane: int) -> None:
        node, inlet = self.node, self.inlet
        watch = Watch.of(node.properties.timeout if node.shape.is_async else None)
        while True:
            while clock() > self.schedule.deadline:
                await self.schedule.breath()
            if again := self.take_again():
                place, item, attempt = again
            elif self.claim(1):
                item = inlet.items.popleft()
                place, attempt = self.place(item), 1
                if inlet.wanted:
                    inlet.release()
                if not inlet.items:
                    self.drained()
            elif await self.park():
                continue
            else:
                return
            if self.throttle is not None:
                await self.throttle.wait()
            await self._expand(lane, watch, place, item, attempt)

    async def _expand(
        self, lane: int, watch: Watch | None, place: int, item: Any, attempt: int
    ) -> None:
        node = self.node
        values = Values(self, place, watch)
        if watch is not None:
            watch.begin()
        try:
            if node.executor is not None:
                await self._call(lane, item, values)
            elif node.shape.is_async:
                async with contextlib.aclosing(node.call(item)) as generator:
                    async for value in generator:
                        await values.add(value)
            else:
                await values.draw(iter(node.call(item)))
        except (Exception, asyncio.CancelledError) as error:
            cause = error if watch is None else watch.judge(error)
            if values.sent and node.properties.retry is not None:
                # What was sent can't be taken back: another attempt would send it twice.
                attempt = node.properties.retry.attempts
            outcome = await node.caught(item, cause, attempt)
            if type(outcome) is Again:
                self.finish(place, item, outcome, attempt)
                return
            node.account(item, outcome)
        finally:
            if watch is not None:
                watch.end()
        await values.flush()
        self.ended(item)
        if turn := self._turns.pop(place + 1, None):
            self.schedule.wake(turn)
        if node.outlet.hungry:
            node.outlet.feed()

    async def _call(self, lane: int, item: Any, values: Values) -> None:
        assert self.node.executor is not None
        timeout = self.node.properties.timeout
        (outcome,), _ = await self.node.executor.run(lane, [item], timeout)
        if type(outcome) is not Failure:
            await values.draw(iter(outcome.values))
        if outcome.error is not None:
            raise outcome.error

    # Sending.

    async def room(self) -> int:
        """Return for how many values there is room, waiting for some; 0 if nobody wants any."""
        while (room := self.outlet.room()) <= 0:
            if self.outlet.deserted:
                return 0
            await self.node.block()
        return room

    def send_all(self, values: list[Any]) -> None:
        """Send on several values; the caller has seen `room`."""
        if SPECIAL.isdisjoint(map(type, values)):
            self.outlet.extend(values)
            self.node.yielded += len(values)
        else:
            for value in values:
                self.send(value)
            if self.outlet.hungry:
                self.outlet.feed()

    def send(self, value: Any) -> None:
        """Send on a value; the caller feeds those that wait for it."""
        if type(value) in SPECIAL:
            self.node.send_yielded(value)
        else:
            self.outlet.append(value)
            self.node.yielded += 1

    def is_turn(self, place: int) -> bool:
        """Tell whether the values of the item at `place` may be sent on."""
        return not self.ordered or place == self.emitted

    async def turn(self, place: int) -> None:
        """Wait until `is_turn`."""
        while not self.is_turn(place):
            event = self._turns[place] = self.schedule.loop.create_future()
            self.schedule.pause()
            await event


class Values:
    """What a step yields, for one item or a whole stream, on its way out."""

    def __init__(self, pool: Expansion, place: int, watch: Watch | None) -> None:
        self._pool = pool
        self._watch = watch
        self._place = place
        self._held: list[Any] = []
        self.sent = 0

    async def add(self, value: Any) -> None:
        """Take one value."""
        pool = self._pool
        if pool.is_turn(self._place) and not self._held and pool.outlet.room() > 0:
            self.sent += 1
            pool.send(value)
            if pool.outlet.hungry:
                pool.outlet.feed()
        else:
            self._held.append(value)
            if pool.is_turn(self._place) or len(self._held) >= pool.most:
                # A time-out measures the step's own time, not that of the nodes behind it.
                if self._watch is not None:
                    self._watch.end()
                await self.flush()
                if self._watch is not None:
                    self._watch.begin()
        while clock() > pool.schedule.deadline:
            await pool.schedule.breath()

    async def draw(self, iterator: Iterator[Any]) -> None:
        """Take all values of an iterator, as many at a time as there is room for."""
        pool = self._pool
        pace = Pace()
        await pool.turn(self._place)
        while True:
            count = min(await pool.room(), pace.limit)
            if not count:
                return
            began = clock()
            values: list[Any] = []
            try:
                values.extend(islice(iterator, count))
            finally:
                self._send_all(values)
            if len(values) < count:
                return
            pace.adapt(count, clock() - began)
            while clock() > pool.schedule.deadline:
                await pool.schedule.breath()

    async def flush(self) -> None:
        """Send on what is held, in its turn."""
        await self._pool.turn(self._place)
        held, self._held = self._held, []
        await self.send(held)

    async def send(self, values: list[Any]) -> None:
        """Send values on, as many at a time as there is room for."""
        position = 0
        while position < len(values) and (room := await self._pool.room()):
            self._send_all(values[position : position + room])
            position += room

    def _send_all(self, values: list[Any]) -> None:
        self.sent += len(values)
        self._pool.send_all(values)
