"""What people write by hand: `asyncio.Queue(100)` between tasks, and a sentinel at the end.

In each workload its best honest form: a worker that is the only one of its stage has no bookkeeping
for others, and what ends a stream is one object that is passed on.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from benchmarks import work
from benchmarks.work import Figure, FirstToLast, Total

_END: Any = object()

Queue = asyncio.Queue[Any]


async def _source(values: Iterable[Any], out: Queue) -> None:
    for value in values:
        await out.put(value)
    await out.put(_END)


async def _async_source(values: AsyncIterator[Any], out: Queue) -> None:
    async for value in values:
        await out.put(value)
    await out.put(_END)


async def _stage(step: Callable[[Any], Any], inp: Queue, out: Queue) -> None:
    while (value := await inp.get()) is not _END:
        await out.put(await step(value))
    await out.put(_END)


async def _stage_sync(step: Callable[[Any], Any], inp: Queue, out: Queue) -> None:
    while (value := await inp.get()) is not _END:
        await out.put(step(value))
    await out.put(_END)


async def _sink(add: Callable[[Any], None], inp: Queue) -> None:
    while (value := await inp.get()) is not _END:
        add(value)


async def _worker(step: Callable[[Any], Any], inp: Queue, out: Queue) -> None:
    while (value := await inp.get()) is not _END:
        await out.put(await step(value))
    await inp.put(_END)  # for the next worker of this stage


async def _workers(step: Callable[[Any], Any], inp: Queue, out: Queue, count: int) -> None:
    """Run a stage of several workers; its results come in no order."""
    await asyncio.gather(*(_worker(step, inp, out) for _ in range(count)))
    await out.put(_END)


async def _chain(
    source: Any, steps: Iterable[Callable[..., Any]], add: Any, buffer: int = 100, workers: int = 1
) -> None:
    last: Queue = asyncio.Queue(buffer)
    first = _async_source if isinstance(source, AsyncIterator) else _source
    tasks = [first(source, last)]
    for step in steps:
        inp, last = last, asyncio.Queue(buffer)
        if workers > 1:
            tasks.append(_workers(step, inp, last, workers))
        elif inspect.iscoroutinefunction(step):
            tasks.append(_stage(step, inp, last))
        else:
            tasks.append(_stage_sync(step, inp, last))
    await asyncio.gather(*tasks, _sink(add, last))


def chain_async(
    items: int, *, concurrency: int = 1, buffer: int = 100, trickling: bool = False
) -> int:
    """Run a source, three coroutine functions and a sink."""
    total = Total()
    source = work.trickle(items) if trickling else range(items)
    asyncio.run(_chain(source, [work.add_one_async] * 3, total.add, buffer, concurrency))
    return total.value


def chain_sync(items: int) -> int:
    """Run a source, three plain functions and a sink."""
    total = Total()
    asyncio.run(_chain(range(items), [work.add_one] * 3, total.add))
    return total.value


async def _broadcast(values: Iterable[Any], outs: list[Queue]) -> None:
    for value in values:
        for out in outs:
            await out.put(value)
    for out in outs:
        await out.put(_END)


async def _join(step: Callable[..., Any], left: Queue, right: Queue, out: Queue) -> None:
    while (value := await left.get()) is not _END:
        await out.put(step(value, await right.get()))
    await out.put(_END)


async def _join_all(step: Callable[..., Any], inps: list[Queue], out: Queue) -> None:
    while (first := await inps[0].get()) is not _END:
        await out.put(step(first, *[await inp.get() for inp in inps[1:]]))
    await out.put(_END)


def diamond(items: int) -> int:
    """Run two branches and join them by position."""

    async def main() -> int:
        total = Total()
        to_left, to_right, left, right, out = (asyncio.Queue[Any](100) for _ in range(5))
        await asyncio.gather(
            _broadcast(range(items), [to_left, to_right]),
            _stage(work.add_one_async, to_left, left),
            _stage(work.twice, to_right, right),
            _join(work.multiply, left, right, out),
            _sink(total.add, out),
        )
        return total.value

    return asyncio.run(main())


async def _merging_stage(step: Callable[[Any], Any], inp: Queue, out: Queue, sources: int) -> None:
    while sources:
        if (value := await inp.get()) is _END:
            sources -= 1
        else:
            await out.put(await step(value))
    await out.put(_END)


def merge(items: int) -> int:
    """Run four sources into one step."""

    async def main() -> int:
        total = Total()
        inp, out = asyncio.Queue[Any](100), asyncio.Queue[Any](100)
        await asyncio.gather(
            *(_source(range(k, items, 4), inp) for k in range(4)),
            _merging_stage(work.add_one_async, inp, out, 4),
            _sink(total.add, out),
        )
        return total.value

    return asyncio.run(main())


async def _expand(step: Callable[[Any], Iterable[Any]], inp: Queue, out: Queue) -> None:
    while (value := await inp.get()) is not _END:
        for result in step(value):
            await out.put(result)
    await out.put(_END)


def flat_map(items: int) -> int:
    """Make ten items of each."""

    async def main() -> int:
        total = Total()
        inp, out = asyncio.Queue[Any](100), asyncio.Queue[Any](100)
        await asyncio.gather(
            _source(range(items // 10), inp), _expand(work.ten, inp, out), _sink(total.add, out)
        )
        return total.value

    return asyncio.run(main())


def io(items: int, *, concurrency: int = 50, jitter: bool = False) -> int:
    """Sleep in three stages, the results in no order."""
    total = Total()
    step = work.uneven_nap if jitter else work.nap
    asyncio.run(_chain(range(items), [step] * 3, total.add, workers=concurrency))
    return total.value


def memory(items: int) -> int:
    """Let a source run against a slow stage."""
    total = Total()
    asyncio.run(_chain(work.dicts(items), [work.slow_field], total.add))
    return total.value


def _cpu(items: int, step: Callable[[int], int]) -> Figure:
    """Make one executor call for each item, with two more under way than there are processes."""

    async def main() -> Figure:
        total, clock = Total(), FirstToLast()
        loop = asyncio.get_running_loop()
        with ProcessPoolExecutor(2) as pool:
            list(pool.map(work.add_one, range(4)))  # the processes are there before the clock runs

            def call(value: int) -> asyncio.Future[int]:
                return loop.run_in_executor(pool, step, value)

            await _chain(clock.source(items), [call], total.add, workers=4)
            return clock.figure(total.value)

    return asyncio.run(main())


def cpu_4ms(items: int) -> Figure:
    """Compute in two processes."""
    return _cpu(items, work.spin_4ms)


def cpu_30us(items: int) -> Figure:
    """Compute a little for each of many items in two processes."""
    return _cpu(items, work.spin_30us)


def wide_chain(nodes: int, *, items: int = 10) -> int:
    """Build and run a long chain."""
    total = Total()
    asyncio.run(_chain(range(items), [work.add_one_async] * (nodes - 2), total.add))
    return total.value


def wide_branches(nodes: int, *, items: int = 10) -> int:
    """Build and run many branches of one source, and their join."""

    async def main() -> int:
        total = Total()
        count = nodes - 3
        inps = [asyncio.Queue[Any](100) for _ in range(count)]
        outs = [asyncio.Queue[Any](100) for _ in range(count)]
        out = asyncio.Queue[Any](100)
        await asyncio.gather(
            _broadcast(range(items), inps),
            *map(_stage, [work.add_one_async] * count, inps, outs),
            _join_all(lambda *values: sum(values), outs, out),
            _sink(total.add, out),
        )
        return total.value

    return asyncio.run(main())


def gap(items: int) -> Figure:
    """Keep the loop busy with two stages of a millisecond each."""
    total = Total()

    async def main() -> Figure:
        return await work.longest_gap(_chain(range(items), [work.hold_1ms] * 2, total.add))

    figure = asyncio.run(main())
    return Figure(total.value, figure.value)
