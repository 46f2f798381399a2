"""What a step is called with first: it sends items to other steps, and waits for room there."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, overload

from pipelines.edge import Edge
from pipelines.errors import shorten
from pipelines.frontends.decorators.definition import Definition, definition_of
from pipelines.processor import Processor
from pipelines.schedule import clock

if TYPE_CHECKING:
    from pipelines.frontends.decorators.run import Run

__all__ = ["APotato", "Potato", "Sender"]

_MISSING: Final = object()
_ONE: Final = "await p(target, [item, …])"
_SEVERAL: Final = "await p([(target, [item, …]), (other, [item, …])])"


class APotato(abc.ABC):
    """What a step gets as its first argument, for annotations, and for stand-ins in tests."""

    @overload
    async def __call__(self, target: Any, items: list[Any]) -> None: ...

    @overload
    async def __call__(self, target: list[tuple[Any, list[Any]]]) -> None: ...

    @abc.abstractmethod
    async def __call__(self, target: Any, items: Any = _MISSING) -> None:
        """Send items to a step, and wait until all lie in its buffer; to several, with a list.

        Args:
            target: a decorated function or class; or a list of pairs of such a one and its items.
            items: a list of any length.

        Raises:
            TypeError: `target` is no step, `items` no list, or the call that `p` belongs to has
                ended.
            GraphError: `target` leads here, so that the graph would run in a circle.
        """


class Potato(APotato):
    """What one call of a step sends with.

    Args:
        sender: that of its node.
        name: what the call is of, for messages.
    """

    def __init__(self, sender: Sender, name: str) -> None:
        self.sent = False
        self._sender = sender
        self._name = name
        self._open = True
        self._waiting: set[asyncio.Future[None]] = set()
        self._watch: asyncio.Timeout | None = None
        self._left: float | None = None

    async def __call__(self, target: Any, items: Any = _MISSING) -> None:
        """Send items to a step; see `APotato`."""
        self._check_open()
        addressed = [*_addressed(target, items)]  # all are looked at before any edge is made
        parcels = [
            Parcel(self._sender.edge_to(definition), list(each))
            for definition, each in addressed
            if each
        ]
        while parcels := [parcel for parcel in parcels if not self._push(parcel)]:
            await self._wait(parcels)
            self._check_open()
        await self._sender.breathe()

    def _push(self, parcel: Parcel) -> bool:
        """Send what there is room for; tell whether that is all."""
        count = self._sender.push(parcel)
        self.sent = self.sent or count > 0
        return parcel.position == len(parcel.items)

    async def _wait(self, parcels: list[Parcel]) -> None:
        """Wait until one of the targets may have room."""
        event = asyncio.get_running_loop().create_future()
        self._waiting.add(event)
        self._stop_watch()
        try:
            await self._sender.room([parcel.edge for parcel in parcels], event)
        finally:
            self._waiting.discard(event)
            self._go_on_watch()

    def _check_open(self) -> None:
        if not self._open:
            raise TypeError(
                f"the call of {self._name} that this p belongs to has ended: await all that it "
                "sends before it returns"
            )

    def close(self) -> None:
        """Be told that the call has ended: nothing more can be sent."""
        self._open = False
        for event in self._waiting:
            _wake(event)

    # The time that the call takes, less what it waits for others.

    @contextlib.asynccontextmanager
    async def limit(self, seconds: float | None) -> AsyncIterator[None]:
        """End what is done within after some seconds, those left out in which it waits for room.

        Raises:
            TimeoutError: it took longer.
        """
        watch = asyncio.timeout(seconds)
        self._watch = watch
        try:
            async with watch:
                yield
        except TimeoutError as error:
            if not watch.expired():
                raise
            raise TimeoutError(f"the call took longer than {seconds:g} s") from error
        finally:
            self._watch = None

    def _stop_watch(self) -> None:
        watch = self._watch
        if len(self._waiting) == 1 and watch is not None and (until := watch.when()) is not None:
            self._left = until - asyncio.get_running_loop().time()
            watch.reschedule(None)

    def _go_on_watch(self) -> None:
        if not self._waiting and self._watch is not None and self._left is not None:
            if not self._watch.expired():
                self._watch.reschedule(asyncio.get_running_loop().time() + self._left)
            self._left = None


@dataclass(slots=True)
class Parcel:
    """Items on their way to one step, those before `position` sent."""

    edge: Edge
    items: list[Any]
    position: int = 0


class Sender:
    """Sends what the calls of one node send, each value over one edge.

    Args:
        run: the run.
        node: the node.
    """

    def __init__(self, run: Run, node: Processor) -> None:
        self._run = run
        self._node = node
        self._edges: dict[Definition, Edge] = {}
        self._waiting = 0
        self._since = 0.0
        node.outlet.steer()

    def edge_to(self, definition: Definition) -> Edge:
        """Return the edge that leads to a step, a new one the first time.

        Raises:
            GraphError: it would close a circle.
            TypeError: the step does not take the pipeline's arguments.
        """
        if definition not in self._edges:
            self._edges[definition] = self._run.connect(self._node, definition)
        return self._edges[definition]

    def push(self, parcel: Parcel) -> int:
        """Send as many items of a parcel as there is room for; return how many."""
        edge = parcel.edge
        # The buffer is the step's, whoever has filled it.
        waiting = sum(len(each.items) for each in edge.inlet.edges)
        room = len(parcel.items) if edge.abandoned else max(0, edge.maxsize - waiting)
        values = parcel.items[parcel.position : parcel.position + room]
        parcel.position += len(values)
        if values:
            self._node.outlet.send(edge, values)
            self._node.count_sent(len(values))
        return len(values)

    async def room(self, edges: list[Edge], event: asyncio.Future[None]) -> None:
        """Wait for an event, which is brought about when one of the edges may have room."""
        outlet, wakeup = self._node.outlet, functools.partial(_wake, event)
        outlet.arm_for(edges, wakeup)
        self._block()
        try:
            await event
        finally:
            outlet.disarm(wakeup)
            self._unblock()

    def _block(self) -> None:
        self._waiting += 1
        if self._waiting == 1:
            self._node.state = "blocked"
            self._since = clock()

    def _unblock(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._node.state = "running"
            self._node.blocked += clock() - self._since

    async def breathe(self) -> None:
        """Let others go on where this node has held the event loop for long."""
        schedule = self._node.schedule
        while clock() > schedule.deadline:
            await schedule.breath()


def _wake(event: asyncio.Future[None]) -> None:
    if not event.done():
        event.set_result(None)


def _addressed(target: Any, items: Any) -> Iterator[tuple[Definition, list[Any]]]:
    """Read what a p was called with: each step, and what it is sent.

    Raises:
        TypeError: that is neither of the two forms.
    """
    if items is not _MISSING:
        yield _target(target), _items(items)
        return
    if not isinstance(target, list | tuple):
        raise TypeError(f"the items are missing: write {_ONE}")
    for pair in target:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise TypeError(f"{shorten(pair, 60)} is no pair of a step and its items: {_SEVERAL}")
    for step, each in target:
        yield _target(step), _items(each)


def _target(target: Any) -> Definition:
    found = definition_of(target)
    if found is not None and found.kind != "entry_point":
        return found
    name = getattr(target, "__qualname__", None) or shorten(target, 60)
    if found is not None:
        raise TypeError(f"{name} is an entry point, and nothing can be sent there: {_ONE}")
    if definition_of(type(target)) is not None:
        kind = type(target).__qualname__
        raise TypeError(f"send to the class {kind} itself, not to an instance of it: {_ONE}")
    hint = "decorate it with @step, above all its other decorators"
    raise TypeError(f"{name} is no step: {hint}, and write {_ONE}")


def _items(items: Any) -> list[Any]:
    if not isinstance(items, list):
        what = shorten(items, 60)
        raise TypeError(f"items are sent as a list, not as {what}: write {_ONE}")
    return items
