"""Durable edges: what is sent over one lies in Redis until all that comes of it has had its effect.

A run that is killed leaves the batches there that were under way. The next run of the same graph
goes on with them, and leaves out of its sources what has been kept already; so a source must give
the same items again, in the same order, or none of those that it gave before.
"""

from __future__ import annotations

import asyncio
import functools
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pipelines.durable import Batch, Log
from pipelines.edge import Outlet
from pipelines.engines.intake import Intake
from pipelines.engines.receipts import Origin, Receipt
from pipelines.engines.slices import Slice, SliceEdge
from pipelines.engines.transport import Transport
from pipelines.inlet import Inlet
from pipelines.metrics import EdgeCounts
from pipelines.processor import Processor
from pipelines.spec import NodeSpec, Properties
from pipelines.step import Shape

__all__ = ["Keeper", "Packer"]


class _Driven(Processor):
    """A node of the driver's own, between the graph's."""

    def __init__(self, name: str, **common: Any) -> None:
        shape = Shape(is_async=True)
        super().__init__(NodeSpec(name), Properties(), target=None, shape=shape, **common)
        self._moved = asyncio.Event()

    async def enter(self) -> None:
        """Need nothing."""

    async def exit(self, error: BaseException | None) -> None:
        """Leave nothing."""

    async def _send(self, part: Slice) -> None:
        """Send a slice on, once there is room."""
        while self.outlet.room() <= 0:
            if self.outlet.deserted:
                part.release()
                return
            self._moved.clear()
            self.outlet.arm(self._moved.set)
            await self._moved.wait()
        for edge in self.outlet.edges:
            part.hold()
            edge.accept(part)
        part.release()
        if self.outlet.hungry:
            self.outlet.feed()


class Packer(_Driven):
    """Makes batches of a source's items, each known by its place among them.

    Args:
        name: what no node is called.
        root: the source's name.
        keepers: the durable edges that keep batches of this source.
        skips: leave out what all of them have kept; a source that goes on by itself gives none of
            that.
        goes_on: the source goes on by itself where it was.
        inlet, outlet, common: what every `Processor` takes.
    """

    def __init__(
        self,
        name: str,
        root: str,
        keepers: Sequence[Keeper],
        *,
        skips: bool,
        goes_on: bool,
        inlet: Intake,
        outlet: Outlet,
        **common: Any,
    ) -> None:
        super().__init__(name, inlet=inlet, outlet=outlet, **common)
        self.own_loop = self._run
        self.skipped = 0
        self._intake = inlet
        self._root = root
        self._keepers = keepers
        self._skips = skips
        self._goes_on = goes_on

    async def _run(self, split: object) -> None:
        kept = sorted({keeper.kept(self._root) for keeper in self._keepers} or {0})
        position = kept[-1] if self._goes_on else 0
        start = kept[0] if self._skips else 0
        while not self.outlet.deserted:
            idle = not any(edge.items for edge in self.outlet.edges)
            parcel = self._intake.take_parcel(eager=idle)
            if parcel is None:
                if self._intake.ended:
                    return
                await self._wait()
                continue
            for part in parcel.parts:
                for piece in _cut_at(kept, position, part):
                    origin = Origin(self._root, position, position + len(piece))
                    position = origin.last
                    if origin.last <= start:
                        self.skipped += piece.items
                    else:
                        await self._send(replace(piece, origin=origin))

    async def _wait(self) -> None:
        """Wait until more has come, or something has been taken on."""
        self._moved.clear()
        self._intake.arm(self._moved.set)
        self.outlet.arm(self._moved.set)
        await self._moved.wait()
        self.outlet.disarm(self._moved.set)


def _cut_at(places: Sequence[int], position: int, part: Slice) -> Iterator[Slice]:
    """Cut a slice, the first entry of which has a position, at places that lie in it."""
    for place in places:
        if position < place < position + len(part):
            first, part = part.split(place - position)
            yield first
            position = place
    yield part


class Keeper(_Driven):
    """A durable edge: appends what comes to its log, and sends on what is read from there.

    What was sent on is acknowledged once it has had its effect, which may be after this node has
    ended: until `close`.

    Args:
        name: what no node is called.
        log: the edge's.
        root: what the log is called as the origin of slices.
        transport: makes bytes of slices.
        inlet, outlet, common: what every `Processor` takes; one edge each.

    Attributes:
        duplicates: items that came again and were there already.
    """

    def __init__(
        self,
        name: str,
        log: Log,
        root: str,
        transport: Transport,
        *,
        inlet: Inlet,
        outlet: Outlet,
        **common: Any,
    ) -> None:
        super().__init__(name, inlet=inlet, outlet=outlet, **common)
        self.own_loop = self._run
        self.duplicates = 0
        self._log = log
        self._root = root
        self._transport = transport
        self._effected: asyncio.Queue[Batch | None] = asyncio.Queue()
        self._acknowledging: asyncio.Task[None] | None = None

    def counted(self, edge: EdgeCounts) -> EdgeCounts:
        """Return the counters of the edge behind the log, with those of the log."""
        return replace(edge, duplicates=self.duplicates, redelivered=self._log.redelivered)

    def kept(self, root: str) -> int:
        """Return the position in a root up to which all is in the log, or was."""
        return self._log.kept.get(root, 0)

    async def enter(self) -> None:
        """Open the log."""
        await self._log.open()
        self._acknowledging = asyncio.create_task(self._acknowledge())

    async def close(self, finished: bool) -> None:
        """Acknowledge what has had its effect, and close the log.

        Args:
            finished: the run has ended well and by itself: nothing needs to be left there.
        """
        if self._acknowledging is None:
            return
        acknowledging, self._acknowledging = self._acknowledging, None
        self._effected.put_nowait(None)
        try:
            await acknowledging
        finally:
            await self._log.close(finished)

    async def _acknowledge(self) -> None:
        while (batch := await self._effected.get()) is not None:
            await self._log.ack(batch)

    async def _run(self, split: object) -> None:
        tasks = [asyncio.create_task(work()) for work in (self._write, self._read)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _write(self) -> None:
        """Append all that comes and is not there already."""
        assert self.inlet is not None
        (edge,) = self.inlet.edges
        assert isinstance(edge, SliceEdge)
        came = asyncio.Event()
        while not self.inlet.ended:
            if not edge.items:
                came.clear()
                self.inlet.arm(came.set)
                await came.wait()
                continue
            part = edge.pop()
            if self.inlet.wanted:
                self.inlet.release()
            await self._append(part)
            part.release()
        self._log.finish()

    async def _append(self, part: Slice) -> None:
        origin = part.origin
        assert origin is not None
        if origin.last <= self.kept(origin.root):
            self.duplicates += part.items
            return
        data = pickle.dumps((part.missing, await self._transport.dump(part)))
        up_to = (origin.root, origin.last)
        await self._log.append(self._log.written, len(part), data, up_to)

    async def _read(self) -> None:
        """Send on what lies in the log, that of an earlier run first."""
        while (batch := await self._log.read()) is not None:
            missing, data = pickle.loads(batch.data)
            receipt = Receipt(functools.partial(self._effected.put_nowait, batch))
            origin = Origin(self._root, batch.first, batch.first + batch.count)
            stored = await self._transport.load(data)
            await self._send(Slice(stored, 0, batch.count, missing, origin, (receipt,)))
