"""The process of a host on Ray: an actor that takes batches as bytes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.engines.hosting import Host
from pipelines.engines.passage import Outcome
from pipelines.engines.slices import missing_places
from pipelines.engines.travel import dump, dump_outcome, load, load_host, pack, portable
from pipelines.errors import HostError, StepError

__all__ = ["Answer", "HostActor", "Layout", "Luggage", "place", "version"]

#: For each inbound edge which entries of which of the batches that are given: index, start, stop.
Layout = Sequence[Sequence[tuple[int, int, int]]]


@dataclass(frozen=True, slots=True)
class Luggage:
    """What the process of a host is started with.

    Attributes:
        host: of `travel.dump_host`.
        head: the host's head.
        outbound: how many edges lead away from it.
        path: folders from which this program imports, and its workers too, where they have them.
        version: of pipelines, that both must have.
    """

    host: bytes
    head: str
    outbound: int
    path: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back of a batch, beside its outputs.

    Attributes:
        outcome: of `travel.dump_outcome`.
        sizes: for each outbound edge how many entries there are, and where gap marks stand.
        state: of stateful steps behind it.
        process, place: which process has done it, and where that is.
    """

    outcome: bytes
    sizes: Sequence[tuple[int, tuple[int, ...]]]
    state: bytes | None
    process: str
    place: str


def version() -> str:
    """Return the version of pipelines that is installed here; empty where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pipelines")
    except PackageNotFoundError:
        return ""


def place() -> str:
    """Return the machine and the process that this is, for a person."""
    import ray

    context = ray.get_runtime_context()
    address = ray.util.get_node_ip_address()
    return f"{address} (node {context.get_node_id()[:8]}, pid {os.getpid()})"


class HostActor:
    """Runs a `Host` in the event loop of an actor.

    Errors of steps come back as data. What is raised here is Ray's matter: it starts another
    process and has it make the batch again.
    """

    def __init__(self, luggage: Luggage) -> None:
        import ray

        self._luggage = luggage
        self._host: Host | None = None
        self._closed = False
        self._opening = asyncio.Lock()
        self._calls: set[asyncio.Task[Any]] = set()
        self._name = uuid.uuid4().hex
        self._id = ray.get_runtime_context().get_actor_id()
        self._place = place()

    @property
    def _where(self) -> str:
        return f"On the host {self._place}"

    async def open(self) -> bytes:
        """Enter the steps; return what that raised, if it did, and who and where this is."""
        error: BaseException | None = None
        with self._under_way():
            try:
                await self._opened(succeeds=False)
            except asyncio.CancelledError:
                raise
            except BaseException as raised:
                error = portable(raised, self._where)
        return dump((error, self._id, self._name, self._place))

    @contextlib.contextmanager
    def _under_way(self) -> Iterator[None]:
        """Let `close` know of the call that this is."""
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        try:
            yield
        finally:
            self._calls.discard(task)

    async def _opened(self, succeeds: bool = True) -> Host:
        """Return the host, with its steps entered; only the first process was told to `open`."""
        async with self._opening:
            if self._closed:
                raise HostError("the host has been closed")
            if self._host is None:
                self._compare_versions()
                _find_modules(self._luggage.path)
                host = Host(load_host(self._luggage.host), succeeds)
                await host.open()
                self._host = host
            return self._host

    def _compare_versions(self) -> None:
        here, there = version(), self._luggage.version
        if here != there:
            raise HostError(
                f"the worker at {self._place} has pipelines {here or 'in a version unknown'}, and "
                f"the graph was started with {there or 'one unknown'}: install the same on both"
            )

    async def process(
        self, number: int, layout: Layout, state: bytes | None, *batches: bytes
    ) -> Any:
        """Take a batch through the nodes.

        Returns:
            An `Answer`, and for each outbound edge the entries: all as bytes.
        """
        with self._under_way():
            try:
                host = await self._opened()
                columns = self._columns(layout, batches)
                known = None if state is None else load(state)
                outcome = await host.process(number, columns, known)
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # of the steps' opening, say
                outcome = Outcome(error=error)
            return self._answer(outcome)

    def _columns(self, layout: Layout, batches: Sequence[bytes]) -> list[list[Any]]:
        try:
            whole = [load(each) for each in batches]
        except Exception as error:
            doing = "while items were taken out of their batch"
            raise StepError(self._luggage.head, None, error, doing=doing) from error
        return [
            [entry for index, start, stop in column for entry in whole[index][start:stop]]
            for column in layout
        ]

    def _answer(self, outcome: Outcome) -> Any:
        outputs: list[bytes] = []
        sizes: list[tuple[int, tuple[int, ...]]] = []
        state = None
        if outcome.error is None and self._host is not None:
            try:
                for edge, entries in zip(self._host.graph.outbound, outcome.outputs, strict=True):
                    outputs.append(pack(edge.source, entries))
                    sizes.append((len(entries), missing_places(entries)))
                state = _dump_state(outcome.state)
            except StepError as error:
                outcome.error = error
        outcome.outputs, outcome.state = [], None
        outputs += [b""] * (self._luggage.outbound - len(outputs))
        meta = dump_outcome(outcome, self._where)
        answer = dump(Answer(meta, sizes, state, self._name, self._place))
        return (answer, *outputs) if outputs else answer

    async def close(self, error: bytes) -> bytes:
        """End what is under way and exit the steps; return what that raised, if it did."""
        for task in self._calls:
            task.cancel()
        if self._calls:
            await asyncio.wait(self._calls)
        raised = None
        async with self._opening:
            self._closed = True
            host, self._host = self._host, None
            if host is not None:
                raised = await host.close(load(error))
        return dump(None if raised is None else portable(raised, self._where))


def _find_modules(path: Sequence[str]) -> None:
    """Import from the folders that the driver imports from, in its order."""
    there = [folder for folder in path if Path(folder).exists()]
    sys.path[:] = [*there, *(folder for folder in sys.path if folder not in there)]


def _dump_state(state: dict[str, Any] | None) -> bytes | None:
    for name, each in (state or {}).items():
        try:
            dump(each)
        except Exception as error:
            raise StepError(name, None, error, doing="while its state was kept") from error
    return None if state is None else dump(state)
