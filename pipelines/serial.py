"""The loop of an async node with one call at a time, and what it and a line wait for."""

from __future__ import annotations

import asyncio

from pipelines.failure import SPECIAL
from pipelines.pace import Pace, Watch
from pipelines.pool import Calls
from pipelines.processor import Processor
from pipelines.schedule import clock
from pipelines.step import Later

__all__ = ["obstacle", "ready", "serve"]


def ready(first: Processor, last: Processor, limit: int) -> int:
    """Return how many items there are and have room; 0 where `obstacle` says what to wait for."""
    inlet, outlet = first.inlet, last.outlet
    assert inlet is not None
    if clock() > first.schedule.deadline:
        return 0
    limit = min(limit, outlet.room())  # first: an iterator is asked for no more than has room
    if limit <= 0:
        return 0
    count = inlet.ready(limit)
    if inlet.gapped and inlet.gaps:
        count = inlet.run(count)
    return min(count, limit)


def obstacle(first: Processor, last: Processor, limit: int) -> asyncio.Future[None] | None:
    """Return what to await before the next `ready`, or `None` at the end.

    A function, not a coroutine that waits: one more frame between a task and what it waits for
    costs at every switch. A gap mark that stands first is passed on here, so no loop meets one.
    """
    inlet, outlet, schedule = first.inlet, last.outlet, first.schedule
    assert inlet is not None
    if clock() > schedule.deadline:
        return schedule.breath()
    if inlet.ended:
        return None
    if (room := outlet.room()) <= 0:
        return None if outlet.deserted else last.block()
    if not inlet.ready(min(limit, room)):
        return None if inlet.ended else first.starve()
    if not inlet.gaps:
        return schedule.now  # an iterator that had nothing before has something
    inlet.pop_gap()
    outlet.gap()
    return schedule.now


async def serve(node: Processor) -> None:
    """Await an async step for one item after another."""
    inlet, outlet, call = node.inlet, node.outlet, node.call
    assert inlet is not None
    pop = inlet.items.popleft
    pace = Pace()
    received, finished = node.received, node.finished
    done = under_way = 0

    def refresh() -> None:
        node.received = received + done + under_way
        node.finished = finished + done

    node.refresh = refresh
    watch = Watch.of(node.properties.timeout)
    while True:
        while not (count := ready(node, node, pace.limit)):
            if (what := obstacle(node, node, pace.limit)) is None:
                return None
            await what
        began = clock()
        polling = None
        under_way = 1
        try:
            for done in range(count):  # noqa: B007 (`refresh` reads it)
                item = pop()
                if inlet.wanted:
                    inlet.release()
                if watch is not None:
                    watch.begin()
                try:
                    result = await call(item)
                except (Exception, asyncio.CancelledError) as error:
                    result = await node.insist(item, error, watch)
                if watch is not None:
                    watch.end()
                if type(result) in SPECIAL:
                    if type(result) is Later:
                        polling = (item, result)
                        break
                    node.send(node.account(item, result))
                else:
                    append = outlet.append  # now, as an edge may have come since the last item
                    append(result)
                if outlet.hungry:
                    outlet.feed()
            else:
                done, under_way = count, 0
        finally:
            refresh()
        received, finished, done = node.received, node.finished, 0
        if polling is not None:
            return await Calls(node).begun([polling]).run()
        pace.adapt(count, clock() - began)
