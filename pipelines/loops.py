"""The hot loops, one for each kind of node: a line of plain functions, an async one, a source.

Each loop takes a run of items at a time: what is there, what there is room for, and what is about a
millisecond of work. Only these checks are made once a run. Every result is sent on at once, so that
nothing finished is held back while the next item waits for I/O. Nodes with several calls in flight,
and those whose step yields, are in `pool`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Coroutine, Iterable, Sequence
from typing import Any

from pipelines.expansion import Expansion
from pipelines.failure import SPECIAL
from pipelines.pace import Pace, Watch
from pipelines.pool import Calls, Offload
from pipelines.processor import InputProcessor, Processor
from pipelines.schedule import Schedule, clock
from pipelines.sources import drive, drive_seed
from pipelines.step import Later, Route, discard

__all__ = ["fuses", "run"]


async def run(nodes: Sequence[Processor]) -> None:
    """Run a node, or neighbouring ones that `fuses` lets run as one, until doomsday."""
    first = nodes[0]
    if isinstance(first, InputProcessor):
        await _run_source(first, nodes)
    elif first.executor is not None:
        await (Expansion(first) if first.shape.yields else Offload(first)).run()
    elif first.shape.yields:
        await Expansion(first).run()
    elif fuses(first):
        await _line(nodes)
    elif _is_serial(first):
        await _serial(first)
    else:
        await Calls(first).run()


def fuses(node: Processor) -> bool:
    """Tell whether a node is a plain function that can run in one loop with its neighbours."""
    return not node.shape.is_async and not node.shape.yields and _is_bare(node)


def _is_serial(node: Processor) -> bool:
    return node.shape.is_async and node.concurrency == 1 and _is_bare(node)


def _is_bare(node: Processor) -> bool:
    """Tell whether a node needs nothing that only a pool does."""
    properties = node.properties
    in_place = properties.ordered or properties.retry is None
    return (
        properties.executor == "inline"
        and properties.batch is None
        and properties.rate_limit is None
        and in_place
    )


def _ready(first: Processor, last: Processor, limit: int) -> int:
    """Return how many items there are and have room; 0 where `_obstacle` says what to wait for."""
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


def _obstacle(first: Processor, last: Processor, limit: int) -> asyncio.Future[None] | None:
    """Return what to await before the next `_ready`, or `None` at the end.

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


async def _serial(node: Processor) -> None:
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
        while not (count := _ready(node, node, pace.limit)):
            if (obstacle := _obstacle(node, node, pace.limit)) is None:
                return None
            await obstacle
        append = outlet.append
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
                    append(result)
                if outlet.hungry:
                    outlet.feed()
            else:
                done, under_way = count, 0
        finally:
            refresh()
        received, finished, done = node.received, node.finished, 0
        if polling is not None:
            return await Calls(node).run([polling])
        pace.adapt(count, clock() - began)


async def _line(nodes: Sequence[Processor]) -> None:
    """Call each node's plain function with a run of items, then the next one's with the results."""
    first, last = nodes[0], nodes[-1]
    inlet = first.inlet
    assert inlet is not None
    # Between its nodes a run lies in no queue, but is held to what their queues may hold.
    pace = Pace(most=min([256, *(node.outlet.capacity() for node in nodes[:-1])]))
    pulled = inlet.seconds
    for node in nodes:
        node.worked = node.worked or 0.0
    while True:
        while not (count := _ready(first, last, pace.limit)):
            if (obstacle := _obstacle(first, last, pace.limit)) is None:
                return None
            await obstacle
        began = clock() - (inlet.seconds - pulled)
        pulled = inlet.seconds
        if polling := await _push(nodes, inlet.take(count)):
            return await _split(nodes, polling)
        pace.adapt(count, clock() - began)


#: A node of a line whose step returned `Later`, with what came of the items from there on.
_Polling = tuple[Processor, list[tuple[Any, Any]]]


async def _push(nodes: Sequence[Processor], items: list[Any]) -> list[_Polling]:
    """Take items through the nodes and send on what comes out; return the nodes that poll."""
    polling: list[_Polling] = []
    waiting: list[tuple[Any, Any]] | None = None
    for node in nodes:
        results: list[Any] = []
        began, before = clock(), node.received
        try:
            waiting = await _apply(node, items, results, is_last=node is nodes[-1])
            node.worked = (node.worked or 0.0) + clock() - began
        except BaseException:
            # The run ends. What went through lies in the next queue, what did not in this one.
            _send_each(node, results)
            assert node.inlet is not None
            node.inlet.give_back(items[node.received - before :])
            raise
        if waiting:
            polling.append((node, waiting))
        items = results
        if not items:
            return polling
    if waiting is None:
        nodes[-1].outlet.extend(items)
    else:
        _send_each(nodes[-1], items)
    return polling


def _send_each(node: Processor, results: Iterable[Any]) -> None:
    for result in results:
        if type(result) in SPECIAL:
            node.send(result)
        else:
            node.outlet.append(result)
    if node.outlet.hungry:
        node.outlet.feed()


async def _apply(
    node: Processor, items: list[Any], results: list[Any], is_last: bool
) -> list[tuple[Any, Any]] | None:
    """Append to `results` what comes of each item: plain values, and marks at the last node.

    Returns:
        `None` where all went well and all is plain: the usual case. Else the items that wait to be
        tried again and those behind them, each with what came of it.
    """
    if isinstance(node, InputProcessor):
        results += items
        error = None
    else:
        error = _map(node, items, results)
    node.received += len(results)
    if error is None and SPECIAL.isdisjoint(map(type, results)):
        node.finished += len(results)
        return None
    outcomes, results[:] = results[:], []
    try:
        return await _sort_out(node, items, outcomes, error, results, is_last)
    except BaseException:
        discard(outcomes)
        raise


async def _sort_out(
    node: Processor,
    items: list[Any],
    outcomes: list[Any],
    error: BaseException | None,
    results: list[Any],
    is_last: bool,
) -> list[tuple[Any, Any]]:
    """Go through the outcomes of a run of items of which some failed or gave no plain value."""
    waiting: list[tuple[Any, Any]] = []
    position = 0
    while True:
        for item, outcome in zip(items[position:], outcomes, strict=False):
            _sort(node, item, outcome, results, waiting, is_last)
        position += len(outcomes)
        if error is not None:
            node.received += 1
            outcomes, error = [await node.insist(items[position], error)], None
        elif position < len(items):
            outcomes = []
            error = _map(node, items[position:], outcomes)
            node.received += len(outcomes)
        else:
            return waiting


def _map(node: Processor, items: Sequence[Any], results: list[Any]) -> BaseException | None:
    """Append the result of each item up to the first that raises; return what it raised."""
    try:
        results.extend(map(node.call, items))
    except BaseException as error:
        return error
    if len(results) < len(items):
        # A StopIteration looks to `map` like the end of the items.
        return RuntimeError("the step raised StopIteration")
    return None


def _sort(
    node: Processor,
    item: Any,
    outcome: Any,
    results: list[Any],
    waiting: list[tuple[Any, Any]],
    is_last: bool,
) -> None:
    """Put an outcome where it belongs: behind those that wait, or among the results."""
    kind = type(outcome)
    if waiting or (kind is Later and not isinstance(node, InputProcessor)):
        waiting.append((item, outcome))
        return
    if kind in SPECIAL:
        outcome = node.account(item, outcome)
    node.finished += 1
    if kind not in SPECIAL or is_last:
        results.append(outcome)
    elif type(outcome) is Route:
        results += outcome.values.values()  # the one edge to the next node


async def _split(nodes: Sequence[Processor], polling: Sequence[_Polling]) -> None:
    """Go on in several flows: each node that polls in a pool, and the lines between them."""
    flows: list[tuple[Sequence[Processor], Coroutine[Any, Any, None]]] = []
    start = 0
    for node, results in polling:
        index = nodes.index(node)
        if index > start:
            flows.append((nodes[start:index], _line(nodes[start:index])))
        node.worked = None  # the pool's own account goes on from here
        flows.append(([node], Calls(node).run(results)))
        start = index + 1
    if start < len(nodes):
        flows.append((nodes[start:], _line(nodes[start:])))
    await _together(nodes[0].schedule, [_closing(part[-1], flow) for part, flow in flows])


async def _closing(last: Processor, flow: Coroutine[Any, Any, Any]) -> None:
    await flow
    last.outlet.close()


async def _together(schedule: Schedule, flows: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run several flows in the place of one."""
    alive = len(flows)
    schedule.busy += alive - 1

    async def one(flow: Coroutine[Any, Any, None]) -> None:
        nonlocal alive
        await flow
        alive -= 1
        if alive:
            schedule.leave()

    try:
        async with asyncio.TaskGroup() as group:
            for flow in flows:
                group.create_task(one(flow))
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__


async def _run_source(source: InputProcessor, nodes: Sequence[Processor]) -> None:
    """Run a source, and the nodes fused with it, until it ends; over again where it may."""
    attempt: int | None = 1
    while attempt is not None:
        error = await _run_once(source, nodes)
        attempt = None if error is None else await source.start_over(error, attempt)


async def _run_once(source: InputProcessor, nodes: Sequence[Processor]) -> BaseException | None:
    """Run a source until it ends; return what it raised, if anything."""
    if source.is_seed:
        flow = drive_seed(source)
    else:
        try:
            values = await source.make()
        except Exception as error:
            return error
        in_loop = source.properties.executor == "inline" and source.properties.rate_limit is None
        if in_loop and not isinstance(values, AsyncIterable):
            inlet = source.attach(values)
            await _line(nodes)
            return inlet.error
        flow = drive(source, values)
    if len(nodes) == 1:
        return await flow
    # The source is none that a line can pull from: it feeds the line over the edge between them.
    errors: list[BaseException | None] = []

    async def upstream() -> None:
        errors.append(await flow)

    flows = [_closing(source, upstream()), _line(nodes[1:])]
    await _together(source.schedule, flows)
    return errors[0]
