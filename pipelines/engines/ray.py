"""Hosts on Ray: each an actor; batches lie in Ray's object store, and the driver holds references.

A process that dies is started again by Ray, which has it make again what was under way; what it had
sent is made again too where it is lost and still wanted. So a batch may be made more than once, and
its results go on once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.build import Assembly, Builder
from pipelines.check import Examination
from pipelines.engines import travel
from pipelines.engines.cluster.joining import Cluster, connect, import_ray
from pipelines.engines.cluster.upload import pack
from pipelines.engines.hosted import Batching, HostedAssembly
from pipelines.engines.passage import HostGraph
from pipelines.engines.plan import HostPlan
from pipelines.engines.remote import RemoteHost, had
from pipelines.engines.slices import Slice
from pipelines.executor import processors

__all__ = ["RayEngine"]

#: Seconds between two looks at who serves which scope.
LOOK = 1.0


class RayEngine:
    """Runs graphs on a Ray cluster.

    Args:
        address: of the cluster, as ``host:port``; without one a local cluster is started for the
            run, and ended with it.
        batch: items of a batch, at most.
        age: seconds after which a batch is sent though it is not full.
        window: batches that may be under way in a process; more where its nodes wait for something.
        scopes: those that come first where processors are short, the most important one first.
        working_dir: the folder that workers of a given cluster get a copy of, without data; by
            default that of the graph's file. Those of a local cluster import from where we do.
        py_modules: more packages to copy, as folders.
        token_file: where the token of a given cluster is; by default where Ray looks for it.
        start_timeout: seconds that a scope may be without a worker.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        batch: int = 1000,
        age: float = 0.05,
        window: int = 2,
        scopes: Sequence[str] = (),
        working_dir: str | os.PathLike[str] | None = None,
        py_modules: Sequence[str] = (),
        token_file: str | os.PathLike[str] | None = None,
        start_timeout: float = 30.0,
    ) -> None:
        if batch < 1 or window < 1 or age < 0 or start_timeout <= 0:
            raise ValueError("batch and window are 1 or more, age 0 or more, start_timeout above 0")
        self._batching = Batching(batch, age, tuple(scopes), window)
        self._join: dict[str, Any] = {
            "address": address,
            "working_dir": working_dir,
            "py_modules": tuple(py_modules),
            "token_file": token_file,
        }
        self._start_timeout = start_timeout

    def assemble(self, graph: Examination, builder: Builder) -> Assembly:
        """Make the parts of one run."""
        assert graph.spec is not None
        source = graph.spec.source
        join = dict(self._join)
        given = join["address"] is not None and join["working_dir"] is None
        if given and source is not None and os.path.isfile(source):
            join["working_dir"] = os.path.dirname(os.path.abspath(source))
        transport = _Ray(join, self._start_timeout)
        return HostedAssembly(graph, builder, transport, self._batching, slots=processors())


class _Ray:
    """Starts hosts as actors.

    Args:
        join: what `joining.connect` takes.
        start_timeout: see `RayEngine`.
    """

    elsewhere = True

    def __init__(self, join: dict[str, Any], start_timeout: float) -> None:
        self._join = join
        self._scopes: list[str] = []
        self._start_timeout = start_timeout
        self._cluster: Cluster | None = None
        self._hosts: list[RemoteHost] = []
        self._watch: asyncio.Task[None] | None = None

    def prepare(self, hosts: Sequence[tuple[HostPlan, HostGraph]]) -> None:
        """Look whether all steps can travel."""
        import_ray()
        travel.check([graph for _, graph in hosts])
        self._scopes = sorted({plan.scope for plan, _ in hosts if plan.scope is not None})

    async def open(self) -> None:
        """Join the cluster, or start one that serves all scopes."""
        with _packed(self._join) as join:
            self._cluster = await connect(**join, scopes=self._scopes)
        if self._scopes:
            self._watch = asyncio.create_task(self._watch_scopes(self._cluster))

    async def start(self, plan: HostPlan, graph: HostGraph, replica: int) -> RemoteHost:
        """Start an actor and have it enter the steps."""
        assert self._cluster is not None
        if plan.scope is not None:
            await self._cluster.wait_for([plan.scope], self._start_timeout)
        host = RemoteHost(plan, graph, replica, shares_files=self._join["address"] is None)
        await host.open()
        self._hosts.append(host)
        return host

    async def _watch_scopes(self, cluster: Cluster) -> None:
        """Give up hosts whose scope has lost its workers, and gets no other."""
        missed = dict.fromkeys(self._scopes, 0)
        while True:
            await asyncio.sleep(LOOK)
            served = await asyncio.to_thread(cluster.scopes)
            for scope in self._scopes:
                missed[scope] = 0 if scope in served else missed[scope] + 1
                if missed[scope] * LOOK >= self._start_timeout:
                    self._give_up(scope)

    def _give_up(self, scope: str) -> None:
        why = f"no worker has served scope {scope!r} for {self._start_timeout:g} s"
        for host in self._hosts:
            if host.plan.scope == scope:
                host.give_up(why)

    async def fetch(self, part: Slice) -> list[Any]:
        """Return the entries of a slice.

        Raises:
            HostError: they are lost, or can't be read here.
        """
        if isinstance(part.batch, list):
            return part.batch[part.start : part.stop]
        entries: list[Any] = await had(part.batch)
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
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        if self._cluster is not None:
            await self._cluster.close()


@contextlib.contextmanager
def _packed(join: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Pack the folder that goes to the workers of a given cluster, without data.

    A cluster of our own is on this machine, where its workers find the folder itself.
    """
    folder = join["working_dir"]
    if folder is None or join["address"] is None or not os.path.isdir(folder):
        yield join
        return
    with tempfile.TemporaryDirectory(prefix="plumber-") as place:
        archive, wanted = Path(place, "graph.zip"), Path(place, "graph")
        pack(Path(folder), archive)
        shutil.unpack_archive(archive, wanted)
        yield {**join, "working_dir": wanted}
