"""Which nodes of a graph that may grow must not end yet.

A node ends when all have ended that lead to it. But where edges come while the graph runs, one that
leads to it may be still to come. A *held* node waits for that, as long as any node is at work that
could lead an edge to it: any but those behind it, which would close a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pipelines.edge import Edge
from pipelines.inputprocessor import InputProcessor
from pipelines.metrics import State
from pipelines.processor import Processor
from pipelines.schedule import Schedule
from pipelines.streams import Link

__all__ = ["ENDED", "Holding", "neighbours"]

ENDED: Final[frozenset[State]] = frozenset({"done", "failed", "stopped"})


class Holding:
    """The nodes of a run that are held.

    Args:
        nodes, edges: those of the run, as they become.
        schedule: the run's.
    """

    def __init__(
        self, nodes: Mapping[str, Processor], edges: Mapping[Link, Edge], schedule: Schedule
    ) -> None:
        self._nodes = nodes
        self._edges = edges
        self._schedule = schedule
        self._held: dict[str, None] = {}  # a set that keeps order
        self._settling = False

    def hold(self, name: str) -> None:
        """Keep a node from ending; it can take in another edge."""
        inlet = self._nodes[name].inlet
        assert inlet is not None
        assert inlet.merge is not None
        inlet.merge.hold(self.stir)
        self._held[name] = None

    def release(self, names: Iterable[str]) -> list[str]:
        """Let some nodes end like any other; return those that were held."""
        held = [name for name in names if name in self._held]
        self._let_go(held)
        return held

    def stir(self) -> None:
        """Be told that a node may have nothing left to do: look soon which of those held may end.

        Soon, not now: the node may be in the middle of counting what it has done.
        """
        if self._held and not self._settling:
            self._settling = True
            self._schedule.busy += 1  # while this is due, the run has not stalled
            self._schedule.loop.call_soon(self._settle)

    def let_one_go(self) -> bool:
        """Let the first node end, as nobody can go on; tell whether there was one.

        A node may wait for others with items in hand: for those that fill a batch up, or the others
        of a row. If it comes to them by the end of a stream alone, one must end first.
        """
        for name in self._held:
            if not self._held.keys() & self._ancestors(name):
                self._let_go([name])
                return True
        return False

    def _settle(self) -> None:
        self._settling = False
        at_work = [name for name, node in self._nodes.items() if _is_at_work(node)]
        free = self._held.keys() - set(at_work)
        for name in at_work:
            free &= self._ancestors(name) if free else set()
        self._let_go([name for name in self._held if name in free])
        self._schedule.leave()

    def _let_go(self, names: Iterable[str]) -> None:
        for name in names:
            del self._held[name]
            inlet = self._nodes[name].inlet
            if inlet is not None and inlet.merge is not None:
                inlet.merge.let_go()

    def _ancestors(self, name: str) -> set[str]:
        """Return all nodes from which a way leads to one."""
        before = neighbours((target, source) for source, target in self._edges)
        found: set[str] = set()
        waiting = [name]
        while waiting:
            fresh = [each for each in before.get(waiting.pop(), ()) if each not in found]
            found.update(fresh)
            waiting += fresh
        return found


def neighbours(links: Iterable[Link]) -> dict[str, list[str]]:
    """Return for each node those that come after it."""
    found: dict[str, list[str]] = {}
    for start, end in links:
        found.setdefault(start, []).append(end)
    return found


def _is_at_work(node: Processor) -> bool:
    """Tell whether a node may come to send something without being sent anything more."""
    if node.inlet is None or isinstance(node, InputProcessor):
        return node.state not in ENDED
    if node.state in ENDED:
        return False
    node.refresh()
    if node.shape.streams and node.state != "waiting":
        return True  # its thread may have items that it has not counted yet
    waits = any(edge.items for edge in node.inlet.edges)
    return node.in_flight > 0 or node.inlet.queued > 0 or waits
