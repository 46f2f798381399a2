"""A run as data for the wire: what its nodes and edges are at, and how it ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipelines.difference import Changes
from pipelines.errors import JoinError, Problem, StalledError, StepError, say
from pipelines.metrics import NodeCounts, RunReport, Snapshot
from pipelines.plumber import Plumber
from pipelines.server.outputs import is_hidden
from pipelines.server.refusal import plain

__all__ = ["balance", "bottleneck", "changed", "edges_of", "fault_of", "nodes_of", "visible"]

_SUMMED = ("received", "passed_on", "skipped", "dead_lettered", "failed", "in_flight")
_LIVE = ("waiting", "running")
_CODES = {StepError: "step-failed", JoinError: "join-failed", StalledError: "stalled"}


def visible(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot without what nobody sees."""
    return replace(
        snapshot,
        nodes={name: node for name, node in snapshot.nodes.items() if not is_hidden(name)},
        edges={link: edge for link, edge in snapshot.edges.items() if not is_hidden(link[1])},
    )


def changed(changes: Changes) -> dict[str, Any]:
    """Return what has changed in a graph, without what nobody sees."""
    return {
        **{
            key: [name for name in getattr(changes, key) if not is_hidden(name)]
            for key in ("added", "removed", "replaced")
        },
        **{
            key: [[*link] for link in getattr(changes, key) if not is_hidden(link[1])]
            for key in ("edges_added", "edges_removed")
        },
    }


def bottleneck(snapshot: Snapshot) -> str | None:
    """Return the node that the others wait for, unless they wait for the reader of the outputs."""
    name = snapshot.bottleneck
    return None if name is None or is_hidden(name) else name


def nodes_of(
    snapshot: Snapshot, plumber: Plumber | None = None, *, draining: bool = False
) -> dict[str, dict[str, Any]]:
    """Return what each node is at.

    Args:
        snapshot: the visible part.
        plumber: of a run that goes on.
        draining: its sources have been stopped.
    """
    return {
        name: _node(counts, _state(name, counts, plumber, draining))
        for name, counts in snapshot.nodes.items()
    }


def _state(name: str, counts: NodeCounts, plumber: Plumber | None, draining: bool) -> str:
    if plumber is not None and counts.state in _LIVE:
        if not plumber[name].began:
            return "starting"
        if draining:
            return "draining"
    return counts.state


def _node(counts: NodeCounts, state: str) -> dict[str, Any]:
    said = {
        "state": state,
        "received": counts.received,
        "emitted": counts.emitted,
        "skipped": counts.skipped,
        "dead_lettered": counts.dead_lettered,
        "failed": counts.failed,
        "in_flight": counts.in_flight,
    }
    return {**said, "error": _short(counts.last_error)} if counts.last_error else said


def edges_of(snapshot: Snapshot) -> list[list[Any]]:
    """Return each edge: its two ends, how much lies in it, and how much it holds."""
    return [[a, b, edge.size, edge.maxsize] for (a, b), edge in snapshot.edges.items()]


def balance(snapshot: Snapshot) -> dict[str, Any]:
    """Return what became of all items at all nodes, and whether that adds up."""
    nodes = snapshot.nodes.values()
    sums = {key: sum(getattr(node, key) for node in nodes) for key in (*_SUMMED, "emitted")}
    return {**sums, "ok": all(node.balanced for node in nodes)}


def fault_of(report: RunReport) -> dict[str, Any]:
    """Return what ended a run that failed, at the node where it did."""
    error = report.error
    node = getattr(error, "node", "")
    path = ("nodes", node) if node and not is_hidden(node) else ()
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "run-failed")
    message = "" if error is None else _short(say(error))
    return plain(Problem(code, message, path))


def _short(text: str, length: int = 500) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
