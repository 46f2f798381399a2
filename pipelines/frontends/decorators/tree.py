"""Going through a tree depth first, with no more in memory than the frontier of a path."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, NamedTuple

from pipelines.errors import shorten
from pipelines.frontends.decorators.nodes import DecoratedNode
from pipelines.frontends.decorators.potato import Potato
from pipelines.inlet import Inlet, Wrapping
from pipelines.step import SKIP, Skip

__all__ = ["Tree", "TreeInlet", "Visit"]

#: The place of a node in the order of a traversal: the number of its tree, then its path.
Place = tuple[int, ...]


class Visit(NamedTuple):
    """One node of a tree: what the user calls it, and where it stands.

    Attributes:
        payload: the user's.
        path: the child numbers on the way there from the root.
        tree: the number of its tree.
    """

    payload: Any
    path: tuple[int, ...]
    tree: int

    @property
    def place(self) -> Place:
        """Where it comes in the order of the traversal."""
        return (self.tree, *self.path)


class TreeInlet(Wrapping):
    """A way in for roots, from another one, and for their descendants, from the node itself.

    As many calls as the node's concurrency have a *turn* at a time. One that has yielded children
    gives it up, and takes turns on their behalf, one after another; so each turn goes to what comes
    first in depth-first order, and a root is only taken when no such call waits.

    Args:
        inner: where the roots come from.
        turns: how many there are.
    """

    __slots__ = ("_children", "_count", "_given", "_open", "_roots", "_turns", "_waiting")

    def __init__(self, inner: Inlet, turns: int) -> None:
        super().__init__(inner)
        self._turns = turns
        self._waiting: list[tuple[Place, int, asyncio.Future[None]]] = []
        self._count = itertools.count()
        self._given: set[Place] = set()
        self._roots = self._children = self._open = 0

    # As a way in.

    @property
    def ended(self) -> bool:
        return not self.items and not self._open and self._inner.ended

    @property
    def queued(self) -> int:
        return sum(not visit.path for visit in self.items) + self._inner.queued

    @property
    def filled(self) -> int:
        return self._children - sum(bool(visit.path) for visit in self.items)

    def ready(self, limit: int) -> int:
        while self._turns and self._inner.ready(1):
            (root,) = self._inner.take(1)
            self._turns -= 1
            self._give(Visit(root, (), self._roots))
            self._roots += 1
        return len(self.items)

    # Turns.

    def add(self, visit: Visit) -> None:
        """Take in a child, with the turn that was taken for it."""
        self._children += 1
        self._give(visit)
        self.rouse()

    def _give(self, visit: Visit) -> None:
        self._given.add(visit.place)
        self.items.append(visit)

    async def begin(self, visit: Visit) -> None:
        """Begin a call, with the turn that came with its item, or one of its own."""
        self._open += 1
        if visit.place in self._given:
            self._given.discard(visit.place)
        else:
            await self.turn(visit.place)

    def end(self) -> None:
        """End a call, which has no turn any more."""
        self._open -= 1
        if self.ended:
            self.rouse()

    async def turn(self, place: Place, has_one: bool = False) -> None:
        """Take a turn when one is free, or at least for what comes before all that wait.

        Args:
            place: what it is for.
            has_one: the caller has a turn, and keeps it if nothing that waits comes first.
        """
        first = not self._waiting or place < self._waiting[0][0]
        if has_one and first:
            return
        if not has_one and self._turns:
            self._turns -= 1
            return
        event = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (place, next(self._count), event))
        if has_one:
            self.give_up()
        try:
            await event
        except asyncio.CancelledError:
            if event.done() and not event.cancelled():
                self.give_up()
            raise

    def give_up(self) -> None:
        """Let another call have the turn."""
        while self._waiting:
            event = heapq.heappop(self._waiting)[2]
            if not event.done():
                event.set_result(None)
                return
        self._turns += 1
        if self.ready(1):
            self.rouse()


class Tree(DecoratedNode):
    """A step that goes through trees; each call is for one node of one."""

    inlet: TreeInlet

    @classmethod
    def way_in(cls, inner: Inlet) -> TreeInlet:
        """Make the node's way in."""
        cls.inlet = TreeInlet(inner, cls.definition.properties.concurrency or 1)
        return cls.inlet

    async def __call__(self, visit: Visit) -> AsyncIterator[Skip]:
        """Traverse a node, and hand its children over one by one."""
        potato = Potato(self.sender, self.name)
        turn = Turn(self.inlet)
        number = 0
        try:
            await turn.begin(visit)
            async with contextlib.aclosing(
                self.call(potato, visit.payload, list(visit.path))
            ) as lists:
                while (children := await self._next(lists, potato)) is not None:
                    number = await turn.lend(visit, children, number)
        except (Exception, asyncio.CancelledError):
            if potato.sent or number:
                yield SKIP  # as in `Pages`: there is no other attempt
            raise
        finally:
            potato.close()
            turn.end()

    async def _next(self, lists: AsyncGenerator[Any, None], potato: Potato) -> list[Any] | None:
        """Return the next list of children; `None` after the last."""
        async with potato.limit(self.definition.properties.timeout):
            children: Any = await anext(lists, None)
        if children is not None and not isinstance(children, list):
            what = shorten(children, 60)
            raise TypeError(f"traverse yields lists of children, not {what}: yield [child, …]")
        return children


class Turn:
    """The turn of one call: whether it has it, and what it does with it."""

    def __init__(self, inlet: TreeInlet) -> None:
        self._inlet = inlet
        self._has = self._begun = False

    async def begin(self, visit: Visit) -> None:
        """Begin the call of a visit, when it has its turn."""
        self._begun = True
        await self._inlet.begin(visit)
        self._has = True

    async def lend(self, visit: Visit, children: Sequence[Any], number: int) -> int:
        """Let children have their turns, and take one again when the last has begun.

        Args:
            visit: their parent's.
            children: what the user calls them.
            number: how many others came before.

        Returns:
            How many have come now.
        """
        waiting = deque(children)
        while waiting:
            child = Visit(waiting.popleft(), (*visit.path, number), visit.tree)
            await self._take(child.place)
            self._has = False
            self._inlet.add(child)
            number += 1
        await self._take((*visit.place, number))
        return number

    async def _take(self, place: Place) -> None:
        had, self._has = self._has, False
        await self._inlet.turn(place, had)
        self._has = True

    def end(self) -> None:
        """End the call."""
        if self._has:
            self._has = False
            self._inlet.give_up()
        if self._begun:
            self._inlet.end()
