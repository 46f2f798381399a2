"""What is counted, as data: snapshots of a run, its final report, and who is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Protocol

__all__ = [
    "EdgeCounts",
    "HostCounts",
    "NodeCounts",
    "Reporter",
    "RunReport",
    "Snapshot",
    "State",
]

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

    def __add__(self, other: NodeCounts) -> NodeCounts:
        """Return the counters of both together; state and last error are those of `other`."""
        sums = {
            each.name: getattr(self, each.name) + getattr(other, each.name)
            for each in fields(self)
            if each.name not in ("state", "last_error")
        }
        last_error = other.last_error or self.last_error
        return NodeCounts(state=other.state, last_error=last_error, **sums)

    @property
    def balanced(self) -> bool:
        """Whether every item received is accounted for."""
        ended = self.passed_on + self.skipped + self.dead_lettered + self.failed
        return self.received == ended + self.in_flight


@dataclass(frozen=True, slots=True)
class EdgeCounts:
    """One edge: what lies in its queue now, of how much, and what it gave up.

    Attributes:
        size, maxsize: in items.
        dropped: items given up.
        duplicates: of a durable edge: items that came again in this run and were kept already.
        redelivered: of a durable edge: items that an earlier run had under way when it ended.
    """

    size: int
    maxsize: int
    dropped: int = 0
    duplicates: int = 0
    redelivered: int = 0


@dataclass(frozen=True, slots=True)
class HostCounts:
    """One process that runs nodes of the graph elsewhere; see `engines`.

    Attributes:
        nodes: the names of the nodes that it runs.
        scope: the scope that it was asked for, if any.
        place: the machine and the process, as far as they are known.
        batches: how many it has done.
        restarts: how often another process had to take its place.
        resent: batches that were under way then, and were made again.
    """

    nodes: tuple[str, ...]
    scope: str | None = None
    place: str = ""
    batches: int = 0
    restarts: int = 0
    resent: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment.

    Attributes:
        seconds: since it started.
        nodes, edges: by name, and by the names of the two ends.
        hosts: the processes that nodes run in elsewhere, by name; none on one machine.
    """

    seconds: float
    nodes: Mapping[str, NodeCounts]
    edges: Mapping[tuple[str, str], EdgeCounts]
    hosts: Mapping[str, HostCounts] = field(default_factory=dict)

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
        nodes, edges, hosts: the last snapshot.
        error: what ended the run, if it did not end well.
    """

    ok: bool
    reason: Literal["done", "drained", "failed", "cancelled"]
    seconds: float
    bottleneck: str | None
    nodes: Mapping[str, NodeCounts]
    edges: Mapping[tuple[str, str], EdgeCounts]
    error: BaseException | None = None
    hosts: Mapping[str, HostCounts] = field(default_factory=dict)

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
            **({"hosts": {n: asdict(h) for n, h in self.hosts.items()}} if self.hosts else {}),
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
