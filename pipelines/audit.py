"""The proof at the end of a run that nothing was lost: what nodes sent is what others received."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from pipelines.edge import Edge
from pipelines.errors import PipelinesError
from pipelines.inlet import Inlet
from pipelines.metrics import Snapshot
from pipelines.processor import Processor
from pipelines.streams import Link

__all__ = ["Counted", "audit", "start_anew", "unbalanced"]


class Counted(Protocol):
    """A node that has sent values; a `Processor` is one."""

    @property
    def emitted(self) -> int:
        """How many."""


def audit(
    snapshot: Snapshot, nodes: Mapping[str, Processor], edges: Mapping[Link, Edge]
) -> PipelinesError | None:
    """Compare the counters of neighbours; return what is wrong, if anything."""
    done = [name for name, node in snapshot.nodes.items() if node.state == "done"]
    wrong = [name for name in done if snapshot.nodes[name].in_flight]
    wrong += [
        f"{edge} (ended, with items in its queue)"
        for edge in edges.values()
        if edge.qsize() and edge.target in done and not edge.abandoned
    ]
    wrong += unbalanced(nodes)
    if not wrong:
        return None
    return PipelinesError(f"items were lost, which is a bug in pipelines: {'; '.join(wrong)}")


def start_anew(nodes: Mapping[str, Processor]) -> None:
    """Count from here on, by the edges that there are now: each node has what it should have."""
    for node in nodes.values():
        node.refresh()
    for node in nodes.values():
        if node.inlet is None or not node.inlet.edges:
            continue
        for edge in node.inlet.edges:
            edge.withheld = nodes[edge.source].emitted
        taken = node.width * node.received - node.inlet.filled
        node.inlet.earlier = taken + _left(node.inlet)


def _left(inlet: Inlet) -> int:
    return sum(edge.qsize() + edge.dropped for edge in inlet.edges) + inlet.queued


def unbalanced(
    nodes: Mapping[str, Processor], outside: Mapping[str, Counted] | None = None
) -> Iterator[str]:
    """Yield the nodes that did not get what was sent to them, each with its sums.

    Args:
        nodes: the nodes of a run.
        outside: those that have sent to them from elsewhere.
    """
    sources: Mapping[str, Counted] = {**nodes, **outside} if outside else nodes
    for node in nodes.values():
        node.refresh()
    for name, node in nodes.items():
        if node.inlet is None or not node.inlet.edges:
            continue
        edges = node.inlet.edges
        sent = sum(sources[edge.source].emitted - edge.withheld for edge in edges)
        sent += node.inlet.earlier
        left, taken = _left(node.inlet), node.width * node.received - node.inlet.filled
        if sent - left != taken:
            yield f"{name} (was sent {sent}, received {taken}, left or dropped {left})"
