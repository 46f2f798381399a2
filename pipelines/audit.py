"""The proof at the end of a run that nothing was lost: what nodes sent is what others received."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipelines.edge import Edge
from pipelines.errors import PipelinesError
from pipelines.metrics import Snapshot
from pipelines.processor import Processor
from pipelines.streams import Link

__all__ = ["audit"]


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
    wrong += _unbalanced(nodes)
    if not wrong:
        return None
    return PipelinesError(f"items were lost, which is a bug in pipelines: {'; '.join(wrong)}")


def _unbalanced(nodes: Mapping[str, Processor]) -> Iterator[str]:
    for name, node in nodes.items():
        if node.inlet is None or not node.inlet.edges:
            continue
        edges = node.inlet.edges
        sent = sum(nodes[edge.source].emitted - edge.withheld for edge in edges)
        left = sum(edge.qsize() + edge.dropped for edge in edges) + node.inlet.queued
        taken = node.width * node.received - node.inlet.filled
        if sent - left != taken:
            yield f"{name} (was sent {sent}, received {taken}, left or dropped {left})"
