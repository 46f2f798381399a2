"""The bounded queue of an edge, and a node's way out. Its way in is an `inlet`.

An `Edge` is a deque, flags for those who wait at its ends, and `closed`. The hot loops append to
and pop from the deque themselves and look at a flag; everything rarer is a method here. The end of
a stream (*doomsday*) is the `closed` flag, set behind the last item and seen only when the deque is
empty: the same place as a mark in the queue, without a test for each item.

A **gap mark** stands where an item is missing in a stream that an aggregated join pairs by
position. It takes a place in the queue like an item, so that what is bounded stays bounded.
"""

from __future__ import annotations

import enum
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.registry import did_you_mean

if TYPE_CHECKING:
    from pipelines.inlet import Inlet

__all__ = ["GAP", "UNBOUNDED", "Edge", "Gap", "Outlet", "Wakeup"]

Wakeup = Callable[[], None]

#: Room of an outlet that nothing bounds.
UNBOUNDED = sys.maxsize


class Gap(enum.Enum):
    """The type of `GAP`."""

    GAP = "GAP"


#: Stands in a queue in the place of an item that a step skipped, dead-lettered or routed elsewhere.
GAP = Gap.GAP


class Edge:
    """The bounded queue between two nodes.

    Attributes:
        items: what lies in it, gap marks too.
        maxsize: how many entries it holds.
        when_full: ``block``, ``drop_newest`` or ``drop_oldest``.
        gapped: whether a missing item must leave a gap mark here.
        gaps: how many of `items` are gap marks.
        closed: doomsday; nothing will be appended any more.
        abandoned: the consumer has ended; what is sent here is given up, and counted as dropped.
        dropped: items given up.
        withheld: items that a `Route` sent to other edges only.
        hungry: the consumer wants to be told of the next item.
        wanted: the producer wants to be told of the next room.
    """

    __slots__ = (
        "abandoned",
        "closed",
        "dropped",
        "gapped",
        "gaps",
        "hungry",
        "inlet",
        "items",
        "maxsize",
        "outlet",
        "source",
        "target",
        "wanted",
        "when_full",
        "withheld",
    )

    inlet: Inlet
    outlet: Outlet

    def __init__(
        self, source: str, target: str, maxsize: int, when_full: str = "block", gapped: bool = False
    ) -> None:
        self.source = source
        self.target = target
        self.items: deque[Any] = deque()
        self.maxsize = maxsize
        self.when_full = when_full
        self.gapped = gapped
        self.gaps = 0
        self.closed = False
        self.abandoned = False
        self.dropped = 0
        self.withheld = 0
        self.hungry = False
        self.wanted = False

    def __repr__(self) -> str:
        return f"<Edge {self.source} -> {self.target} {len(self.items)}/{self.maxsize}>"

    def become(self, other: Edge) -> None:
        """Take over the options of another one; what lies in the queue stays."""
        self.maxsize, self.when_full, self.gapped = other.maxsize, other.when_full, other.gapped
        if self.gaps and not self.gapped:
            kept = [entry for entry in self.items if entry is not GAP]
            self.items.clear()
            self.items.extend(kept)
            self.gaps = 0

    def accept(self, value: Any) -> None:
        """Append a value, or give one up where the edge is full and drops, or is abandoned."""
        if self.abandoned:
            self.dropped += 1
            return
        if self.when_full != "block" and len(self.items) >= self.maxsize:
            self.dropped += 1
            if self.when_full == "drop_newest":
                return
            self.items.popleft()
        self.items.append(value)

    def add_gap(self) -> None:
        """Append a gap mark."""
        if not self.abandoned:
            self.items.append(GAP)
            self.gaps += 1

    def take(self, count: int) -> list[Any]:
        """Pop `count` entries; there must be as many."""
        pop = self.items.popleft
        taken = [pop() for _ in range(count)]
        if self.gaps:
            self.gaps -= sum(entry is GAP for entry in taken)
        return taken

    def qsize(self) -> int:
        """Return how many items lie in the queue, as `asyncio.Queue.qsize` does."""
        return len(self.items) - self.gaps

    def full(self) -> bool:
        """Tell whether the queue has no room left."""
        return len(self.items) >= self.maxsize

    def empty(self) -> bool:
        """Tell whether nothing lies in the queue."""
        return not self.items


class Outlet:
    """A node's way out: each value to every edge.

    Attributes:
        edges: the outbound edges, in the order of the document.
        append: sends one value on; the caller has seen `room`. Bound anew when edges change.
        hungry: some consumer waits for an item; after an append call `feed`.
        deserted: every consumer has ended, so there is nobody to send to.
        steered: each value goes to one edge; see `steer`.
        closed: doomsday has come, and no edge can be gained any more.
        paused: there is no room, whatever the edges hold; see `pause`.
        lasting: the edges outlive the node: doomsday does not come for them when it ends.
    """

    __slots__ = (
        "_blocking",
        "_waiting",
        "append",
        "closed",
        "deserted",
        "edges",
        "hungry",
        "lasting",
        "paused",
        "steered",
    )

    append: Callable[[Any], None]

    def __init__(self, edges: Iterable[Edge] = ()) -> None:
        self.edges = list(edges)
        self.hungry = False
        self.deserted = False
        self.steered = False
        self.closed = False
        self.paused = False
        self.lasting = False
        self._waiting: dict[Wakeup, None] = {}  # a set that keeps order
        for edge in self.edges:
            edge.outlet = self
        self._bind()

    def _bind(self) -> None:
        live = [edge for edge in self.edges if not edge.abandoned]
        self._blocking = [e for e in live if e.when_full == "block" and not self.steered]
        self.deserted = bool(self.edges) and not live
        if not self.edges:
            self.append = deque(maxlen=0).append
        elif len(self.edges) == len(self._blocking) == 1:
            self.append = live[0].items.append
        else:
            self.append = _sender(
                [e.items.append if e in self._blocking else e.accept for e in self.edges]
            )

    def room(self) -> int:
        """Return how many values every edge that blocks can still hold."""
        if self.paused:
            return 0
        blocking = self._blocking
        if len(blocking) == 1:
            return blocking[0].maxsize - len(blocking[0].items)
        if not blocking:
            return 0 if self.deserted else UNBOUNDED
        return min([edge.maxsize - len(edge.items) for edge in blocking])

    def capacity(self) -> int:
        """Return how many values the smallest edge that blocks holds."""
        return min([edge.maxsize for edge in self._blocking], default=UNBOUNDED)

    def extend(self, values: Sequence[Any]) -> None:
        """Send several values on and tell who waits for them; the caller has seen `room`."""
        if len(self.edges) == len(self._blocking) == 1:
            self._blocking[0].items.extend(values)
        elif self.edges:
            for edge in self.edges:
                if edge in self._blocking:
                    edge.items.extend(values)
                else:
                    for value in values:
                        edge.accept(value)
        if self.hungry:
            self.feed()

    def gap(self) -> None:
        """Mark a missing item on the edges that need to know."""
        for edge in self.edges:
            if edge.gapped:
                edge.add_gap()
        if self.hungry:
            self.feed()

    def route(self, values: Mapping[str, Any]) -> None:
        """Send each value to the edge that leads to its node, and a gap mark to the others.

        Raises:
            LookupError: no edge leads to a node of that name.
        """
        targets = {edge.target for edge in self.edges}
        for name in values:
            if name not in targets:
                raise LookupError(f"no edge leads to {name!r}. {did_you_mean(name, targets)}")
        for edge in self.edges:
            if edge.target in values:
                edge.accept(values[edge.target])
                continue
            edge.withheld += 1
            if edge.gapped:
                edge.add_gap()
        if self.hungry:
            self.feed()

    def feed(self) -> None:
        """Tell the consumers that wait for an item and now have one."""
        self.hungry = False
        for edge in self.edges:
            if edge.hungry and edge.items:
                edge.hungry = False
                edge.inlet.arrived()
            elif edge.hungry:
                self.hungry = True

    def arm(self, wakeup: Wakeup) -> None:
        """Have `wakeup` called once as soon as there is more room, or nobody left to send to."""
        self._waiting[wakeup] = None
        self._want()

    def _want(self) -> None:
        full = [edge for edge in self._blocking if len(edge.items) >= edge.maxsize]
        for edge in full or self._blocking:
            edge.wanted = edge.inlet.wanted = True

    def disarm(self, wakeup: Wakeup) -> None:
        """Forget a `wakeup` that was not called."""
        self._waiting.pop(wakeup, None)

    def roomier(self) -> None:
        """Be told by an edge that it has room again."""
        if not self._waiting:
            return
        if self.room() > 0 or self.deserted:
            self.interrupt()
        else:
            self._want()  # another edge is full by now: a consumer may give back what it took

    def interrupt(self) -> None:
        """Have those who wait for room look again at why they wait."""
        waiting, self._waiting = self._waiting, {}
        for wakeup in waiting:
            wakeup()

    def abandon(self, edge: Edge) -> None:
        """Be told by an edge that its consumer has ended."""
        edge.dropped += edge.qsize()
        edge.abandoned = True
        edge.items.clear()
        edge.gaps = 0
        self._bind()
        self.roomier()

    def desert(self) -> None:
        """Be told that the run is over: those who wait for room need wait no longer."""
        self.deserted = True
        self.interrupt()

    def gain(self, edge: Edge, missed: int) -> None:
        """Send over one more edge from now on.

        Args:
            edge: a new one.
            missed: how many values the node has sent before.
        """
        edge.outlet = self
        edge.withheld = missed
        self.edges.append(edge)
        self.hungry = self.hungry or edge.hungry
        self._bind()

    def lead(self, edges: Iterable[Edge]) -> None:
        """Send over other edges from now on."""
        self.edges = list(edges)
        for edge in self.edges:
            edge.outlet = self
        self.hungry = any(edge.hungry for edge in self.edges)
        self._bind()

    def pause(self) -> None:
        """Have no room until `resume`."""
        self.paused = True

    def resume(self) -> None:
        """Have as much room as the edges have."""
        self.paused = False
        self.interrupt()

    def steer(self) -> None:
        """Let the node say for each value which edge it goes to.

        No edge that is full then holds up what goes to another one: whoever calls `send` looks for
        room on that edge, and waits for it with `arm_for`.
        """
        self.steered = True
        self._bind()

    def send(self, edge: Edge, values: Sequence[Any]) -> None:
        """Send values to one edge; the caller has seen that there is room on it."""
        for value in values:
            edge.accept(value)
        for other in self.edges:
            if other is not edge:
                other.withheld += len(values)
        if self.hungry:
            self.feed()

    def arm_for(self, edges: Iterable[Edge], wakeup: Wakeup) -> None:
        """Have `wakeup` called once as soon as one of some edges may have more room."""
        self._waiting[wakeup] = None
        for edge in edges:
            edge.wanted = edge.inlet.wanted = True

    def close(self) -> None:
        """End the stream behind its last item, once: doomsday for every edge."""
        self.closed = True
        for edge in () if self.lasting else self.edges:
            if not edge.closed:
                edge.closed = True
                edge.hungry = False
                edge.inlet.ending()


def _sender(accepts: Sequence[Callable[[Any], None]]) -> Callable[[Any], None]:
    if len(accepts) == 2:
        # Two edges are the common fan-out; without the loop an append costs a third less.
        first, second = accepts

        def append_two(value: Any) -> None:
            first(value)
            second(value)

        return append_two

    def append(value: Any) -> None:
        for accept in accepts:
            accept(value)

    return append
