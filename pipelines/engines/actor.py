"""The process of a host on Ray: an actor that takes batches as bytes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.engines.hosting import Host
from pipelines.engines.passage import Outcome
from pipelines.engines.slices import missing_places
from pipelines.engines.travel import dump, dump_outcome, load, load_host, pack, portable
from pipelines.errors import StepError

__all__ = ["HostActor", "Layout", "place"]

#: For each inbound edge which entries of which of the batches that are given: index, start, stop.
Layout = Sequence[Sequence[tuple[int, int, int]]]


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

    Args:
        data: of `travel.dump_host`.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._host: Host | None = None
        self._opening = asyncio.Lock()
        self._name = uuid.uuid4().hex
        self._place = place()

    async def open(self) -> bytes:
        """Enter the steps; return what that raised, if it did, and where this is."""
        error: BaseException | None = None
        try:
            await self._opened()
        except Exception as raised:
            error = portable(raised, self._where)
        return dump((error, self._name, self._place))

    async def _opened(self) -> Host:
        async with self._opening:
            if self._host is None:
                host = Host(load_host(self._data))
                await host.open()
                self._host = host
            return self._host

    @property
    def _where(self) -> str:
        return f"On the host {self._place}"

    async def process(
        self, number: int, layout: Layout, state: bytes | None, *batches: bytes
    ) -> tuple[Any, ...]:
        """Take a batch through the nodes.

        Returns:
            The outcome and the name of this process; the state behind it; and for each outbound
            edge the entries: all as bytes.
        """
        try:
            host = await self._opened()
            columns = _columns(layout, batches)
            outcome = await host.process(number, columns, None if state is None else load(state))
        except Exception as error:  # of the steps' opening, say
            outcome = Outcome(error=error)
        return self._answer(outcome)

    def _answer(self, outcome: Outcome) -> tuple[Any, ...]:
        assert self._host is not None or outcome.error is not None
        outputs, sizes = [], []
        outbound = () if self._host is None else self._host.graph.outbound
        try:
            for edge, entries in zip(outbound, outcome.outputs, strict=True):
                outputs.append(pack(edge.source, entries))
                sizes.append((len(entries), missing_places(entries)))
            state = None if outcome.state is None else self._dump_state(outcome.state)
        except (StepError, ValueError) as error:
            outcome.error = outcome.error or error
            outputs, state = [], None
        outcome.outputs, outcome.state = [], None
        outputs += [b""] * (len(outbound) - len(outputs))
        meta = dump_outcome(outcome, self._where)
        return (dump((meta, sizes, self._name, self._place)), state, *outputs)

    @staticmethod
    def _dump_state(state: dict[str, Any]) -> bytes:
        for name, each in state.items():
            with _named(name):
                dump(each)
        return dump(state)

    async def close(self, error: bytes) -> bytes:
        """Exit the steps; return what that raised, if it did."""
        raised = None
        if self._host is not None:
            raised = await self._host.close(load(error))
        return dump(None if raised is None else portable(raised, self._where))


@contextlib.contextmanager
def _named(node: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise StepError(node, None, error, doing="while its state was kept") from error


def _columns(layout: Layout, batches: Sequence[bytes]) -> list[list[Any]]:
    whole = [load(each) for each in batches]
    return [
        [entry for index, start, stop in column for entry in whole[index][start:stop]]
        for column in layout
    ]
