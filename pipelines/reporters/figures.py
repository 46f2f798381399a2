"""What reporters show of a run, worked out once for all: rows, rates, the table at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.errors import StepError
from pipelines.metrics import EdgeCounts, NodeCounts, RunReport, Snapshot, State

__all__ = ["Rates", "Row", "ending", "format_rate", "format_time", "rows", "shortlist", "totals"]

_ENDED: frozenset[State] = frozenset({"done", "failed", "stopped"})
_COLUMNS = (
    ("received", "received"),
    ("passed on", "passed_on"),
    ("sent on", "emitted"),
    ("skipped", "skipped"),
    ("dead-lettered", "dead_lettered"),
    ("failed", "failed"),
    ("in flight", "in_flight"),
    ("retried", "retried"),
    ("dropped", "dropped"),
)
_ALWAYS_SHOWN = 2


@dataclass(frozen=True, slots=True)
class Row:
    """One node as it is shown while it runs.

    Attributes:
        taken, sent: items in and items out.
        rate: items in per second, over the last seconds.
        queue: the fullest of its inbound edges; `None` for an input node.
        errors: failures, tolerated or not.
    """

    name: str
    taken: int
    sent: int
    rate: float
    queue: EdgeCounts | None
    state: State
    errors: int

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen here."""
        return self.state in _ENDED


class Rates:
    """Items per second of each node, over the last `window` seconds."""

    def __init__(self, window: float = 2.0) -> None:
        self._window = window
        self._seen: deque[tuple[float, dict[str, int]]] = deque()

    def update(self, snapshot: Snapshot) -> dict[str, float]:
        """Take in a snapshot; return the rates now."""
        now = snapshot.seconds
        counts = {name: node.received for name, node in snapshot.nodes.items()}
        self._seen.append((now, counts))
        while len(self._seen) > 2 and self._seen[1][0] <= now - self._window:
            self._seen.popleft()
        then, before = self._seen[0] if len(self._seen) > 1 else (0.0, {})
        span = now - then
        if span <= 0:
            return dict.fromkeys(counts, 0.0)
        return {name: (count - before.get(name, 0)) / span for name, count in counts.items()}


def rows(snapshot: Snapshot, rates: Mapping[str, float]) -> list[Row]:
    """Return one row per node, in the graph's order."""
    queues: dict[str, EdgeCounts] = {}
    for (_, target), edge in snapshot.edges.items():
        # Between the steps of a generator pipeline there is no queue at all.
        if edge.maxsize and (target not in queues or _fill(edge) > _fill(queues[target])):
            queues[target] = edge
    senders = {source for source, _ in snapshot.edges}
    return [
        Row(
            name,
            node.received,
            node.emitted if name in senders else node.passed_on,
            rates.get(name, 0.0),
            queues.get(name),
            node.state,
            node.errors + node.failed,
        )
        for name, node in snapshot.nodes.items()
    ]


def _fill(edge: EdgeCounts) -> float:
    return edge.size / edge.maxsize


def shortlist(everything: Sequence[Row], limit: int) -> list[Row]:
    """Return at most `limit` rows, in order: those still at work before those that have ended."""
    working = sorted(range(len(everything)), key=lambda index: everything[index].has_ended)
    return [everything[index] for index in sorted(working[: max(limit, 0)])]


def totals(report: RunReport) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table at the end, without columns that are all zero."""
    senders = {source for source, _ in report.edges}
    nodes = report.nodes.items()
    shown = [
        (title, attribute)
        for index, (title, attribute) in enumerate(_COLUMNS)
        if index < _ALWAYS_SHOWN
        or any(_tells(node, attribute) for name, node in nodes if name in senders or index > 2)
    ]
    body = [[name, *(f"{getattr(node, at):,}" for _, at in shown)] for name, node in nodes]
    return ["node", *(title for title, _ in shown)], body


def _tells(node: NodeCounts, attribute: str) -> bool:
    """Tell whether a column says something here; values sent on only where that differs."""
    value: int = getattr(node, attribute)
    return value != node.passed_on if attribute == "emitted" else value > 0


def ending(report: RunReport) -> str:
    """Return how the run ended, and when: ``"done in 12.3s"``."""
    if isinstance(report.error, StepError) and isinstance(report.error.cause, BrokenPipeError):
        # Nothing is wrong in ``plumber run … | head``: that is how a reader says it has enough.
        return f"stopped after {format_time(report.seconds)}: what it wrote to was closed"
    joint = "in" if report.reason == "done" else "after"
    return f"{report.reason} {joint} {format_time(report.seconds)}"


def format_time(seconds: float) -> str:
    """Return a time as people read it: ``0.42s``, ``12.3s``, ``2m05s``, ``1h02m``."""
    if seconds < 60:
        return f"{seconds:.2f}s" if seconds < 10 else f"{seconds:.1f}s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes}m{int(seconds % 60):02}s"
    return f"{minutes // 60}h{minutes % 60:02}m"


def format_rate(rate: float) -> str:
    """Return items per second, with a decimal only where that tells something."""
    return f"{rate:,.0f}/s" if rate >= 10 or rate == 0 else f"{rate:.1f}/s"
