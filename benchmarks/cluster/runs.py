"""One measurement of each kind, in the cluster that this process is in."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from benchmarks.cluster import graphs
from pipelines import Plumber, RunReport
from pipelines.engines.cluster.joining import Cluster
from pipelines.engines.ray import RayEngine
from pipelines.step import StreamStep

__all__ = ["Killed", "Left", "Rate", "kill", "latencies", "left_behind", "rate"]

_LOOK = 0.002  # seconds between two looks at how far a run is
_PID = re.compile(r"pid (\d+)")


@dataclass(frozen=True)
class Rate:
    """How fast a run was.

    Attributes:
        per_second: items, from the first one asked for to the last one done.
        start, end: seconds before and after that.
    """

    per_second: float
    start: float
    end: float


async def rate(
    graph: Callable[[Callable[[], Any]], dict[str, Any]],
    items: int,
    last: str,
    engine: RayEngine | None,
) -> Rate:
    """Measure a run.

    Args:
        graph: makes the graph of a source.
        items: how many.
        last: the node that has them last; a sink.
        engine: where to run; `None` for this process.
    """
    first_asked = 0.0

    def source() -> Iterator[int]:
        nonlocal first_asked
        first_asked = time.perf_counter()
        yield from range(items)

    plumber = Plumber(graph(source), engine=engine)
    began = time.perf_counter()
    running = asyncio.create_task(plumber.run())
    await _look(lambda: running.done() or plumber.snapshot().nodes[last].passed_on >= items)
    done = time.perf_counter()
    await running
    ended = time.perf_counter()
    return Rate(items / (done - first_asked), first_asked - began, ended - done)


async def _look(reached: Callable[[], bool]) -> None:
    while not reached():  # noqa: ASYNC110 (counters tell no event)
        await asyncio.sleep(_LOOK)


class _Arrivals:
    """What comes to the end of a graph, here in the driver, and when."""

    def __init__(self) -> None:
        self.values: list[int] = []
        self.times: list[float] = []
        self.one = asyncio.Event()

    def sink(self) -> type[StreamStep]:
        """Return a step that notes all items; one of that kind runs in the driver."""
        loop, arrivals = asyncio.get_running_loop(), self

        class Sink(StreamStep):
            """Notes each item as it comes."""

            def stream(self, items: Iterator[Any]) -> None:
                for item in items:
                    arrivals.values.append(item)
                    arrivals.times.append(time.perf_counter())
                    loop.call_soon_threadsafe(arrivals.one.set)

        return Sink


async def latencies(places: dict[str, Any], count: int) -> tuple[float, float]:
    """Put single items into a live diamond, each once the one before is through.

    Returns:
        The median and the 95th of 100 of the seconds that one takes until it is back here.
    """
    arrivals = _Arrivals()
    graph = graphs.diamond(places, sink=arrivals.sink())
    found = []
    async with Plumber(graph, engine=RayEngine()) as plumber:
        for number in range(count):
            arrivals.one.clear()
            began = time.perf_counter()
            await plumber.put("source", number)
            await arrivals.one.wait()
            found.append(arrivals.times[-1] - began)
    if arrivals.values != list(range(1, count + 1)):
        raise AssertionError("items were lost, or came twice or in another order")
    found = found[count // 10 :]  # the first ones find the processes cold
    return statistics.median(found), statistics.quantiles(found, n=20)[-1]


@dataclass(frozen=True)
class Killed:
    """What a kill in the middle of a run did.

    Attributes:
        host: the one whose process was killed.
        stall: the longest time without an item from then on, in seconds.
        lost, twice: items.
        ordered: whether all others came in order.
        restarts: of processes.
        resent: batches.
    """

    host: str
    stall: float
    lost: int
    twice: int
    ordered: bool
    restarts: int
    resent: int


async def kill(places: dict[str, Any], host: str, items: int, batch: int) -> Killed:
    """Kill a host's process with SIGKILL once half of the items have come to the end."""
    arrivals = _Arrivals()
    graph = graphs.diamond(places, lambda: range(items), arrivals.sink())
    plumber = Plumber(graph, engine=RayEngine(batch=batch))
    running = asyncio.create_task(plumber.run())
    await _look(lambda: running.done() or len(arrivals.values) >= items // 2)
    if not running.done():
        os.kill(_pid(plumber.snapshot().hosts[host].place), signal.SIGKILL)
    killed = time.perf_counter()
    return _judged(host, await running, arrivals, items, killed)


def _pid(place: str) -> int:
    found = _PID.search(place)
    assert found is not None, place
    return int(found[1])


def _judged(host: str, report: RunReport, arrivals: _Arrivals, items: int, killed: float) -> Killed:
    values, times = arrivals.values, arrivals.times
    gaps = [late - soon for soon, late in pairwise(times) if late > killed]
    return Killed(
        host=host,
        stall=max(gaps, default=0.0),
        lost=items - len(set(values)),
        twice=len(values) - len(set(values)),
        ordered=values == sorted(values),
        restarts=sum(each.restarts for each in report.hosts.values()),
        resent=sum(each.resent for each in report.hosts.values()),
    )


@dataclass(frozen=True)
class Left:
    """What lies in the cluster's object store, of all that was there in its life."""

    objects: int
    size: int
    created: int


async def left_behind(cluster: Cluster) -> Left:
    """Ask each node's store; Ray gives back what nobody refers to any more a moment later."""
    found = Left(0, 0, 0)
    for _ in range(20):
        found = await asyncio.to_thread(_stored, cluster)
        if not found.objects:
            break
        await asyncio.sleep(0.1)
    return found


def _stored(cluster: Cluster) -> Left:
    from ray._private import internal_api  # nothing public tells it without the dashboard

    found = [
        internal_api.node_stats(
            node["NodeManagerAddress"], node["NodeManagerPort"], include_memory_info=False
        ).store_stats
        for node in cluster.nodes()
    ]
    return Left(
        sum(each.num_local_objects for each in found),
        sum(each.object_store_bytes_used for each in found),
        sum(each.cumulative_created_objects for each in found),
    )
