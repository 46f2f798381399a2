"""Hosts on Ray: each an actor; batches lie in Ray's object store, and the driver holds references.

A process that dies is started again by Ray, which has it make again what was under way; what it had
sent is made again too where it is lost and still wanted. So a batch may be made more than once, and
its results go on once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from typing import Any

from pipelines.build import Assembly, Builder
from pipelines.check import Examination
from pipelines.engines import travel
from pipelines.engines.actor import HostActor, Layout
from pipelines.engines.cluster import Cluster, connect, resource
from pipelines.engines.hosted import Batching, HostedAssembly
from pipelines.engines.intake import Parcel
from pipelines.engines.passage import HostGraph
from pipelines.engines.plan import HostPlan
from pipelines.engines.slices import Slice
from pipelines.engines.transport import Reply
from pipelines.errors import HostError
from pipelines.executor import processors
from pipelines.metrics import HostCounts

__all__ = ["RayEngine"]

#: How often a batch is made again whose process died, before the run fails.
RETRIES = 3

#: Seconds that a process gets to exit its steps at the end.
PATIENCE = 10.0

#: Calls that an actor takes at once; the driver bounds them more tightly.
CALLS = 1000


class RayEngine:
    """Runs graphs on a Ray cluster.

    Args:
        address: of the cluster, as ``host:port``; without one a local cluster is started for the
            run, and ended with it.
        batch: items of a batch, at most.
        age: seconds after which a batch is sent though it is not full.
        scopes: those that come first where processors are short, the most important one first.
        working_dir: the folder that workers get a copy of; by default that of the graph's file.
        py_modules: more modules or packages to copy, as folders or files.
        start_timeout: seconds that a scope may be without a worker at the start.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        batch: int = 1000,
        age: float = 0.05,
        scopes: Sequence[str] = (),
        working_dir: str | os.PathLike[str] | None = None,
        py_modules: Sequence[str] = (),
        start_timeout: float = 30.0,
    ) -> None:
        if batch < 1 or age < 0 or start_timeout <= 0:
            raise ValueError("batch must be at least 1, age at least 0, start_timeout above 0")
        self._batching = Batching(batch, age, tuple(scopes))
        self._join: dict[str, Any] = {
            "address": address,
            "working_dir": working_dir,
            "py_modules": tuple(py_modules),
        }
        self._start_timeout = start_timeout

    def assemble(self, graph: Examination, builder: Builder) -> Assembly:
        """Make the parts of one run."""
        assert graph.spec is not None
        source = graph.spec.source
        join = dict(self._join)
        if join["working_dir"] is None and source is not None and os.path.isfile(source):
            join["working_dir"] = os.path.dirname(os.path.abspath(source))
        transport = _Ray(join, self._start_timeout)
        return HostedAssembly(graph, builder, transport, self._batching, slots=processors())


class _Ray:
    """Starts hosts as actors.

    Args:
        join: what `cluster.connect` takes.
        start_timeout: see `RayEngine`.
    """

    def __init__(self, join: dict[str, Any], start_timeout: float) -> None:
        self._join = join
        self._scopes: list[str] = []
        self._start_timeout = start_timeout
        self._cluster: Cluster | None = None

    def prepare(self, hosts: Sequence[tuple[HostPlan, HostGraph]]) -> None:
        """Look whether all steps can travel."""
        travel.check([graph for _, graph in hosts])
        self._scopes = sorted({plan.scope for plan, _ in hosts if plan.scope is not None})

    async def open(self) -> None:
        """Join the cluster, or start one that serves all scopes."""
        self._cluster = await connect(**self._join, scopes=self._scopes)

    async def start(self, plan: HostPlan, graph: HostGraph, replica: int) -> _RayHost:
        """Start an actor and have it enter the steps."""
        assert self._cluster is not None
        if plan.scope is not None:
            await self._cluster.wait_for([plan.scope], self._start_timeout)
        host = _RayHost(plan, graph)
        await host.open()
        return host

    async def fetch(self, part: Slice) -> list[Any]:
        """Return the entries of a slice."""
        if isinstance(part.batch, list):
            return part.batch[part.start : part.stop]
        entries: list[Any] = travel.load(await part.batch)
        return entries[part.start : part.stop]

    async def dump(self, part: Slice) -> bytes:
        """Return a slice as bytes, to be kept."""
        return travel.dump(await self.fetch(part))

    async def load(self, data: bytes) -> Any:
        """Return a batch that was kept, as Ray holds it."""
        import ray

        return ray.put(data)

    async def close(self) -> None:
        """Leave the cluster; end it where it was started for this run."""
        if self._cluster is not None:
            await self._cluster.close()


class _RayHost:
    """One actor."""

    def __init__(self, plan: HostPlan, graph: HostGraph) -> None:
        self._plan = plan
        self._graph = graph
        self._keeps_state = plan.stateful and _can_be_restored(graph)
        self._actor = self._make()
        self._processes: list[str] = []
        self._place = ""
        self._batches = self._resent = 0

    def _make(self) -> Any:
        import ray

        plan = self._plan
        # Without its state a step that remembers must not go on as if nothing had happened.
        again = not plan.stateful or self._keeps_state
        actor = ray.remote(HostActor).options(
            num_cpus=0,
            resources={} if plan.scope is None else {resource(plan.scope): 1},
            max_restarts=-1 if again else 0,
            max_task_retries=RETRIES if again else 0,
            max_concurrency=CALLS,
            scheduling_strategy="SPREAD",
        )
        return actor.remote(travel.dump_host(self._graph))

    async def open(self) -> None:
        """Have the actor enter the steps."""
        error, process, self._place = travel.load(await self._ask(self._actor.open.remote()))
        self._processes.append(process)
        if error is not None:
            raise error

    async def process(self, number: int, parcel: Parcel, state: Any) -> Reply:
        """Have the actor take a batch through the nodes."""
        layout, batches = self._lay_out(parcel)
        outbound = len(self._plan.outbound)
        call = self._actor.process.options(num_returns=2 + outbound)
        process = self._processes[-1]
        meta, kept, *outputs = call.remote(number, layout, state, *batches)
        outcome, sizes, done_by, place = travel.load(await self._ask(meta))
        if done_by != process:
            self._resent += 1
        if done_by not in self._processes:
            self._processes.append(done_by)
            self._place = place
        self._batches += 1
        parts = [
            Slice(ref, 0, size, missing)
            for ref, (size, missing) in zip(outputs, sizes, strict=False)
        ]
        return Reply(travel.load(outcome), parts, kept if self._keeps_state else None)

    def _lay_out(self, parcel: Parcel) -> tuple[Layout, list[Any]]:
        """Return which entries of which batches make up the parcel's columns, and the batches."""
        batches: list[Any] = []
        layout = []
        for edge, column in zip(self._plan.inbound, parcel.columns, strict=True):
            places = []
            for part in column:
                start, stop, batch = part.start, part.stop, part.batch
                if isinstance(batch, list):
                    batch = travel.pack(edge.source, batch[start:stop])
                    start, stop = 0, len(part)
                places.append((len(batches), start, stop))
                batches.append(batch)
            layout.append(places)
        return layout, batches

    async def _ask(self, ref: Any) -> Any:
        """Wait for what a call gives; being cancelled ends the work there.

        Raises:
            HostError: the process was lost.
        """
        import ray
        from ray.exceptions import RayError

        try:
            return await ref
        except asyncio.CancelledError:
            with contextlib.suppress(RayError, ValueError, TypeError):
                ray.cancel(ref)
            raise
        except RayError as error:
            raise HostError(self._lost(error)) from error

    def _lost(self, error: Exception) -> str:
        nodes = ", ".join(map(repr, self._plan.spec.nodes))
        what = f"the process that ran {nodes} was lost ({type(error).__name__})"
        if self._plan.stateful and not self._keeps_state:
            return (
                f"{what}, and with it what the step remembered. Give the step checkpoint() and "
                "restore(state), or remove `stateful`"
            )
        return f"{what}, and so were {RETRIES} others that took its place, with the same batch"

    async def close(self, error: BaseException | None) -> BaseException | None:
        """Exit the steps and end the actor."""
        import ray

        told = None if error is None else travel.portable(error, "In the driver")
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._ask(self._actor.close.remote(travel.dump(told)))
            return travel.load(answer)  # type: ignore[no-any-return]
        except (HostError, TimeoutError):
            return None  # a process that is gone has nothing to exit
        finally:
            ray.kill(self._actor)

    def counts(self) -> HostCounts:
        """Return what is known of it."""
        return HostCounts(
            tuple(self._plan.spec.nodes),
            self._plan.scope,
            self._place,
            self._batches,
            len(self._processes) - 1,
            self._resent,
        )


def _can_be_restored(graph: HostGraph) -> bool:
    """Tell whether all steps of a stateful host say what they remember."""
    return all(
        hasattr(target, "checkpoint") and hasattr(target, "restore")
        for target in graph.targets.values()
    )
