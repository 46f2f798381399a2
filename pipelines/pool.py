"""Nodes with several calls in flight: workers that come when there is work, and order kept.

A pool has up to `size` workers, never a task for each item. One worker that sees more work than it
can do wakes or starts one other. **Credit before take**: an item is taken only while its result is
sure to find room, so no worker ever waits with a result in hand (an earlier version that did could
deadlock). That one check bounds what is in flight, what waits for its turn, and the edge.
"""

from __future__ import annotations

import abc
import asyncio
import functools
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Self

from pipelines.edge import GAP, UNBOUNDED
from pipelines.errors import StepError
from pipelines.executor import Failure
from pipelines.failure import SPECIAL, Again, is_plain
from pipelines.pace import Pace, Seats, Throttle, Watch
from pipelines.processor import Processor
from pipelines.schedule import clock
from pipelines.step import Later, discard

__all__ = ["Calls", "Offload", "Pool"]


class Pool(abc.ABC):
    """The workers of one node, and the places of its items.

    Attributes:
        taken: places given out, one for each item taken; the node's counters follow from it.
        emitted: places whose result was sent on, or that sent nothing.
        held: results that wait for the places before theirs.
        again: items to be called again, each with its place and attempt.
        waiting: how many items wait until they may be called again, those in `again` too.
    """

    #: Workers that are called at once; the rest in the next turn, when these have begun.
    ROUSED = 16

    def __init__(self, node: Processor, size: int) -> None:
        assert node.inlet is not None
        self.node = node
        self.inlet = node.inlet
        self.outlet = node.outlet
        self.schedule = node.schedule
        self.size = size
        self.ordered = bool(node.properties.ordered)
        self.batched = node.properties.batch is not None
        self.taken = 0
        self.emitted = 0
        self.held: dict[int, Any] = {}
        self.again: deque[tuple[int, Any, int]] = deque()
        self.waiting = 0
        rate = node.properties.rate_limit
        self.throttle = node.throttle or (None if rate is None else Throttle(rate))
        self._seats = node.seats
        self._seated: set[asyncio.Task[Any] | None] = set()
        self._group: asyncio.TaskGroup | None = None
        self._parent: asyncio.Task[Any] | None = None  # none yet where another task has joined
        self._alive = 1  # in the place of the task that will run this
        self._begun: list[tuple[int, Any, Any]] = []
        self._gone = asyncio.Event()
        self._parked: list[asyncio.Future[None]] = []
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._rousing = False
        self._relief_due = False
        self._idle_since: float | None = None
        # What makes counters of items out of those of places: the items of a batch beyond the
        # first, less the places of gap marks.
        self._more_taken = node.received
        self._more_finished = node.finished
        node.refresh = self._refresh
        # Calls in flight beyond what the edges hold, so that small buffers don't cost concurrency.
        self._slack = max(0, size - self.outlet.capacity())

    def begun(self, pairs: Iterable[tuple[Any, Any]]) -> Self:
        """Take over items whose first call was made elsewhere, each with its outcome."""
        for item, outcome in pairs:
            self._more_taken -= 1  # it has been counted already
            self._begun.append((self.place(), item, outcome))
        return self

    def admit(self, item: Any) -> int:
        """Take over an item whose call waits in another task, to `join`; return its place."""
        self._alive += 1
        self._more_taken -= 1
        if self._seats is not None:
            self._seats.claim()
        return self.place(item)

    async def join(self, place: int, item: Any, outcome: Any) -> None:
        """Take what came of an item that was admitted, and go on as one of the workers."""
        if self._seats is not None:
            self._seats.leave()
        self.finish(place, item, outcome, 1)
        if self.outlet.hungry:
            self.outlet.feed()
        await self._worker(self.size - 1)
        self.schedule.busy += 1  # the worker has been counted out; its task's unit is to be yet

    async def run(self) -> None:
        """Work until doomsday."""
        parent = asyncio.current_task()
        assert parent is not None
        self._parent = parent
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for place, item, outcome in self._begun:
                    self.finish(place, item, outcome, 1)
                self.schedule.tasks.add(group.create_task(self._worker(0)))
                await self._all_gone()
        except BaseExceptionGroup as errors:
            first = errors.exceptions[0]
            raise first from first.__cause__
        finally:
            self._not_idle()
            self._refresh()
            self.outlet.disarm(self.rouse)
            discard(outcome for _, outcome in self.held.values())
            for timer in self._timers.values():
                self.schedule.cancel_later(timer)

    async def _worker(self, lane: int) -> None:
        self._rousing = False
        try:
            if self._seats is not None:
                await self._sit(self._seats)
            await self.work(lane)
        except BaseException as error:
            self._stand()
            running, self.size = self.size > 0, 0  # no worker starts any more, whoever rouses one
            cancelled = isinstance(error, asyncio.CancelledError) and not self.schedule.over
            parent = self._parent
            if running and cancelled and parent is not None and not parent.cancelling():
                # A step has cancelled the task that calls it, and a group would not even notice.
                raise StepError(self.node.name, None, error, doing="by ending its task") from error
            raise
        self._stand()
        self._alive -= 1
        if not self._alive:
            self.size = 0
            self._gone.set()
        for event in self._parked:
            self.schedule.wake(event)
        self._parked.clear()
        if self._alive:
            self.schedule.leave()

    async def _sit(self, seats: Seats) -> None:
        """Take one of the seats that this pool shares with others."""
        await seats.take()
        self._seated.add(asyncio.current_task())

    def _stand(self) -> None:
        """Give the seat back, if the running worker has one."""
        if self._seats is not None and (task := asyncio.current_task()) in self._seated:
            self._seated.remove(task)
            self._seats.leave()

    async def _all_gone(self) -> None:
        try:
            await self._gone.wait()
        except asyncio.CancelledError:
            self.size = 0
            raise

    @abc.abstractmethod
    async def work(self, lane: int) -> None:
        """Be one worker until nothing is left to do."""

    # Taking.

    def credit(self) -> int:
        """Return how many more results are sure to find room."""
        under_way = self.taken - self.emitted - (0 if self.ordered else self.waiting)
        return self.outlet.room() + self._slack - under_way

    def claim(self, limit: int) -> int:
        """Return how many items the calling worker may take now, and call others to the rest."""
        inlet = self.inlet
        count = inlet.ready(limit)
        while count and inlet.gaps and not (count := inlet.run(count)):
            if self.credit() <= 0:
                return 0
            inlet.pop_gap()
            self.pass_gap()
            count = inlet.ready(limit)
        credit = self.credit()
        if not self.ordered:
            # All that is under way may yet be put off.
            credit = min(credit, self._waiting_limit() + self.size - (self.taken - self.emitted))
        if not count or credit <= 0:
            return 0
        self._not_idle()
        if count > 1 and credit > 1 and not self._relief_due and self._has_more():
            # Comes to run only if the worker's call suspends: then there is work for others.
            self._relief_due = True
            self.schedule.loop.call_soon(self._relieve)
        return min(count, credit, limit)

    def _relieve(self) -> None:
        """Call as many workers as there is work for, up to `ROUSED` in one turn of the loop."""
        self._relief_due = False
        if not self.size:
            return
        for _ in range(min(self.inlet.ready(self.ROUSED), self.credit(), self.ROUSED)):
            self._rousing = False
            self.rouse()

    def _has_more(self) -> bool:
        """Tell whether there are workers that could be called."""
        return self._alive < self.size or bool(self._parked)

    def drained(self) -> None:
        """Be told, before a call, that nothing lies ready: another worker takes what comes."""
        if self._has_more():
            if self.inlet.ready(1):
                self.rouse()
            else:
                self.inlet.arm(self.rouse)

    def pass_gap(self) -> None:
        """Pass on a gap mark in its place among the results."""
        self._more_taken -= 1
        self.finish(self.place(), GAP, GAP, 1)

    def _waiting_limit(self) -> int:
        return self.node.properties.waiting_limit or UNBOUNDED

    def place(self, item: Any = None) -> int:
        """Give out the next place, to an item that was taken."""
        place = self.taken
        self.taken = place + 1
        if self.batched and item is not None:
            self._more_taken += len(item) - 1
        return place

    def ended(self, item: Any) -> None:
        """Count a place whose item is done."""
        self.emitted += 1
        if self.batched:
            self._more_finished += len(item) - 1

    def _refresh(self) -> None:
        """Bring the node's counters up to date."""
        self.node.received = self.taken + self._more_taken
        self.node.finished = self.emitted + self._more_finished

    def rouse(self) -> None:
        """Call one more worker to work, unless one is on its way."""
        if self._rousing:
            return
        if self._parked:
            self._rousing = True
            self.schedule.wake(self._parked.pop())
        elif self._group is not None and self._alive < self.size:
            self._rousing = True
            task = self._group.create_task(self._worker(self._alive))
            self.schedule.tasks.add(task)
            self._alive += 1
            self.schedule.busy += 1

    async def park(self) -> bool:
        """Wait until there may be something to do; tell whether there ever will be."""
        if self.outlet.deserted:
            return False
        if self.again or self.inlet.ready(1):
            # Too many are waiting to be called again, or there is no credit: all room is taken, if
            # not by items then by calls in flight. Whoever ends one looks for more itself.
            if self.credit() <= 0:
                self.outlet.arm(self.rouse)
            self._idle("blocked")
        elif self.inlet.ended:
            self.node.pass_gate()
            if not self.waiting:
                return False
        else:
            self.inlet.arm(self.rouse)
            self._idle("waiting")
        event = self.schedule.loop.create_future()
        self._parked.append(event)
        self._stand()
        try:
            self.schedule.pause()
            await event
        finally:
            self._rousing = False
        if self._seats is not None:
            await self._sit(self._seats)
        return True

    def _idle(self, state: Any) -> None:
        """Note that there is capacity and no work, or no room for its results."""
        if self._idle_since is None and len(self._parked) + 1 == self._alive:
            self._idle_since = clock()
            self.node.state = state

    def _not_idle(self) -> None:
        if self._idle_since is not None:
            seconds, self._idle_since = clock() - self._idle_since, None
            if self.node.state == "blocked":
                self.node.blocked += seconds
            else:
                self.node.starved += seconds
        self.node.state = "running"

    # Finishing.

    def finish(self, place: int, item: Any, outcome: Any, attempt: int) -> None:
        """Take an item's outcome: send it on in its turn, or have the item called again."""
        kind = type(outcome)
        if kind is Later or kind is Again:
            self.waiting += 1
            attempt = outcome.attempt if kind is Again else attempt
            due = functools.partial(self._due, place, item, attempt)
            self._timers[place] = self.schedule.call_later(outcome.seconds, due)
            return
        if not self.ordered:
            self._emit(item, outcome)
            return
        self.held[place] = (item, outcome)
        self._emit_held()

    def _emit_held(self) -> None:
        while self.emitted in self.held:
            self._emit(*self.held.pop(self.emitted))

    def _emit_all(self, outcomes: Sequence[Any]) -> None:
        """Send on what came of the items whose turn it is, which is nothing special."""
        self.emitted += len(outcomes)
        self.node.yielded += len(outcomes)
        self.outlet.extend(outcomes)
        self._emit_held()
        if self.outlet.hungry:  # whoever was fed may have taken it all by now, and want more
            self.outlet.feed()

    def _emit(self, item: Any, outcome: Any) -> None:
        node = self.node
        if item is GAP:
            self.emitted += 1
            self._more_finished -= 1
            self.outlet.gap()
            return
        mark = node.account(item, outcome) if type(outcome) in SPECIAL else None
        self.ended(item)
        node.yielded += mark is not GAP
        if mark is None:
            self.outlet.append(outcome)
        else:
            node.send(mark)

    def _due(self, place: int, item: Any, attempt: int) -> None:
        del self._timers[place]
        self.again.append((place, item, attempt))
        self.rouse()

    def take_again(self) -> tuple[int, Any, int] | None:
        """Return an item whose time has come to be called again, if there is credit for it.

        In an ordered node it has kept its place and its credit, or those behind it could hold all.
        """
        if not self.again or not (self.ordered or self.credit() > 0):
            return None
        self.waiting -= 1
        self._not_idle()
        return self.again.popleft()


class Calls(Pool):
    """A pool that awaits an async step, or calls a plain one, in the event loop."""

    def __init__(self, node: Processor) -> None:
        super().__init__(node, node.concurrency if node.shape.is_async else 1)
        self._turn: object = None
        self._call = node.call if node.shape.is_async else self._call_plain

    async def _call_plain(self, item: Any) -> Any:
        return self.node.call(item)

    async def work(self, lane: int) -> None:
        node, inlet, outlet, schedule = self.node, self.inlet, self.outlet, self.schedule
        call, pop, throttle = self._call, inlet.items.popleft, self.throttle
        batched = self.batched
        watch = Watch.of(node.properties.timeout if node.shape.is_async else None)
        me = object()
        pace = Pace()
        while True:
            while clock() > schedule.deadline:
                await schedule.breath()
            if again := self.take_again():
                await self._call_again(watch, *again)
                continue
            if not (count := self.claim(pace.limit)):
                if not await self.park():
                    return
                continue
            began = clock()
            self._turn = me
            for _ in range(count):
                item = pop()
                if inlet.wanted:
                    inlet.release()
                if not inlet.items:
                    self.drained()
                place = self.taken
                self.taken = place + 1
                if batched:
                    self._more_taken += len(item) - 1
                if throttle is not None:
                    await throttle.wait()
                if watch is not None:
                    watch.begin()
                try:
                    result = await call(item)
                except (Exception, asyncio.CancelledError) as error:
                    cause = error if watch is None else watch.judge(error)
                    result = await node.caught(item, cause)
                if watch is not None:
                    watch.end()
                if (
                    place == self.emitted
                    and type(result) not in SPECIAL
                    and not self.held
                    and not batched
                ):
                    append = outlet.append  # now, as an edge may have come since the last item
                    append(result)
                    self.emitted = place + 1
                else:
                    self.finish(place, item, result, 1)
                if outlet.hungry:
                    outlet.feed()
                if self._turn is not me:
                    # Another worker has run meanwhile, so what was claimed may be gone.
                    break
            pace.adapt(count, clock() - began)

    async def _call_again(self, watch: Watch | None, place: int, item: Any, attempt: int) -> None:
        if self.throttle is not None:
            await self.throttle.wait()
        if watch is not None:
            watch.begin()
        try:
            result = await self._call(item)
        except (Exception, asyncio.CancelledError) as error:
            cause = error if watch is None else watch.judge(error)
            result = await self.node.caught(item, cause, attempt)
        if watch is not None:
            watch.end()
        self.finish(place, item, result, attempt)
        if self.outlet.hungry:
            self.outlet.feed()


class Offload(Pool):
    """A pool whose calls run in the lanes of an executor, a chunk of items each.

    A chunk is about 10 ms of work, and never more than a worker's share of what is there. A worker
    process may besides hold as many items as the edges behind the node, so that the 100 µs which a
    chunk costs are shared by more of them (an item of 30 µs takes a tenth less time).
    """

    #: Items of a chunk at most.
    MOST = 1000

    def __init__(self, node: Processor) -> None:
        super().__init__(node, node.concurrency)
        self._most = self.MOST
        if node.properties.timeout is not None or self.throttle is not None:
            self._most = 1  # each call has its own time
        self._lot = 0
        if node.properties.executor == "process" and self._most > 1:
            self._lot = min(self.outlet.capacity(), self._most)
            self._slack = self.size * self._lot

    async def work(self, lane: int) -> None:
        node, inlet = self.node, self.inlet
        assert node.executor is not None
        pace = Pace(target=0.01, most=self._most)
        while True:
            while clock() > self.schedule.deadline:
                await self.schedule.breath()
            if again := self.take_again():
                place, item, attempt = again
                await self._call(lane, [item], place, attempt)
                continue
            if not (count := self.claim(self._share(pace.limit))):
                if not await self.park():
                    return
                continue
            items = inlet.take(count)
            if not inlet.items:
                self.drained()
            place = self.taken
            self.taken += count
            if self.batched:
                self._more_taken += sum(map(len, items)) - count
            pace.adapt(count, await self._call(lane, items, place, 1))

    def _share(self, limit: int) -> int:
        """Return how many items a worker may take, at most `limit`.

        One share is left over, so that whoever is done first finds items and credit: otherwise an
        ordered node would make it wait for the others at each chunk (6 % more for items of 30 µs).
        A process takes all there is where the producers wait to send more.
        """
        backlog = self.inlet.backlog()
        if self._lot and self.inlet.wanted:
            share = min(backlog, self._lot)
        else:
            share = -(-backlog // (self.size + 1))
        return max(1, min(limit, share))

    async def _call(self, lane: int, items: list[Any], place: int, attempt: int) -> float:
        """Call the step with each item of a chunk; return the seconds that it took."""
        node = self.node
        assert node.executor is not None
        if self.throttle is not None:
            await self.throttle.wait()
        outcomes, seconds = await node.executor.run(lane, items, node.properties.timeout)
        if (not self.ordered or place == self.emitted) and not self.batched and is_plain(outcomes):
            self._emit_all(outcomes)
            return seconds
        try:
            for offset, (item, answer) in enumerate(zip(items, outcomes, strict=True)):
                failed = type(answer) is Failure
                outcome = await node.caught(item, answer.error, attempt) if failed else answer
                self.finish(place + offset, item, outcome, attempt)
        except BaseException:
            discard(outcomes)
            raise
        if self.outlet.hungry:
            self.outlet.feed()
        return seconds
