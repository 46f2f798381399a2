"""The counters of a node that runs elsewhere: the sum of those of its batches."""

from __future__ import annotations

from dataclasses import replace

from pipelines.metrics import NodeCounts

__all__ = ["Tally"]


class Tally:
    """Adds up what batches say of one node. `failure.Tolerance` takes it for one.

    Attributes:
        name: the node's.
        tolerated: failures that did not end the run.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.tolerated = 0
        self._sum = NodeCounts()

    @property
    def received(self) -> int:
        """Items that the node took."""
        return self._sum.received

    @property
    def emitted(self) -> int:
        """Values that it sent on."""
        return self._sum.emitted

    @property
    def last_error(self) -> str:
        """Its newest failure."""
        return self._sum.last_error

    @property
    def failed(self) -> bool:
        """Whether the run ended by a failure of this node."""
        return self._sum.failed > 0

    def add(self, counts: NodeCounts) -> None:
        """Add what a batch has counted."""
        self._sum += counts

    def counts(self) -> NodeCounts:
        """Return the sums."""
        return replace(self._sum)
