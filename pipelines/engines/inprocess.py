"""Hosts in the driver's own process: what durable edges need on one machine."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from pipelines.build import Assembly, Builder
from pipelines.check import Examination
from pipelines.engines.hosted import Batching, HostedAssembly
from pipelines.engines.hosting import Host
from pipelines.engines.intake import Parcel
from pipelines.engines.passage import HostGraph
from pipelines.engines.plan import HostPlan
from pipelines.engines.slices import Slice
from pipelines.engines.transport import Reply
from pipelines.metrics import HostCounts

__all__ = ["InProcess", "InProcessEngine"]


class InProcess:
    """Runs each host in the running event loop; batches are lists, and nothing is copied."""

    elsewhere = False

    def prepare(self, hosts: Sequence[tuple[HostPlan, HostGraph]]) -> None:
        """Find no fault: nothing has to travel."""

    async def open(self) -> None:
        """Need nothing."""

    async def start(self, plan: HostPlan, graph: HostGraph, replica: int) -> _InProcessHost:
        """Make a host and enter its steps."""
        host = _InProcessHost(graph, plan)
        await host.open()
        return host

    async def fetch(self, part: Slice) -> list[Any]:
        """Return the entries of a slice."""
        return list(part.batch[part.start : part.stop])

    async def dump(self, part: Slice) -> bytes:
        """Return a slice as bytes; raises what pickling raises."""
        return pickle.dumps(await self.fetch(part))

    async def load(self, data: bytes) -> Any:
        """Return the entries of bytes."""
        return pickle.loads(data)

    async def close(self) -> None:
        """Have nothing to end."""


class _InProcessHost:
    def __init__(self, graph: HostGraph, plan: HostPlan) -> None:
        self._host = Host(graph)
        self._plan = plan
        self._batches = 0

    async def open(self) -> None:
        await self._host.open()

    async def process(self, number: int, parcel: Parcel, state: Any) -> Reply:
        columns = [_entries(column) for column in parcel.columns]
        outcome = await self._host.process(number, columns, state)
        outputs, outcome.outputs = [Slice.of(each) for each in outcome.outputs], []
        self._batches += 1
        return Reply(outcome, outputs, outcome.state)

    async def close(self, error: BaseException | None) -> BaseException | None:
        return await self._host.close(error)

    def counts(self) -> HostCounts:
        return HostCounts(
            tuple(self._plan.spec.nodes), self._plan.scope, "this process", self._batches
        )


def _entries(column: Iterable[Slice]) -> list[Any]:
    return list(chain.from_iterable(part.batch[part.start : part.stop] for part in column))


class InProcessEngine:
    """Runs a graph's hosts in this process, as another engine would elsewhere.

    Args:
        batching: how items become batches.
    """

    def __init__(self, batching: Batching | None = None) -> None:
        self._batching = batching or Batching()

    def assemble(self, graph: Examination, builder: Builder) -> Assembly:
        """Make the parts of one run."""
        return HostedAssembly(graph, builder, InProcess(), self._batching, slots=1)
