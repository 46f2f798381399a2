"""What is counted, as data: snapshots of a run, its final report, and who is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

__all__ = ["EdgeCounts", "NodeCounts", "Reporter", "RunReport", "Snapshot", "State"]

#: What a node is doing, in a word that can be shown to a person: *waiting* for items, *blocked* by
#: a full edge, *running*, or ended as *done*, *failed* or *stopped* (cancelled, or released early).
State = Literal["waiting", "blocked", "running", "done", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """The counters of one node; all in items, but for the two times.

    Always ``received == passed_on + skipped + dead_lettered + failed + in_flight``.

    Attributes:
        received: items taken from the inbound edges (an input node: made or put).
        passed_on: items whose step returned and whose result went on (at a sink: that succeeded).
        skipped: items for which the step returned `SKIP`, or failed under ``on_error: skip``.
        dead_lettered: items whose dead letter was written.
        failed: items whose failure ended the run.
        in_flight: items under way, or waiting to be tried again.
        retried: how often an item was tried again after a failure.
        dropped: rows that a join gave up, and items that a full edge gave up.
        emitted: values sent on: more than `passed_on` where a step yields.
        starved: seconds with room for more work and no item.
        blocked: seconds with work to send and no room.
        busy: seconds at work, those in which an async step waits for its own I/O too.
        errors: failures that were tolerated (skipped, dead-lettered or retried).
        last_error: the newest failure, as text.
    """

    state: State = "waiting"
    received: int = 0
    passed_on: int = 0
    skipped: int = 0
    dead_lettered: int = 0
    failed: int = 0
    in_flight: int = 0
    retried: int = 0
    dropped: int = 0
    emitted: int = 0
    starved: float = 0.0
    blocked: float = 0.0
    busy: float = 0.0
    errors: int = 0
    last_error: str = ""

    @property
    def balanced(self) -> bool:
        """Whether every item received is accounted for."""
        ended = self.passed_on + self.skipped + self.dead_lettered + self.failed
        return self.received == ended + self.in_flight


@dataclass(frozen=True, slots=True)
class EdgeCounts:
    """One edge: what lies in its queue now, of how much, and what it gave up."""

    size: int
    maxsize: int
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment: `seconds` since it started, and each node and edge (by its two ends)."""

    seconds: float
    nodes: Mapping[str, NodeCounts]
    edges: Mapping[tuple[str, str], EdgeCounts]

    @property
    def bottleneck(self) -> str | None:
        """The node that the others wait for: the one that was at work longest, if any was."""
        busy = {name: node.busy for name, node in self.nodes.items() if node.received}
        return max(busy, key=busy.__getitem__, default=None)


@dataclass(frozen=True, slots=True, repr=False)
class RunReport:
    """What a run did, node by node, and how it ended.

    Attributes:
        ok: whether it ended by itself or by a drain, with nothing failed.
        reason: ``done``, ``drained``, ``failed`` or ``cancelled``.
        seconds: wall-clock time from the first node's start to the last one's end.
        bottleneck: the node that the others waited for, if one can be told.
        nodes, edges: the last snapshot.
        error: what ended the run, if it did not end well.
    """

    ok: bool
    reason: Literal["done", "drained", "failed", "cancelled"]
    seconds: float
    bottleneck: str | None
    nodes: Mapping[str, NodeCounts]
    edges: Mapping[tuple[str, str], EdgeCounts]
    error: BaseException | None = None

    def __repr__(self) -> str:
        # Short: asyncio.run shows its task, and with it the task's result, to itself at each end.
        return f"<RunReport {self.reason} in {self.seconds:.3g} s, {len(self.nodes)} nodes>"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON data."""
        return {
            "ok": self.ok,
            "reason": self.reason,
            "seconds": self.seconds,
            "bottleneck": self.bottleneck,
            "error": None if self.error is None else str(self.error) or type(self.error).__name__,
            "nodes": {name: asdict(node) for name, node in self.nodes.items()},
            "edges": [
                {"source": source, "target": target, **asdict(edge)}
                for (source, target), edge in self.edges.items()
            ],
        }


class Reporter(Protocol):
    """Is told how a run goes; never asked. An error that it raises is logged and ends only it.

    Attributes:
        interval: seconds between two calls of `update`.
    """

    interval: float

    def start(self, snapshot: Snapshot) -> None:
        """Be told that the run has started."""

    def update(self, snapshot: Snapshot) -> None:
        """Be told how it goes."""

    def finish(self, report: RunReport) -> None:
        """Be told how it ended."""
