"""The ways into a node: over one edge, several joined or merged, in batches, or from an iterator.

Each gives the loops the same thing: `ready` says how many entries can be popped from `items`.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pipelines.edge import GAP, Edge, Wakeup
from pipelines.errors import JoinError, PipelinesError
from pipelines.schedule import Schedule, clock
from pipelines.spec import Batch

#: Seconds after which an iterator has been asked for enough items at a time.
ENOUGH = 0.001

#: Items that a quick iterator is asked for at first; one that turns slow has them looked at late.
PIECE = 32

__all__ = ["BatchInlet", "Inlet", "JoinInlet", "MergeInlet", "SourceInlet", "Wrapping"]


class Inlet:
    """A node's way in over one edge; the other kinds of way in derive from it.

    Attributes:
        edges: the inbound edges, in the order of a join's row.
        items: where the loops pop from, after `ready` said how many there are.
        gapped: whether `items` may hold gap marks at all.
        wanted: some producer waits for room; after popping call `release`.
        external: items come from outside the graph, so that waiting for one is no stall.
        earlier: entries that came over edges that have gone or were counted anew; see `audit`.
    """

    __slots__ = ("_wakeup", "earlier", "edges", "gapped", "items", "wanted")

    external = False

    #: Seconds spent in the user's code to make the items.
    seconds = 0.0

    def __init__(self, edges: Sequence[Edge]) -> None:
        self.edges = tuple(edges)
        self.gapped = any(edge.gapped for edge in self.edges)
        self.items: deque[Any] = self.edges[0].items
        self.wanted = False
        self.earlier = 0
        self._wakeup: Wakeup | None = None
        for edge in self.edges:
            edge.inlet = self

    def lead(self, edges: Sequence[Edge]) -> None:
        """Take from other edges from now on, as many as before where they are paired.

        What is taken from one edge alone lies in a queue that the loops know: the edge gets that.
        """
        if self.items is self.edges[0].items:
            edges[0].items = self.items
        self.edges = tuple(edges)
        self.gapped = any(edge.gapped for edge in edges)
        for edge in edges:
            edge.inlet = self

    @property
    def gaps(self) -> int:
        """How many of `items` are gap marks."""
        return self.edges[0].gaps

    @property
    def ended(self) -> bool:
        """Whether doomsday has come: nothing is left and nothing will come."""
        return self.edges[0].closed and not self.items

    @property
    def queued(self) -> int:
        """How many items were taken from the edges and not yet by the node."""
        return 0

    @property
    def dropped(self) -> int:
        """How many rows were given up."""
        return 0

    @property
    def filled(self) -> int:
        """How many gaps of rows became `None`."""
        return 0

    @property
    def width(self) -> int:
        """How many edges' entries make up one of `items`."""
        return 1

    @property
    def merge(self) -> MergeInlet | None:
        """The part that can take in another edge while the node runs, if there is one."""
        return None

    def ready(self, limit: int) -> int:
        """Return how many entries can be popped from `items`, at least up to `limit`."""
        return len(self.items)

    def backlog(self) -> int:
        """Return how many entries there are to take, those in the edges too."""
        return len(self.items)

    def dry(self) -> bool:
        """Tell whether there is nothing but more to come, where that takes no looking around."""
        return type(self) is Inlet and not self.items and not self.edges[0].closed

    def take(self, count: int) -> list[Any]:
        """Pop `count` entries that `ready` said are there, none of them a gap mark."""
        items = self.items
        if count == len(items):
            # All at once in C: a third of the time that popping each takes.
            taken = list(items)
            items.clear()
        else:
            pop = items.popleft
            taken = [pop() for _ in range(count)]
        if self.wanted:
            self.release()
        return taken

    def give_back(self, entries: Sequence[Any]) -> None:
        """Put entries that were taken, and not used, back where they were."""
        self.items.extendleft(reversed(entries))

    def run(self, count: int) -> int:
        """Return how many of the next `count` entries stand before the first gap mark."""
        for index, entry in enumerate(itertools.islice(self.items, count)):
            if entry is GAP:
                return index
        return count

    def pop_gap(self) -> None:
        """Pop the gap mark that stands first."""
        self.items.popleft()
        self.edges[0].gaps -= 1
        if self.wanted:
            self.release()

    def release(self) -> None:
        """Tell the producers that wait for room and now have some."""
        self.wanted = False
        for edge in self.edges:
            if edge.wanted:
                if len(edge.items) < edge.maxsize:
                    edge.wanted = False
                    edge.outlet.roomier()
                # roomier may let a producer go on that fills another edge and wants room there
                self.wanted = self.wanted or edge.wanted

    def arm(self, wakeup: Wakeup) -> None:
        """Have `wakeup` called once as soon as something is ready or the stream ends."""
        self._wakeup = wakeup
        for edge in self.edges:
            if not edge.items and not edge.closed:
                edge.hungry = edge.outlet.hungry = True

    def disarm(self) -> None:
        """Forget the wakeup."""
        self._wakeup = None

    def rouse(self) -> None:
        """Have who waits for an item look again at why it waits."""
        wakeup, self._wakeup = self._wakeup, None
        if wakeup is not None:
            wakeup()

    #: Be told by an edge that was empty that it has an item.
    arrived = rouse

    def ending(self) -> None:
        """Be told by an edge that it was closed."""
        self.rouse()

    def abandon(self) -> None:
        """Give up all that is and will be sent here, and let those who wait to send go on."""
        for edge in self.edges:
            if edge.items or not edge.closed:
                edge.outlet.abandon(edge)


class MergeInlet(Inlet):
    """A way in that takes from several edges in turn, as items come.

    Attributes:
        held: called when nothing is left and when an edge ends, as long as the node must not end
            because it may yet gain an edge; see `hold`.
    """

    __slots__ = ("_next", "held")

    def __init__(self, edges: Sequence[Edge]) -> None:
        super().__init__(edges)
        self.items = deque()
        self.held: Wakeup | None = None
        self._next = 0

    @property
    def merge(self) -> MergeInlet:
        return self

    def gain(self, edge: Edge) -> None:
        """Take in one more edge."""
        edge.inlet = self
        self.edges = (*self.edges, edge)
        if self._wakeup is not None:
            edge.hungry = edge.outlet.hungry = True

    def hold(self, idle: Wakeup) -> None:
        """Don't end with the last edge, but go on waiting until `let_go`.

        Args:
            idle: called whenever the node may have nothing left to do.
        """
        self.held = idle

    def let_go(self) -> None:
        """End as usual, at once where all edges have."""
        self.held = None
        self.rouse()

    def arm(self, wakeup: Wakeup) -> None:
        super().arm(wakeup)
        if self.held is not None:
            self.held()

    def ending(self) -> None:
        super().ending()
        if self.held is not None:
            self.held()

    @property
    def gaps(self) -> int:
        return 0

    @property
    def ended(self) -> bool:
        over = all(edge.closed and not edge.items for edge in self.edges)
        return over and not self.items and self.held is None

    @property
    def queued(self) -> int:
        return len(self.items)

    def ready(self, limit: int) -> int:
        if not self.items:
            self._gather(limit)
        return len(self.items)

    def backlog(self) -> int:
        return len(self.items) + sum([len(edge.items) for edge in self.edges])

    def _gather(self, limit: int) -> None:
        """Take an equal share from each edge that has something, another one first each time."""
        count = len(self.edges)
        filled = [
            edge
            for edge in (self.edges[(self._next + offset) % count] for offset in range(count))
            if edge.items
        ]
        self._next = (self._next + 1) % count
        for edge in filled:
            share = min(len(edge.items), max(1, limit // len(filled)))
            self.items.extend(edge.take(share))
            if len(self.items) >= limit:
                break
        if self.wanted:
            self.release()


class JoinInlet(Inlet):
    """A way in that pairs its edges by position: one row for each place in the stream.

    Args:
        edges: in the order of the row.
        node: the node's name, for messages.
        on_missing: what becomes of a row with a gap, and of a stream that is longer than another:
            ``drop``, ``none`` (the gap becomes `None`), ``fail``, or `None`: drop the row, but fail
            at unequal lengths.

    """

    __slots__ = ("_dropped", "_filled", "_gaps", "_missing", "_node", "_on_missing", "_open")

    def __init__(self, edges: Sequence[Edge], node: str, on_missing: str | None) -> None:
        super().__init__(edges)
        self.items = deque()
        self._dropped = 0
        self._filled = 0
        self._gaps = 0
        self._missing = 0
        self._open = sum(not edge.closed for edge in self.edges)
        self._node = node
        self._on_missing = on_missing

    def lead(self, edges: Sequence[Edge]) -> None:
        super().lead(edges)
        self._open = sum(not edge.closed for edge in edges)

    @property
    def gaps(self) -> int:
        return self._gaps

    @property
    def queued(self) -> int:
        return (len(self.items) - self._gaps) * len(self.edges)

    @property
    def dropped(self) -> int:
        return self._dropped

    @property
    def filled(self) -> int:
        return self._filled

    @property
    def width(self) -> int:
        return len(self.edges)

    @property
    def ended(self) -> bool:
        """Whether no further row can come; decides what becomes of streams of unequal length."""
        if self.items or not any(edge.closed and not edge.items for edge in self.edges):
            return False
        if all(edge.closed and not edge.items for edge in self.edges):
            return True
        return self._on_missing != "none" and self._end_unequal()

    def _end_unequal(self) -> bool:
        """Handle one stream's end before another's: drop the rest, or fail once it is sure."""
        longer = [edge for edge in self.edges if edge.items]
        if self._on_missing == "drop":
            return True
        if longer:
            ended = [edge.source for edge in self.edges if edge.closed and not edge.items]
            more = ", ".join(f"{edge.source!r} has {len(edge.items)} more" for edge in longer)
            raise JoinError(
                f"node {self._node!r} can't pair its inputs: {', '.join(map(repr, ended))} ended "
                f"while {more}. Set properties.join.on_missing to drop or none."
            )
        return False

    def ready(self, limit: int) -> int:
        if not self.items and (count := self._count_rows()):
            self._pair(min(count, limit))
        return len(self.items)

    def backlog(self) -> int:
        return len(self.items) + self._count_rows()

    def _count_rows(self) -> int:
        """Count the rows that the edges hold."""
        if self._on_missing != "none":
            return min([len(edge.items) for edge in self.edges])
        # An ended stream goes on as gaps.
        live = [len(edge.items) for edge in self.edges if edge.items or not edge.closed]
        return min(live, default=0)

    def _pair(self, count: int) -> None:
        gapped = any(edge.gaps for edge in self.edges)
        columns = [
            edge.take(count) if edge.items else [GAP] * count  # only an ended one, under "none"
            for edge in self.edges
        ]
        rows: Iterable[Any] = zip(*columns, strict=True)
        if gapped or self._on_missing == "none":
            rows = map(self._mend, rows)
        self.items.extend(rows)
        if self.wanted:
            self.release()

    def _mend(self, row: tuple[Any, ...]) -> Any:
        """Return what the node gets for a row that may have gaps."""
        missing = [entry is GAP for entry in row]
        if not any(missing):
            return row
        if all(missing):
            # The item went missing before the streams parted, or in every branch: there is no row.
            self._gaps += 1
            return GAP
        if self._on_missing == "none":
            self._filled += sum(missing)
            return tuple([None if entry is GAP else entry for entry in row])
        if self._on_missing == "fail":
            nodes = [edge.source for edge, gone in zip(self.edges, missing, strict=True) if gone]
            raise JoinError(
                f"node {self._node!r} got an incomplete row: nothing came from "
                f"{', '.join(map(repr, nodes))} (properties.join.on_missing is fail)"
            )
        self._dropped += 1
        for edge, gone in zip(self.edges, missing, strict=True):
            edge.dropped += not gone
        self._gaps += 1
        return GAP

    def pop_gap(self) -> None:
        self.items.popleft()
        self._gaps -= 1

    def arm(self, wakeup: Wakeup) -> None:
        super().arm(wakeup)
        self._missing = sum(edge.hungry for edge in self.edges)

    def arrived(self) -> None:
        # Counted, not looked up: with a thousand edges each would look at all the others.
        self._missing -= 1
        if self._missing <= 0 or self._open < len(self.edges):
            self.rouse()

    def ending(self) -> None:
        self._open -= 1
        if self._wakeup is None:
            return  # with a thousand edges looking at all of them each time takes longer than a run
        waits_for_all = self._on_missing in (None, "fail")
        if not self._open or not waits_for_all or any(edge.items for edge in self.edges):
            self.rouse()


class SourceInlet(Inlet):
    """A way in from an iterator, and from `put`.

    Args:
        iterator: what to take items from; an error that it raises ends its stream.
        buffer_size: how many items `put` may leave lying here.
        held_open: more may be `put` after the iterator has ended, until `close`.
        limit: how many items may be made and put in all, if not any number.
        owned: the iterator was made for this, so it is closed at the end.

    Attributes:
        error: what the iterator raised; its stream ends there.
        seconds: how long the iterator took in all.
    """

    __slots__ = (
        "_close",
        "_dropped",
        "_exhausted",
        "_held_open",
        "_iterator",
        "_left",
        "_maxsize",
        "_piece",
        "_pulling",
        "_putters",
        "error",
        "seconds",
    )

    external = True

    def __init__(
        self,
        iterator: Iterator[Any],
        buffer_size: int,
        held_open: bool,
        limit: int | None = None,
        owned: bool = True,
    ) -> None:
        self.edges = ()
        self.gapped = False
        self.items = deque()
        self.wanted = False
        self.earlier = 0
        self.error: BaseException | None = None
        self._wakeup = None
        # `islice` asks what it is given for an iterator each time, and one written by hand may then
        # start over; a chain asks once.
        self._iterator = itertools.chain(iterator)
        self._close = getattr(iterator, "close", None) if owned else None
        self._maxsize = buffer_size
        self._held_open = held_open
        self._left = sys.maxsize if limit is None else limit
        self._dropped = 0
        self._exhausted = False
        self._pulling = False
        self._piece = 1
        self.seconds = 0.0
        self._putters: list[asyncio.Future[None]] = []

    @property
    def gaps(self) -> int:
        return 0

    @property
    def ended(self) -> bool:
        return self._exhausted and not self._held_open and not self.items

    def ready(self, limit: int) -> int:
        if not self.items and not self._exhausted:
            self._pull(limit)
        if self._putters and len(self.items) < self._maxsize:
            putters, self._putters = self._putters, []
            for putter in putters:
                _resolve(putter)
        return len(self.items)

    def _pull(self, limit: int) -> None:
        began = clock()
        self._pulling = True
        limit = min(limit, self._left)
        piece = self._piece
        try:
            # In pieces, so that a slow iterator is asked for one item, not for a run of them.
            while len(self.items) < limit:
                wanted = min(len(self.items) + piece, limit)
                self.items.extend(itertools.islice(self._iterator, wanted - len(self.items)))
                if len(self.items) < wanted:
                    self._exhausted = True
                    break
                piece *= 2
                if clock() - began > ENOUGH:  # behind the first piece, however long that took
                    break
        except (Exception, asyncio.CancelledError) as error:
            self.error = error
            self._exhausted = True
        finally:
            self._pulling = False
            self._count(len(self.items))
            took = clock() - began
            self.seconds += took
            self._piece = 1 if took > ENOUGH else min(piece, PIECE)

    def _count(self, items: int) -> None:
        """Count items that were made or put; after the last one allowed the stream ends."""
        self._left -= items
        if self._left <= 0:
            self._exhausted = True
            self._held_open = False

    async def put(self, item: Any) -> None:
        """Add an item from outside, waiting where as many as `buffer_size` lie here.

        Raises:
            PipelinesError: the stream has ended.
        """
        while len(self.items) >= self._maxsize:
            room = asyncio.get_running_loop().create_future()
            self._putters.append(room)
            await room
        if self._exhausted and not self._held_open:
            raise PipelinesError("the input has ended: nothing more can be put")
        self.items.append(item)
        self._count(1)
        self.rouse()

    def close(self) -> None:
        """Allow no more `put`: the stream ends with the iterator."""
        self._held_open = False
        self.rouse()

    def stop(self) -> None:
        """End the stream behind what lies here already."""
        self._exhausted = True
        if self._close is not None and not self._pulling:
            try:
                self._close()
            except Exception as error:
                self.error = self.error or error
        self.close()

    @property
    def dropped(self) -> int:
        return self._dropped

    def abandon(self) -> None:
        self.stop()
        self._dropped += len(self.items)
        self.items.clear()
        for putter in self._putters:
            _resolve(putter)
        self._putters.clear()


def _resolve(event: asyncio.Future[None]) -> None:
    if not event.done():
        event.set_result(None)


class Wrapping(Inlet):
    """A way in that makes something else of what another one has: the base of such."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Inlet) -> None:
        super().__init__(inner.edges)
        for edge in inner.edges:
            edge.inlet = inner
        self.items = deque()
        self._inner = inner

    def lead(self, edges: Sequence[Edge]) -> None:
        self._inner.lead(edges)
        self.edges, self.gapped = self._inner.edges, self._inner.gapped

    @property
    def gaps(self) -> int:
        return 0

    @property
    def wanted(self) -> bool:
        """Never: `ready` releases the producers as it takes."""
        return False

    @wanted.setter
    def wanted(self, value: bool) -> None:
        pass

    @property
    def merge(self) -> MergeInlet | None:
        return self._inner.merge

    @property
    def queued(self) -> int:
        return self._inner.queued

    @property
    def dropped(self) -> int:
        return self._inner.dropped

    @property
    def filled(self) -> int:
        return self._inner.filled

    @property
    def width(self) -> int:
        return self._inner.width

    def arm(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._inner.arm(self._more)

    def disarm(self) -> None:
        self._wakeup = None
        self._inner.disarm()

    def _more(self) -> None:
        if self.ready(1) or self.ended:
            self.rouse()
        else:
            self._inner.arm(self._more)

    def abandon(self) -> None:
        self._inner.abandon()


class BatchInlet(Wrapping):
    """A way in that gathers what another way in has into lists.

    A list is ready when it has `batch.size` items, when `batch.timeout` seconds have passed since
    its first one, or when the stream ends.
    """

    __slots__ = ("_limit", "_pending", "_ripe", "_schedule", "_timeout", "_timer")

    def __init__(self, inner: Inlet, batch: Batch, schedule: Schedule) -> None:
        super().__init__(inner)
        self._limit = batch.size
        self._timeout = batch.timeout
        self._schedule = schedule
        self._pending: list[Any] = []
        self._timer: asyncio.TimerHandle | None = None
        self._ripe = False

    @property
    def ended(self) -> bool:
        return not self.items and not self._pending and self._inner.ended

    @property
    def queued(self) -> int:
        gathered = sum(map(len, self.items)) + len(self._pending)
        return gathered * self.width + self._inner.queued

    def ready(self, limit: int) -> int:
        while not self.items and self._fill():
            if len(self._pending) >= self._limit:
                self._emit()
        if not self.items and self._pending and (self._ripe or self._inner.ended):
            self._emit()
        return len(self.items)

    def _fill(self) -> bool:
        """Move what fits from the inner way in; tell whether anything moved."""
        inner, missing = self._inner, self._limit - len(self._pending)
        count = min(inner.ready(missing), missing)
        if count and inner.gaps:
            count = inner.run(count)
            if not count:
                inner.pop_gap()
                return True
        if count:
            self._pending += inner.take(count)
            if self._timeout is not None and self._timer is None:
                self._timer = self._schedule.call_later(self._timeout, self._ripen)
        return count > 0

    def _emit(self) -> None:
        self.items.append(self._pending)
        self._pending = []
        self._ripe = False
        if self._timer is not None:
            self._schedule.cancel_later(self._timer)
            self._timer = None

    def _ripen(self) -> None:
        self._timer = None
        self._ripe = True
        self.rouse()

    def abandon(self) -> None:
        if self._timer is not None:
            self._schedule.cancel_later(self._timer)
            self._timer = None
        super().abandon()
