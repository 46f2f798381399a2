"""The driver's way into a host: batches, cut from what lies on the edges that lead there.

What is paired, merged or gathered into lists is so by position, as on one machine; only that the
driver counts entries, and the host pairs them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from pipelines.edge import Edge, Wakeup
from pipelines.engines.receipts import Origin, Receipt
from pipelines.engines.slices import Slice, SliceEdge, Stock
from pipelines.errors import JoinError, PipelinesError
from pipelines.inlet import Inlet
from pipelines.schedule import Schedule, clock
from pipelines.spec import Properties

__all__ = ["Intake", "Parcel", "WholeIntake"]


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a host is called with: for each of its edges, the slices that make up its entries.

    Attributes:
        columns: one for each inbound edge, in their order.
        entries: how many each has, of a join; how many they have in all, of others.
    """

    columns: tuple[tuple[Slice, ...], ...]
    entries: int

    @property
    def parts(self) -> Iterator[Slice]:
        """All slices."""
        return chain.from_iterable(self.columns)

    @property
    def origin(self) -> Origin | None:
        """What it was made of, if that is of one piece."""
        found = {part.origin for part in self.parts}
        return found.pop() if len(found) == 1 else None

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """Of the batches of durable edges that it was made of, each once."""
        return tuple(dict.fromkeys(each for part in self.parts for each in part.receipts))

    @property
    def items(self) -> int:
        """How many items or rows that is, as far as the driver can tell."""
        places = [sum(part.items for part in column) for column in self.columns]
        return min(self.entries, max(places, default=0) if len(places) > 1 else places[0])


class Intake(Inlet):
    """A way in that gives parcels.

    Args:
        edges: in the order of a join's row.
        node: the head's name, for messages.
        properties: the head's.
        schedule: the run's.
        size: entries of a parcel, at most.
        age: seconds after which entries are sent though they are fewer than `size`.
    """

    __slots__ = (
        "_age",
        "_batch",
        "_join",
        "_next",
        "_node",
        "_on_missing",
        "_schedule",
        "_since",
        "_size",
        "_stocks",
        "_timer",
    )

    def __init__(
        self,
        edges: Sequence[Edge],
        node: str,
        properties: Properties,
        schedule: Schedule,
        size: int,
        age: float,
    ) -> None:
        super().__init__(edges)
        self._node = node
        self._schedule = schedule
        self._join = len(edges) > 1 and bool(properties.aggregate_inputs)
        self._on_missing = properties.join.on_missing if properties.join else None
        self._batch = properties.batch
        self._age = age
        # Lists are made of neighbouring items, so a parcel holds whole ones.
        self._size = size if self._batch is None else max(1, size // self._batch.size)
        self._stocks = [Stock(edge) for edge in self.edges]
        self._next = 0
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def size(self) -> int:
        """How many entries a full parcel has."""
        return self._size if self._batch is None else self._size * self._batch.size

    # What there is.

    @property
    def queued(self) -> int:
        return sum(stock.items for stock in self._stocks)

    @property
    def width(self) -> int:
        return len(self.edges) if self._join else 1

    @property
    def ended(self) -> bool:
        """Whether nothing more can come; decides what becomes of streams of unequal length."""
        over = [stock.ended for stock in self._stocks]
        if all(over):
            return True
        return self._join and any(over) and self._on_missing != "none" and self._end_unequal()

    def _end_unequal(self) -> bool:
        """Handle one stream's end before another's: drop the rest, or fail once it is sure."""
        if self._on_missing == "drop":
            return True
        more = {stock.edge.source: len(stock) for stock in self._stocks if len(stock)}
        if more:
            ended = [repr(stock.edge.source) for stock in self._stocks if stock.ended]
            longer = ", ".join(f"{source!r} has {count} more" for source, count in more.items())
            raise JoinError(
                f"node {self._node!r} can't pair its inputs: {', '.join(ended)} ended "
                f"while {longer}. Set properties.join.on_missing to drop or none."
            )
        return False

    def _gather(self) -> int:
        """Take what a parcel needs off the edges; return how many entries there are for one."""
        wanted = self._size
        if self._batch is not None:
            # Gap marks are not counted for lists, so for each of them one entry more is needed.
            wanted = self._batch.size * self._size
            wanted += sum(len(stock) - stock.items for stock in self._stocks)
        for stock in self._stocks:
            stock.fill(wanted)
        if self.wanted:
            self.release()
        lengths = [len(stock) for stock in self._stocks]
        if not self._join:
            return sum(lengths)
        if self._on_missing == "none":
            lengths = [len(stock) for stock in self._stocks if not stock.ended]
        return min(lengths, default=0)

    # Taking.

    def take_parcel(self, eager: bool) -> Parcel | None:
        """Return the next parcel, if there is one.

        Args:
            eager: take what there is; else only a full parcel, or one that is old enough.
        """
        there = self._gather()
        if self._batch is not None:
            size = self._whole_lists(there)
        elif eager or there >= self._size or self._is_old() or self._closing():
            size = min(there, self._size)
        else:
            size = 0
        if not size:
            self._wait(there)
            return None
        self._since = None
        self._stop_timer()
        return Parcel(self._columns(size), size)

    def _closing(self) -> bool:
        return all(edge.closed and not edge.items for edge in self.edges)

    def _is_old(self) -> bool:
        return self._since is not None and clock() - self._since >= self._age

    def _wait(self, there: int) -> None:
        """Note since when something lies here, and look again once it is old enough."""
        if not there or self._since is not None:
            return
        self._since = clock()
        age = self._age if self._batch is None else self._batch.timeout
        if age is not None:
            self._timer = self._schedule.call_later(age, self._ripen)

    def _ripen(self) -> None:
        self._timer = None
        self.rouse()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._schedule.cancel_later(self._timer)
            self._timer = None

    def _whole_lists(self, there: int) -> int:
        """Return how many of the entries make up whole lists, or the last one."""
        assert self._batch is not None
        gaps = self._missing_rows()
        wanted, whole, items = self._batch.size * self._size, 0, 0
        for place in range(there):
            items += place not in gaps
            if items % self._batch.size == 0:
                whole = place + 1
            if items == wanted:
                return whole
        timed = self._batch.timeout is not None
        ripe = timed and self._since is not None and self._timer is None
        return there if ripe or self._closing() else whole

    def _missing_rows(self) -> set[int]:
        """Return the places of rows that the host will not see; only joins are sent gap marks."""
        places = [set(stock.gaps()) for stock in self._stocks]
        if not self._join or not any(places):
            return set()
        every = self._on_missing == "none"
        return set.intersection(*places) if every else set.union(*places)

    def _columns(self, size: int) -> tuple[tuple[Slice, ...], ...]:
        if self._join:
            return tuple([stock.cut(size) for stock in self._stocks])
        columns: list[tuple[Slice, ...]] = [()] * len(self._stocks)
        first, self._next = self._next, (self._next + 1) % len(self._stocks)
        for offset in range(len(self._stocks)):  # another edge goes first each time
            index = (first + offset) % len(self._stocks)
            columns[index] = self._stocks[index].cut(size)
            size -= sum(map(len, columns[index]))
        return tuple(columns)

    def arm(self, wakeup: Wakeup) -> None:
        """Have `wakeup` called once as soon as more comes or the stream ends."""
        self._wakeup = wakeup
        for edge in self.edges:
            if not edge.closed:
                edge.hungry = edge.outlet.hungry = True

    def abandon(self) -> None:
        """Give up all that is and will be sent here."""
        self._stop_timer()
        for stock in self._stocks:
            stock.edge.dropped += stock.items
            lying = stock.edge.items if isinstance(stock.edge, SliceEdge) else ()
            for part in (*stock.slices, *lying):
                part.release()
            stock.slices.clear()
        super().abandon()


class WholeIntake(Intake):
    """A way in that gives slices as they come, so that what is made of each is known.

    Durable edges need that. What a join gets over several edges was made of the same entries.
    """

    __slots__ = ()

    def take_parcel(self, eager: bool) -> Parcel | None:
        """Return the next parcel, if there is one."""
        for stock in self._stocks:
            if not stock.slices:
                stock.fill(1)
        if self.wanted:
            self.release()
        if not self._join:
            return self._take_one()
        ready = [stock for stock in self._stocks if stock.slices]
        if len(ready) < len(self._stocks):
            return None
        columns = tuple([(stock.slices.popleft(),) for stock in self._stocks])
        parcel = Parcel(columns, len(columns[0][0]))
        if parcel.origin is None:
            raise PipelinesError(
                f"node {self._node!r} would pair what is not of the same items, which is a bug in "
                "pipelines"
            )
        return parcel

    def _take_one(self) -> Parcel | None:
        """Take a slice of one edge, of another one first each time."""
        count = len(self._stocks)
        for offset in range(count):
            index = (self._next + offset) % count
            if self._stocks[index].slices:
                self._next = index + 1
                part = self._stocks[index].slices.popleft()
                columns = [(part,) if place == index else () for place in range(count)]
                return Parcel(tuple(columns), len(part))
        return None
