"""Sources that a line can't pull from: async ones, the seed's, in a thread, and paced ones."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Coroutine,
    Iterable,
    Iterator,
)
from typing import Any

from pipelines.channel import Channel
from pipelines.executor import Executor
from pipelines.inputprocessor import InputProcessor
from pipelines.lane import Lane
from pipelines.pace import Throttle

__all__ = ["drive"]

logger = logging.getLogger(__name__)

#: Items at most that a source in a thread makes ahead of those who want them.
AHEAD = 32


def drive(source: InputProcessor) -> Coroutine[Any, Any, BaseException | None]:
    """Return what runs a source that sends its items by itself; it returns what that raised.

    A function, not a coroutine: a source that waits goes through each at every item, and back.
    """
    return _until_stopped(source, _put(source) if source.is_seed else _send(source))


async def _put(source: InputProcessor) -> None:
    """Run a coroutine of the seed's protocol, which puts its items by itself."""
    await source.step.target(source, source.queue, **source.spec.args)


async def _send(source: InputProcessor) -> None:
    """Send on what an iterable gives that a line can't pull from: async, in a thread, or paced."""
    rate = source.properties.rate_limit
    throttle = None if rate is None else Throttle(rate)
    async with _awaited(source, source.values) as items:
        async for item in items:
            if throttle is not None:
                await throttle.wait()
            if not source.queue.offer(item):
                await source.queue.put(item)
            if source.outlet.deserted or source.stopping:
                return


@contextlib.asynccontextmanager
async def _awaited(source: InputProcessor, values: Any) -> AsyncIterator[AsyncIterator[Any]]:
    """Iterate over any iterable, over a sync one from a thread if the node says so."""
    if isinstance(values, AsyncIterable):
        items = aiter(values)  # itself: a generator around it would cost at each item
    elif source.properties.executor == "inline":
        items = _each(values)
    else:
        items = _in_thread(source, iter(values))
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def _each(values: Iterable[Any]) -> AsyncGenerator[Any]:
    for item in values:
        yield item


async def _in_thread(source: InputProcessor, iterator: Iterator[Any]) -> AsyncGenerator[Any]:
    """Give the items of an iterator that may block, taken in a thread."""
    lane = Lane(f"pipelines:{source.name}", source.schedule.loop)
    channel = Channel(min(AHEAD, source.properties.buffer_size or AHEAD))
    lane.submit(functools.partial(_pump, iterator, channel))
    try:
        async for item in channel:
            yield item
    finally:
        channel.close()
        if hasattr(iterator, "close"):
            lane.submit(iterator.close)
        if not await lane.join(Executor.patience):
            logger.warning(
                "input node %r: its iterator still blocks a thread, which can't be ended",
                source.name,
            )


def _pump(iterator: Iterator[Any], channel: Channel) -> None:
    """Put all items into the channel, or as many as are wanted; runs in the source's thread."""
    try:
        for item in iterator:
            if not channel.put(item):
                return
    except BaseException as error:
        channel.close(error)
    channel.close()


async def _until_stopped(
    source: InputProcessor, body: Coroutine[Any, Any, None]
) -> BaseException | None:
    """Await a source's own code; return what it raised, if anything.

    `InputProcessor.stop` cancels it, which is an end like any other.
    """
    task = asyncio.current_task()
    assert task is not None
    source.drive(task)
    if source.stopping:
        body.close()
        return None
    try:
        await body
    except asyncio.CancelledError as error:
        if _is_cancelled(source, task):
            raise
        if not source.stopping:
            return error  # the user's code raised it by itself
    except Exception as error:
        return error
    finally:
        source.task = None
    await source.closed()
    source.close()
    return None


def _is_cancelled(source: InputProcessor, task: asyncio.Task[Any]) -> bool:
    """Tell whether somebody else than `InputProcessor.stop` has cancelled the task."""
    if source.stopping and task.cancelling():
        return task.uncancel() > 0
    return task.cancelling() > 0
