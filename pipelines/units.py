"""Which nodes of a graph run in one task: lines, regions, and each other one by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipelines.inlet import Inlet
from pipelines.life import Unit
from pipelines.loops import forms_region, fuses, spreads
from pipelines.processor import Processor
from pipelines.spec import GraphSpec
from pipelines.streams import topological_order

__all__ = ["in_order", "units_of"]

_Line = list[Processor]


def units_of(spec: GraphSpec, nodes: Mapping[str, Processor]) -> list[Unit]:
    """Cut a graph's nodes into units, in topological order."""
    lines = _lines([nodes[name] for name in topological_order(spec)])
    units: list[Unit] = []
    for region in _parts(lines):
        if len(region) > 1 and forms_region([node for line in region for node in line]):
            units.append(Unit(region))
        else:
            units += [Unit([line]) for line in region]
    return units


def in_order(spec: GraphSpec, units: Iterable[Unit]) -> list[Unit]:
    """Return units in topological order, also those that came while the graph ran."""
    rank = {name: index for index, name in enumerate(topological_order(spec))}
    return sorted(units, key=lambda unit: rank[unit.nodes[0].name] if unit.nodes else 0)


def _lines(nodes: Sequence[Processor]) -> list[_Line]:
    """Cut nodes into lines of which each node but the last leads to the next one alone."""
    lines: list[_Line] = []
    ending: dict[str, _Line] = {}
    for node in nodes:
        line = _line_before(node, ending)
        if line is None:
            line = []
            lines.append(line)
        line.append(node)
        ending[node.name] = line
    return lines


def _line_before(node: Processor, ending: dict[str, _Line]) -> _Line | None:
    """Return the line whose last node leads to this one alone, if both can run as one."""
    if type(node.inlet) is not Inlet or not fuses(node):
        return None
    (edge,) = node.inlet.edges
    line = ending.get(edge.source)
    if line is None:
        return None  # the edge comes from another machine's node
    before = line[-1]
    leads = fuses(before) or spreads(before)
    plain = edge.when_full == "block" and not edge.gapped and len(before.outlet.edges) == 1
    return line if plain and before.name == edge.source and leads else None


def _parts(lines: Sequence[_Line]) -> list[list[_Line]]:
    """Group lines that hang together, each group's in topological order."""
    head = {node.name: line[0].name for line in lines for node in line}
    root = {line[0].name: line[0].name for line in lines}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = name = root[root[name]]
        return name

    for line in lines:
        for edge in line[0].inlet.edges if line[0].inlet is not None else ():
            if edge.source in head:
                root[find(head[edge.source])] = find(line[0].name)
    parts: dict[str, list[_Line]] = {}
    for line in lines:
        parts.setdefault(find(line[0].name), []).append(line)
    return list(parts.values())
