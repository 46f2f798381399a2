"""The design that this library grew from, written anew as its document describes it.

A node has an input queue, an output queue and three tasks: one takes an item from each inbound
queue and puts the tuple of them into the input queue, one starts a task for every such tuple, and
one puts each result into every outbound queue. The queues of the edges stand in an n by n table,
and none has a bound. An input node's coroutine fills the output queue itself. There is no end of
stream: a run is over when the sink has seen as many items as were sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from benchmarks import work
from benchmarks.work import Figure, Total

Coro = Callable[..., Awaitable[Any]]
Queue = asyncio.Queue[Any]


class Processor:
    """One node: three tasks, two queues of its own, and those of its edges."""

    def __init__(self, coro: Coro, inbound: Sequence[Queue], outbound: Sequence[Queue]) -> None:
        self.input_q: Queue = asyncio.Queue()
        self.output_q: Queue = asyncio.Queue()
        self._coro = coro
        self._inbound = inbound
        self._outbound = outbound
        self._running: set[asyncio.Task[None]] = set()
        self.tasks = [asyncio.create_task(part()) for part in self._parts()]

    def _parts(self) -> list[Callable[[], Any]]:
        return [self._take, self._process, self._send]

    async def _take(self) -> None:
        while True:
            await self.input_q.put(tuple([await queue.get() for queue in self._inbound]))

    async def _process(self) -> None:
        while True:
            task = asyncio.create_task(self._call(await self.input_q.get()))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _call(self, q_elt: tuple[Any, ...]) -> None:
        await self.output_q.put(await self._coro(self, q_elt))

    async def _send(self) -> None:
        while True:
            result = await self.output_q.get()
            for queue in self._outbound:
                await queue.put(result)


class InputProcessor(Processor):
    """A node that nothing leads to."""

    def _parts(self) -> list[Callable[[], Any]]:
        return [self._process, self._send]

    async def _process(self) -> None:
        await self._coro(self, self.output_q)


class Plumber:
    """Builds the table of queues, and the processors on it."""

    def __init__(self, input_d: dict[str, Any]) -> None:
        nodes, graph = input_d["nodes"], input_d["graph"]
        index = {name: number for number, name in enumerate(nodes)}
        shared: dict[str, Queue] = {}
        table: list[list[Queue | None]] = [[None] * len(nodes) for _ in nodes]
        for source, targets in graph.items():
            for target in targets or ():
                aggregates = nodes[target].get("properties", {}).get("aggregate_inputs", True)
                queue: Queue = asyncio.Queue()
                if not aggregates:
                    queue = shared.setdefault(target, queue)
                table[index[source]][index[target]] = queue
        self.nodes = [self._node(spec["coro"], table, index[name]) for name, spec in nodes.items()]

    def _node(self, coro: Coro, table: list[list[Queue | None]], index: int) -> Processor:
        inbound = {id(row[index]): row[index] for row in table if row[index] is not None}
        outbound = [queue for queue in table[index] if queue is not None]
        kind = Processor if inbound else InputProcessor
        return kind(coro, [q for q in inbound.values() if q is not None], outbound)

    async def stop(self) -> None:
        """Cancel everything: what waits for an item would wait for ever."""
        tasks = [task for node in self.nodes for task in node.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _source(count: int, made: Callable[[int], Any] = range) -> Coro:
    async def source(self: Processor, output_q: Queue) -> None:
        for value in made(count):
            await output_q.put(value)

    return source


def _step(function: Callable[..., Awaitable[Any]]) -> Coro:
    async def step(self: Processor, q_elt: tuple[Any, ...]) -> Any:
        return await function(*q_elt)

    return step


class _Sink:
    """Adds what comes, and tells when all has come."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.total = Total()
        self.done = asyncio.Event()

    async def coro(self, processor: Processor, q_elt: tuple[int, ...]) -> None:
        self.total.add(q_elt[0])
        self._left -= 1
        if not self._left:
            self.done.set()


def _run(nodes: dict[str, Coro], graph: dict[str, list[str]], count: int, merge: str = "") -> int:
    """Run a graph whose sink, the node `sink`, gets so many items."""

    async def main() -> int:
        sink = _Sink(count)
        specs: dict[str, Any] = {name: {"coro": coro} for name, coro in nodes.items()}
        if merge:
            specs[merge]["properties"] = {"aggregate_inputs": False}
        plumber = Plumber({"nodes": {**specs, "sink": {"coro": sink.coro}}, "graph": graph})
        await sink.done.wait()
        await plumber.stop()
        return sink.total.value

    return asyncio.run(main())


def _line(source: Coro, steps: Sequence[Coro], count: int) -> int:
    names = ["source", *(f"step{number}" for number in range(len(steps)))]
    nodes = dict(zip(names, [source, *steps], strict=True))
    graph = dict(zip(names, [[name] for name in [*names[1:], "sink"]], strict=True))
    return _run(nodes, graph, count)


def chain_async(items: int) -> int:
    """Run a source, three coroutine functions and a sink."""
    return _line(_source(items), [_step(work.add_one_async)] * 3, items)


def diamond(items: int) -> int:
    """Run two branches and join them, as long as all items take equally long."""

    async def multiply(self: Processor, q_elt: tuple[int, int]) -> int:
        return work.multiply(*q_elt)

    nodes = {
        "source": _source(items),
        "left": _step(work.add_one_async),
        "right": _step(work.twice),
        "join": multiply,
    }
    graph = {"source": ["left", "right"], "left": ["join"], "right": ["join"], "join": ["sink"]}
    return _run(nodes, graph, items)


def merge(items: int) -> int:
    """Run four sources into one step."""
    sources = {
        f"source{k}": _source(items, lambda count, k=k: range(k, count, 4))  # type: ignore[misc]
        for k in range(4)
    }
    graph = {**{name: ["merge"] for name in sources}, "merge": ["sink"]}
    return _run({**sources, "merge": _step(work.add_one_async)}, graph, items, merge="merge")


def memory(items: int) -> int:
    """Let a source run against a slow stage."""
    return _line(_source(items, work.dicts), [_step(work.slow_field)], items)


def wide_chain(nodes: int, *, items: int = 10) -> int:
    """Build and run a long chain."""
    return _line(_source(items), [_step(work.add_one_async)] * (nodes - 2), items)


def wide_branches(nodes: int, *, items: int = 10) -> int:
    """Build and run many branches of one source, and their join."""

    async def join(self: Processor, q_elt: tuple[int, ...]) -> int:
        return sum(q_elt)

    branches = {f"branch{number}": _step(work.add_one_async) for number in range(nodes - 3)}
    graph = {
        "source": list(branches),
        **{name: ["join"] for name in branches},
        "join": ["sink"],
    }
    return _run({"source": _source(items), **branches, "join": join}, graph, items)


def gap(items: int) -> Figure:
    """Keep the loop busy with two nodes of a millisecond each."""

    async def hold(value: int) -> int:
        return work.hold_1ms(value)

    async def main() -> Figure:
        sink = _Sink(items)

        async def run() -> int:
            nodes = {"source": _source(items), "a": _step(hold), "b": _step(hold)}
            specs: dict[str, Any] = {name: {"coro": coro} for name, coro in nodes.items()}
            graph = {"source": ["a"], "a": ["b"], "b": ["sink"]}
            plumber = Plumber({"nodes": {**specs, "sink": {"coro": sink.coro}}, "graph": graph})
            await sink.done.wait()
            await plumber.stop()
            return sink.total.value

        return await work.longest_gap(run())

    return asyncio.run(main())
