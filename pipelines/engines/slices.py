"""What lies on the driver's edges: parts of batches, that the driver counts and never opens.

A *slice* says which entries of a batch it stands for. A join cuts slices to equal lengths, so that
rows are paired by position as they would be item by item. Gap marks are entries too; a slice knows
where they are, because a step that takes lists does not count them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines.edge import GAP, Edge
from pipelines.engines.receipts import Origin, Receipt

__all__ = ["Slice", "SliceEdge", "Stock", "missing_places"]


@dataclass(frozen=True, slots=True)
class Slice:
    """Some neighbouring entries of a batch.

    Attributes:
        batch: the entries, or what a transport finds them by.
        start, stop: which of them, counted from 0.
        missing: the places of gap marks in the whole batch, ascending.
        origin: what it was made of, if durable edges want to know, and it is of one piece.
        receipts: of the batches of durable edges that it was made of.
    """

    batch: Any
    start: int
    stop: int
    missing: tuple[int, ...] = ()
    origin: Origin | None = None
    receipts: tuple[Receipt, ...] = ()

    @classmethod
    def of(cls, entries: Sequence[Any]) -> Slice:
        """Return the slice of all of a batch that is here."""
        return cls(entries, 0, len(entries), missing_places(entries))

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def gaps(self) -> tuple[int, ...]:
        """The places of gap marks in this slice, counted from its own start."""
        first, last = (bisect_left(self.missing, end) for end in (self.start, self.stop))
        return tuple([place - self.start for place in self.missing[first:last]])

    @property
    def items(self) -> int:
        """How many entries are no gap marks."""
        return len(self) - len(self.gaps)

    def split(self, size: int) -> tuple[Slice, Slice]:
        """Return the first `size` entries, and the rest."""
        middle = self.start + size
        self.hold()
        return replace(self, stop=middle), replace(self, start=middle)

    def hold(self) -> None:
        """Note that there is one slice more of this kind."""
        for receipt in self.receipts:
            receipt.hold()

    def release(self) -> None:
        """Note that it is not needed any more."""
        for receipt in self.receipts:
            receipt.release()


def missing_places(entries: Iterable[Any]) -> tuple[int, ...]:
    """Return where in a batch the gap marks stand."""
    return tuple([place for place, entry in enumerate(entries) if entry is GAP])


class SliceEdge(Edge):
    """The queue between two hosts: it holds up to `maxsize` slices, and is counted in items."""

    __slots__ = ()

    def accept(self, value: Slice) -> None:
        if self.abandoned or (self.full() and self.when_full == "drop_newest"):
            self._drop(value)
            return
        if self.full() and self.when_full == "drop_oldest":
            self._drop(self.pop())
        self._append(value)

    def _drop(self, value: Slice) -> None:
        self.dropped += value.items
        value.release()

    def _append(self, value: Slice) -> None:
        self.items.append(value)
        self.gaps += len(value.gaps)

    def pop(self) -> Slice:
        """Take the first slice."""
        value: Slice = self.items.popleft()
        self.gaps -= len(value.gaps)
        return value

    def qsize(self) -> int:
        return sum(map(len, self.items)) - self.gaps


class Stock:
    """Slices taken off an edge, until they make up a batch."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.slices: deque[Slice] = deque()

    def __len__(self) -> int:
        return sum(map(len, self.slices))

    @property
    def items(self) -> int:
        """How many entries are no gap marks."""
        return sum(each.items for each in self.slices)

    @property
    def ended(self) -> bool:
        """Whether nothing is here and nothing will come."""
        return not self.slices and not self.edge.items and self.edge.closed

    def fill(self, size: int) -> None:
        """Take entries off the edge until there are `size` here, or a slice more."""
        edge = self.edge
        while (wanted := size - len(self)) > 0 and edge.items:
            if isinstance(edge, SliceEdge):
                self.slices.append(edge.pop())
            else:
                self.slices.append(Slice.of(edge.take(min(wanted, len(edge.items)))))

    def cut(self, size: int) -> tuple[Slice, ...]:
        """Give up as many entries, or all if there are fewer."""
        taken = []
        while size > 0 and self.slices:
            first = self.slices.popleft()
            if len(first) > size:
                first, rest = first.split(size)
                self.slices.appendleft(rest)
            taken.append(first)
            size -= len(first)
        return tuple(taken)

    def gaps(self) -> Iterator[int]:
        """Yield the places of gap marks."""
        before = 0
        for each in self.slices:
            yield from (before + place for place in each.gaps)
            before += len(each)
