"""Which layer each node stands in, and in which order: what text and SVG drawings share.

The steps are Sugiyama's (Sugiyama, Tagawa, Toda 1981): layers by longest path, a bend in every
layer that a long edge passes through, then sweeps that sort each layer by the mean place of its
neighbours, of which the order with the fewest crossings is kept.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from pipelines.spec import GraphSpec
from pipelines.streams import topological_order

__all__ = ["Layers", "Slot", "layered"]

_SWEEPS = 12


@dataclass(eq=False, slots=True)
class Slot:
    """A place in a layer: a node, or a bend of the edges of `node` that pass through the layer.

    All edges of one node share their bends: they run as one line until they part.
    """

    node: str
    is_bend: bool = False
    sources: list[Slot] = field(default_factory=list)
    targets: list[Slot] = field(default_factory=list)


Layers = list[list[Slot]]


def layered(spec: GraphSpec) -> Layers:
    """Return the layers of an acyclic graph, each in the order in which to draw it."""
    depth = _depths(spec)
    layers: Layers = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    slots = {name: Slot(name) for name in spec.nodes}
    for name, slot in slots.items():
        layers[depth[name]].append(slot)
    bends: dict[tuple[str, int], Slot] = {}
    for edge in spec.edges:
        last = slots[edge.source]
        for index in range(depth[edge.source] + 1, depth[edge.target]):
            bend = bends.get((edge.source, index))
            if bend is None:
                bend = bends[edge.source, index] = Slot(edge.source, is_bend=True)
                layers[index].append(bend)
                _link(last, bend)
            last = bend
        _link(last, slots[edge.target])
    return _ordered(layers)


def _link(source: Slot, target: Slot) -> None:
    source.targets.append(target)
    target.sources.append(source)


def _depths(spec: GraphSpec) -> dict[str, int]:
    """Return each node's layer: one past its deepest source; an input's just before its use."""
    order = topological_order(spec)
    sources: dict[str, list[str]] = {name: [] for name in order}
    targets: dict[str, list[str]] = {name: [] for name in order}
    for edge in spec.edges:
        sources[edge.target].append(edge.source)
        targets[edge.source].append(edge.target)
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = max((depth[source] + 1 for source in sources[name]), default=0)
    for name in order:
        if targets[name] and not sources[name]:
            depth[name] = min(depth[target] for target in targets[name]) - 1
    return depth


def _ordered(layers: Layers) -> Layers:
    best, fewest = layers, _crossings(layers)
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        layers = _down(layers) if sweep % 2 == 0 else _down(layers[::-1], _targets)[::-1]
        crossings = _crossings(layers)
        if crossings < fewest:
            best, fewest = layers, crossings
    return best


def _sources(slot: Slot) -> list[Slot]:
    return slot.sources


def _targets(slot: Slot) -> list[Slot]:
    return slot.targets


def _down(layers: Layers, before: Callable[[Slot], list[Slot]] = _sources) -> Layers:
    """Sort each layer by the mean place of its neighbours in the layer before it."""
    swept: Layers = []
    for layer in layers:
        place = _places(swept[-1] if swept else [])
        own = _places(layer)
        means = {
            slot: _mean((place[near] for near in before(slot)), default=own[slot]) for slot in layer
        }
        swept.append(sorted(layer, key=means.__getitem__))
    return swept


def _places(layer: Iterable[Slot]) -> dict[Slot, int]:
    return {slot: index for index, slot in enumerate(layer)}


def _mean(values: Iterable[int], default: float) -> float:
    found = list(values)
    return sum(found) / len(found) if found else default


def _crossings(layers: Layers) -> int:
    """Count how many pairs of edges between neighbouring layers cross."""
    crossings = 0
    for layer, following in pairwise(layers):
        place = _places(following)
        seen: list[int] = []
        for slot in layer:
            ends = sorted(place[target] for target in slot.targets)
            crossings += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return crossings
