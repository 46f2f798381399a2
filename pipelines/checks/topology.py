"""How the nodes of a document hang together: unknown names, circles, and what nothing leads to."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from pipelines.places import Findings, Path
from pipelines.registry import did_you_mean, nearest
from pipelines.spec import EdgeSpec
from pipelines.streams import Link

__all__ = ["Wiring", "arrows", "wire"]

_MAX_CYCLES: Final = 10  # circles that are reported
_MAX_GUESSES: Final = 50  # a guess compares with every name; a broken large file has many
_SHOWN_CYCLE: Final = 12  # nodes of a circle that are named


@dataclass(slots=True)
class Wiring:
    """The edges that hold, and what is known of the others.

    Attributes:
        edges: those between two known nodes, each once, in the document's order.
        paths: where each of them stands in the document.
        vague: nodes of which it isn't known what leads to them, because an edge is faulty.
        cyclic: the graph has a circle.
    """

    edges: list[EdgeSpec] = field(default_factory=list)
    paths: dict[Link, Path] = field(default_factory=dict)
    vague: set[str] = field(default_factory=set)
    cyclic: bool = False


def wire(graph: Any, names: Collection[str], drop: Collection[Path], findings: Findings) -> Wiring:
    """Read the edges of a document, and note what is wrong with how they connect.

    Args:
        graph: the document's ``graph``, without what the schema refuses (`None` in its place).
        names: the nodes.
        drop: the paths of what the schema refused.
        findings: is given the faults.
    """
    wiring = Wiring()
    if ("graph",) in drop:
        wiring.vague.update(names)
        return wiring
    reader = _Reader(names, wiring, findings)
    for source, targets in (graph or {}).items():
        reader.read(source, targets)
    reader.finish(any(path[:1] == ("graph",) for path in drop))
    _note_unconnected(graph or {}, names, wiring, findings)
    _note_cycles(graph or {}, names, wiring, findings)
    return wiring


class _Reader:
    """Gathers edges, and notes those that name what isn't there."""

    def __init__(self, names: Collection[str], wiring: Wiring, findings: Findings) -> None:
        self._names = names
        self._wiring = wiring
        self._findings = findings
        self._guesses = 0
        self._lost = False  # an edge leads to who knows where

    def read(self, source: str, targets: Any) -> None:
        """Take in one line of the graph."""
        edges = [
            (EdgeSpec.from_dict(source, each), path) for path, each in _listed(source, targets)
        ]
        if source in self._names:
            for edge, path in edges:
                self._add(edge, path)
        else:
            self._note_unknown(source, ("graph", source), at_key=True)
            self._wiring.vague.update(edge.target for edge, _ in edges)

    def finish(self, malformed: bool) -> None:
        """Note as vague every node that a lost edge may have been meant for."""
        if self._lost or malformed:
            fed = {edge.target for edge in self._wiring.edges}
            self._wiring.vague.update(name for name in self._names if name not in fed)

    def _add(self, edge: EdgeSpec, path: Path) -> None:
        link = (edge.source, edge.target)
        if edge.target not in self._names:
            self._note_unknown(edge.target, path)
        elif edge.source == edge.target:
            what = f"node {edge.source!r} leads to itself."
            self._findings.add("self-loop", what, path, "Remove this edge.")
        elif link in self._wiring.paths:
            what = f"{edge.source!r} leads to {edge.target!r} twice."
            self._findings.add("duplicate-edge", what, path, "Keep one of the two edges.")
        else:
            self._wiring.edges.append(edge)
            self._wiring.paths[link] = path

    def _note_unknown(self, name: str, path: Path, *, at_key: bool = False) -> None:
        self._guesses += 1
        guess = nearest(name, self._names) if self._guesses <= _MAX_GUESSES else None
        if guess is None:
            self._lost = True
        else:
            self._wiring.vague.add(guess)
        hint = did_you_mean(name, [guess] if guess else list(islice(self._names, 20)))
        what = f"`graph` names an unknown node {name!r}."
        self._findings.add("unknown-node", what, path, hint, at_key=at_key)


def _listed(source: str, targets: Any) -> Iterator[tuple[Path, Any]]:
    """Iterate over the targets that are sound, each with its path."""
    if isinstance(targets, list | tuple):
        pairs = enumerate(targets)
        return ((("graph", source, i), each) for i, each in pairs if each is not None)
    return iter(() if targets is None else [(("graph", source), targets)])


def _note_unconnected(
    graph: Mapping[str, Any], names: Collection[str], wiring: Wiring, findings: Findings
) -> None:
    if len(names) < 2:
        return
    connected = {edge.target for edge in wiring.edges} | wiring.vague
    for name in names:
        if name not in connected and name not in graph:
            what = f"node {name!r} stands in no edge."
            hint = "Name it in `graph:`, or remove it."
            findings.add("unreachable", what, ("nodes", name), hint, at_key=True)


def _note_cycles(
    graph: Mapping[str, Any], names: Collection[str], wiring: Wiring, findings: Findings
) -> None:
    after: dict[str, list[str]] = {name: [] for name in names}
    fed = dict.fromkeys(names, 0)
    for edge in wiring.edges:
        after[edge.source].append(edge.target)
        fed[edge.target] += 1
    inputs = [name for name in names if not fed[name]]
    stuck = _never_free(fed, inputs, after)
    if not stuck:
        return
    reached = _spread(inputs, after)
    wiring.cyclic = True
    circular = _report_cycles({name: after[name] for name in stuck}, list(graph), findings)
    if not inputs:
        hint = "Items enter at a node that no edge leads to."
        findings.add("no-input", "every node has an inbound edge.", ("graph",), hint, at_key=True)
        return
    for name in sorted(stuck - circular - reached):
        what = f"node {name!r} can't be reached from any input node."
        hint = "Lead an edge here, or mend the circle before it."
        findings.add("unreachable", what, ("nodes", name), hint, at_key=True)


def _spread(start: Iterable[str], after: Mapping[str, list[str]]) -> set[str]:
    """Return all that can be reached from `start`."""
    reached = set(start)
    waiting = list(reached)
    while waiting:
        fresh = [name for name in after[waiting.pop()] if name not in reached]
        reached.update(fresh)
        waiting += fresh
    return reached


def _never_free(
    fed: Mapping[str, int], inputs: Iterable[str], after: Mapping[str, list[str]]
) -> set[str]:
    """Return the nodes on a circle or behind one: those that Kahn's algorithm never gets to.

    It takes a thousandth of the time that importing networkx takes, and most graphs have no circle.
    """
    left = dict(fed)
    waiting = deque(inputs)
    while waiting:
        name = waiting.popleft()
        del left[name]
        for target in after[name]:
            left[target] -= 1
            if not left[target]:
                waiting.append(target)
    return set(left)


def _report_cycles(
    after: Mapping[str, list[str]], lines: list[str], findings: Findings
) -> set[str]:
    """Note the first circles among some nodes, and return all that lie on one."""
    import networkx

    edges = [(name, target) for name in after for target in after[name]]
    whole: networkx.DiGraph[str] = networkx.DiGraph(edges)
    rank = {name: index for index, name in enumerate(lines)}
    for cycle in islice(networkx.simple_cycles(whole), _MAX_CYCLES):
        last = cycle.index(max(cycle, key=rank.__getitem__))
        path = [*cycle[last:], *cycle[:last], cycle[last]]
        hint = "Remove one of these edges: a graph may not run in a circle."
        findings.add("cycle", f"{arrows(path)}.", ("graph", path[0]), hint, at_key=True)
    parts = networkx.strongly_connected_components(whole)
    return {name for part in parts if len(part) > 1 for name in part}


def arrows(path: list[str]) -> str:
    """Return a way through the graph as text, a long one cut in the middle."""
    if len(path) <= _SHOWN_CYCLE:
        return " -> ".join(path)
    half = _SHOWN_CYCLE // 2
    return f"{' -> '.join([*path[:half], '…', *path[-half:]])} ({len(path) - 1:,} nodes)"
