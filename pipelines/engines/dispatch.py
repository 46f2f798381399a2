"""The driver's node for a host: sends it batches, and what comes back on to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines.edge import GAP, Outlet
from pipelines.engines.board import Board
from pipelines.engines.intake import Intake, Parcel
from pipelines.engines.passage import HostGraph, Outcome
from pipelines.engines.plan import HostPlan
from pipelines.engines.slices import SliceEdge
from pipelines.engines.tally import Tally
from pipelines.engines.transport import Remote, Reply, Transport
from pipelines.errors import StepError
from pipelines.metrics import HostCounts, NodeCounts
from pipelines.processor import Processor
from pipelines.schedule import clock
from pipelines.spec import NodeSpec, Properties
from pipelines.step import Shape
from pipelines.streams import Link

__all__ = ["Dispatch"]

#: Batches that may be under way in one process, however small they are.
MOST = 500


@dataclass(slots=True, eq=False)
class _Call:
    """One batch that is under way, or done and not yet sent on."""

    parcel: Parcel
    replica: _Replica
    task: asyncio.Task[Reply]


class _Replica:
    """One process of the host, and what it has in hand.

    Attributes:
        calls, entries: how much that is.
        number: of the next batch.
        state: of stateful steps behind the last batch.
    """

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.calls = 0
        self.entries = 0
        self.number = 0
        self.state: Any = None


class Dispatch(Processor):
    """Runs a host's nodes elsewhere.

    At most `window` batches are under way in a process, or as many as give its nodes the items that
    they may have in flight. Results go on in the order of the batches, once there is room for them.

    Args:
        plan, graph: the host.
        transport: where its processes run.
        window: batches that may be under way in a process whatever its nodes do.
        board: says when it is this host's turn, where hosts have priorities.
        rank: its place there.
        inlet, outlet, common: what every `Processor` takes.
    """

    def __init__(
        self,
        plan: HostPlan,
        graph: HostGraph,
        transport: Transport,
        *,
        window: int = 2,
        board: Board | None = None,
        rank: tuple[int, int, int] = (0, 0, 0),
        inlet: Intake,
        outlet: Outlet,
        **common: Any,
    ) -> None:
        shape = Shape(is_async=True)
        spec = NodeSpec(plan.head)
        super().__init__(
            spec, Properties(), target=None, shape=shape, inlet=inlet, outlet=outlet, **common
        )
        self.plan = plan
        self.own_loop = self._run
        self.dropped: dict[Link, int] = {}
        self._intake = inlet
        self._graph = graph
        self._transport = transport
        self._window = window
        self._board = board
        self._rank = rank
        self._share = min(1.0, inlet.size / plan.window)
        self._tallies = {name: Tally(name) for name in plan.spec.nodes}
        self._replicas: list[_Replica] = []
        self._calls: list[_Call] = []
        self._event: asyncio.Future[None] | None = None
        self._paused = False

    # What it counts.

    def tallies(self) -> dict[str, NodeCounts]:
        """Return the counters of all its nodes; what is under way is with the head."""
        failed = [name for name, tally in self._tallies.items() if tally.failed]
        state = "stopped" if self.state == "failed" else self.state
        counts = {name: replace(t.counts(), state=state) for name, t in self._tallies.items()}
        for name in failed:
            counts[name] = replace(counts[name], state="failed")
        under_way = sum(call.parcel.items for call in self._calls)
        head = counts[self.name]
        counts[self.name] = replace(
            head,
            received=head.received + under_way,
            in_flight=head.in_flight + under_way,
            dropped=head.dropped + sum(edge.dropped for edge in self.outlet.edges),
            starved=self.starved,
            blocked=self.blocked,
        )
        return counts

    def hosts(self) -> dict[str, HostCounts]:
        """Return what is known of its processes, by name."""
        several = len(self._replicas) > 1
        return {
            f"{self.plan.name}#{index}" if several else self.plan.name: replica.remote.counts()
            for index, replica in enumerate(self._replicas)
        }

    # Beginning and ending.

    async def enter(self) -> None:
        """Start the processes, which enter the steps."""
        starts = [
            asyncio.ensure_future(self._transport.start(self.plan, self._graph, index))
            for index in range(self.plan.replicas)
        ]
        try:
            await _outlast(starts)
        finally:  # those that have started are to be ended, also where others have not
            well = [each for each in starts if not each.cancelled() and not each.exception()]
            self._replicas = [_Replica(each.result()) for each in well]
        for each in starts:
            each.result()

    async def exit(self, error: BaseException | None) -> None:
        """Exit the steps and end the processes.

        Raises:
            PipelinesError: the exit of a step raised.
        """
        ends = [asyncio.ensure_future(each.remote.close(error)) for each in self._replicas]
        for raised in await asyncio.gather(*ends):
            if raised is not None:
                raise raised

    # The loop.

    async def _run(self, split: object) -> None:
        try:
            while not self.outlet.deserted:
                self._check()
                if await self._deliver() or self._send():
                    continue
                if not self._calls and self._intake.ended:
                    return
                await self._wait()
        finally:
            if self._board is not None:
                self._board.leave(self._rank)
            await self._abandon()

    def _send(self) -> bool:
        """Send the next batch; tell whether there was one and a process to take it."""
        replica = min(self._replicas, key=lambda each: each.entries)
        if not self._has_room(replica):
            return False
        if self._board is not None and not self._board.take(self._rank, self._share, self._wake):
            return False
        parcel = self._intake.take_parcel(eager=not replica.calls)
        if parcel is None:
            if self._board is not None:
                self._board.give_back(self._share)
            return False
        self._begin(parcel, replica)
        return True

    def _has_room(self, replica: _Replica) -> bool:
        if self.plan.stateful:
            return not replica.calls
        return replica.calls < self._window or (
            replica.calls < MOST and replica.entries < self.plan.window
        )

    def _begin(self, parcel: Parcel, replica: _Replica) -> None:
        work = replica.remote.process(replica.number, parcel, replica.state)
        task = self.schedule.loop.create_task(work)
        task.add_done_callback(self._ended)
        self._calls.append(_Call(parcel, replica, task))
        replica.number += 1
        replica.calls += 1
        replica.entries += parcel.entries

    def _ended(self, task: asyncio.Task[Reply]) -> None:
        if not task.cancelled():
            task.exception()  # of several that fail one is told, and nobody misses the others
        if self._board is not None:
            self._board.give_back(self._share)
        self._wake()

    def _check(self) -> None:
        """Raise what a batch has failed with, also where those before it are under way still."""
        for call in self._calls:
            if call.task.done() and not call.task.cancelled():
                error = call.task.exception() or call.task.result().outcome.error
                if error is not None:
                    self._calls.remove(call)
                    self._account(call)
                    raise error

    async def _deliver(self) -> bool:
        """Send on what came of the next batch, if it is done and there is room."""
        call = self._next_done()
        if call is None or (self.outlet.edges and self.outlet.room() <= 0):
            return False
        reply = self._account(call)
        for letter in reply.outcome.letters:
            await self._write(letter)
        self._put_up_with(reply.outcome)
        origin, receipts = call.parcel.origin, call.parcel.receipts
        for edge, part in zip(self.outlet.edges, reply.outputs, strict=True):
            if isinstance(edge, SliceEdge):
                if len(part):
                    made = replace(part, origin=origin, receipts=receipts)
                    made.hold()
                    edge.accept(made)
                continue
            for entry in await self._transport.fetch(part):
                edge.add_gap() if entry is GAP else edge.accept(entry)
        for part in call.parcel.parts:
            part.release()
        self._calls.remove(call)
        call.replica.calls -= 1
        call.replica.entries -= call.parcel.entries
        call.replica.state = reply.state
        if self.outlet.hungry:
            self.outlet.feed()
        return True

    def _next_done(self) -> _Call | None:
        """Return the batch whose results go on next, if it is done."""
        candidates = self._calls[:1] if self.plan.ordered else self._calls
        return next((call for call in candidates if call.task.done()), None)

    def _account(self, call: _Call) -> Reply:
        """Add up what a batch has counted."""
        reply = call.task.result()
        for name, counts in reply.outcome.nodes.items():
            self._tallies[name].add(counts)
        for link, dropped in reply.outcome.dropped.items():
            self.dropped[link] = self.dropped.get(link, 0) + dropped
        return reply

    async def _write(self, letter: dict[str, Any]) -> None:
        assert self._bury is not None
        try:
            await self._bury(letter)
        except Exception as error:
            doing = "and a dead letter could not be written"
            raise StepError(letter["node"], letter["item"], error, doing=doing) from error

    def _put_up_with(self, outcome: Outcome) -> None:
        """Count tolerated failures, as long as the run allows them."""
        for name, count in outcome.tolerated.items():
            tally = self._tallies[name]
            for _ in range(count):
                tally.tolerated += 1
                self.tolerance.add(tally)

    def end_stream(self) -> None:
        for tally in self._tallies.values():
            self.tolerance.check(tally)
        super().end_stream()

    # Waiting.

    async def _wait(self) -> None:
        """Wait until a batch is done, until more has come, or until there is room."""
        self._event = self.schedule.loop.create_future()
        blocked = self._next_done() is not None
        under_way = any(not call.task.done() for call in self._calls)
        if blocked:
            self.outlet.arm(self._wake)
        if any(self._has_room(each) for each in self._replicas):
            self._intake.arm(self._wake)
        self.state = "running" if under_way else "blocked" if blocked else "waiting"
        began = clock()
        self._paused = not under_way
        if self._paused:
            self.schedule.pause()
        try:
            await self._event
        finally:
            self._event = None
            self._intake.disarm()
            self.outlet.disarm(self._wake)
            self._count_wait(clock() - began)
            self.state = "running"

    def _count_wait(self, seconds: float) -> None:
        if self.state == "blocked":
            self.blocked += seconds
        elif self.state == "waiting":
            self.starved += seconds

    def _wake(self) -> None:
        event = self._event
        if event is None or event.done():
            return
        if self._paused:
            self.schedule.wake(event)
        else:
            event.set_result(None)

    async def _abandon(self) -> None:
        """End what is under way: the run is over, or nobody wants the results."""
        tasks = [call.task for call in self._calls if not call.task.done()]
        for task in tasks:
            task.cancel()
        await _outlast(tasks)


async def _outlast(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Wait until all have ended; a cancellation is passed on to them, and raised behind that.

    A run that is to end cancels its nodes again and again.
    """
    cancelled: asyncio.CancelledError | None = None
    while pending := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError as error:
            for task in pending if cancelled is None else ():
                task.cancel()
            cancelled = error
    if cancelled is not None:
        raise cancelled
