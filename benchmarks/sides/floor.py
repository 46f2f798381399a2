"""The least that the work can cost: the same calls with nothing between them."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable

from benchmarks import work
from benchmarks.work import Figure, FirstToLast, Total


def chain_async(items: int) -> int:
    """Await three coroutine functions, one inside the other."""

    async def main() -> int:
        total = Total()
        first = second = third = work.add_one_async
        for number in range(items):
            total.add(await third(await second(await first(number))))
        return total.value

    return asyncio.run(main())


def chain_sync(items: int) -> int:
    """Call three plain functions, one inside the other."""
    total = Total()
    first = second = third = work.add_one
    for number in range(items):
        total.add(third(second(first(number))))
    return total.value


def diamond(items: int) -> int:
    """Await both branches one after the other."""

    async def main() -> int:
        total = Total()
        left, right = work.add_one_async, work.twice
        for number in range(items):
            total.add(work.multiply(await left(number), await right(number)))
        return total.value

    return asyncio.run(main())


def merge(items: int) -> int:
    """Await the step for each source's items in turn."""

    async def main() -> int:
        total = Total()
        step = work.add_one_async
        for row in zip(*(range(k, items, 4) for k in range(4)), strict=True):
            for number in row:
                total.add(await step(number))
        return total.value

    return asyncio.run(main())


def flat_map(items: int) -> int:
    """Loop in a loop."""
    total = Total()
    for number in range(items // 10):
        for value in work.ten(number):
            total.add(value)
    return total.value


def io(items: int, *, concurrency: int = 50) -> int:
    """Only sleep: in each stage's every worker its share of times, with no item handed over."""
    share = items // concurrency

    async def worker() -> int:
        for number in range(share):
            await work.nap(number)
        return share

    async def main() -> int:
        workers = [worker() for _ in range(3 * concurrency)]
        return sum(await asyncio.gather(*workers))

    slept = asyncio.run(main())
    return items * (items - 1) // 2 + slept


def _share(step: Callable[[int], int], values: range, go: object, out: object) -> None:
    go.wait()  # type: ignore[attr-defined]
    out.put(sum(map(step, values)))  # type: ignore[attr-defined]


def _cpu(items: int, step: Callable[[int], int]) -> Figure:
    """Let each of two processes compute its half, told by nobody."""
    context = multiprocessing.get_context("fork")
    ready, out = context.Event(), context.SimpleQueue()
    halves = [range(start, items, 2) for start in range(2)]
    processes = [
        context.Process(target=_share, args=(step, half, ready, out), daemon=True)
        for half in halves
    ]
    for process in processes:
        process.start()
    clock = FirstToLast()
    next(clock.source(1))
    ready.set()
    figure = clock.figure(sum(out.get() for _ in halves))
    for process in processes:
        process.join()
    return figure


def cpu_4ms(items: int) -> Figure:
    """Compute in two bare processes."""
    return _cpu(items, work.spin_4ms)


def cpu_30us(items: int) -> Figure:
    """Compute in two bare processes."""
    return _cpu(items, work.spin_30us)


def generators(items: int) -> int:
    """Nest three generators by hand."""
    each = work.add_one_each
    return sum(each(each(each(iter(range(items))))))


def sleeps(calls: int) -> Figure:
    """Keep many sleeps in flight, each in a task of its own, round by round."""
    flight = work.Flight(calls)

    async def main() -> None:
        for start in range(0, flight.items, calls):
            naps = [flight.nap(start + number) for number in range(calls)]
            for value in await asyncio.gather(*naps):
                flight.land(value)

    return flight.figure(lambda: asyncio.run(main()))
