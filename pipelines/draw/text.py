"""A graph as text: boxes and arrows for a terminal.

Drawn from left to right, or from top to bottom where that fits and left to right does not. Both
are one algorithm in two coordinates: *along* counts cells in the direction of flow, *across* cells
at right angles to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.draw.canvas import Canvas
from pipelines.draw.label import fitted, width_of
from pipelines.draw.layers import Layers, Slot, layered
from pipelines.draw.tracks import Net, tracks
from pipelines.spec import GraphSpec

__all__ = ["to_text"]

_LONGEST_NAME = 40
_ANYWHERE = -(10**9)  # no neighbour before it in its layer


def to_text(spec: GraphSpec, *, width: int = 100, unicode: bool = True) -> str:
    """Return the graph as boxes and arrows, within `width` columns where it can be.

    Args:
        spec: a graph without a cycle.
        width: columns to keep to; a graph that is too wide both ways is drawn the narrower way.
        unicode: draw with box-drawing characters; else with ASCII ones.
    """
    layers = layered(spec)
    drawn = _Drawing(layers, down=False).text(unicode)
    if _columns(drawn) > width:
        upright = _Drawing(layers, down=True).text(unicode)
        drawn = min(drawn, upright, key=_columns)
    return drawn


def _columns(text: str) -> int:
    return max(map(width_of, text.splitlines()), default=0)


@dataclass(slots=True)
class _Place:
    """Where a slot lies across the flow: its extent, its line out and its lines in."""

    start: int
    end: int
    out: int
    ins: dict[Slot, int] = field(default_factory=dict)


class _Drawing:
    """One drawing under way, in one direction."""

    def __init__(self, layers: Layers, *, down: bool) -> None:
        self._layers = layers
        self._down = down
        self._gap = 2 if down else 1  # cells between two neighbours in a layer
        self._step = 2 if down else 1  # cells between two lines into one box
        self._labels = {
            slot: fitted(slot.node, _LONGEST_NAME)
            for layer in layers
            for slot in layer
            if not slot.is_bend
        }
        self._places: dict[Slot, _Place] = {}
        for index, layer in enumerate(layers):
            self._place_layer(layer, layers[index - 1] if index else [])
        self._origin = min((place.start for place in self._places.values()), default=0)

    def text(self, unicode: bool) -> str:
        """Draw and return the lines."""
        canvas = Canvas(flip=self._down, origin=self._origin)
        along = 0
        for layer in self._layers:
            depth = self._depth(layer)
            self._paint_layer(canvas, layer, along, depth)
            along = self._paint_channel(canvas, layer, along + depth - 1)
        return canvas.text(unicode)

    # Across the flow: each layer is placed after the one before it, in line with its sources.

    def _place_layer(self, layer: list[Slot], before: list[Slot]) -> None:
        taken = {self._places[slot].out: slot for slot in before}
        free_from = _ANYWHERE
        for slot in layer:
            place = self._place(slot, free_from, taken)
            self._places[slot] = place
            free_from = place.end + 1 + (0 if slot.is_bend and not self._down else self._gap)

    def _place(self, slot: Slot, free_from: int, taken: dict[int, Slot]) -> _Place:
        """Place a slot, at or after `free_from`, so that no line into it runs along another one.

        `taken` are the lines that leave the layer before: in the channel between the two layers,
        a line in may share its place with a line out only if that is its own.
        """
        bundles = self._bundles(slot)
        size = self._breadth(slot)
        offset = self._first_line(size, len(bundles)) if not slot.is_bend else 0

        def is_free(line: int, bundle: list[Slot]) -> bool:
            return line not in taken or taken[line] in bundle

        start = 0 if free_from == _ANYWHERE else free_from
        if bundles:
            start = max(free_from, self._places[bundles[0][0]].out - offset)
            while not is_free(start + offset, bundles[0]):
                start += 1
        ins: dict[Slot, int] = {}
        line = start + offset
        for bundle in bundles:
            while not is_free(line, bundle):
                line += 1
            ins.update(dict.fromkeys(bundle, line))
            line += self._step
        last = max(ins.values(), default=0)
        end = max(start + size - 1, last + (0 if slot.is_bend else 1))
        middle = start + ((end - start) // 2 if self._down else offset)
        return _Place(start, end, out=start if slot.is_bend else middle, ins=ins)

    def _bundles(self, slot: Slot) -> list[list[Slot]]:
        """Return a slot's sources by the line they come in on: those with no other target share."""
        sources = sorted(slot.sources, key=lambda source: self._places[source].out)
        bundles: dict[Slot | None, list[Slot]] = {}
        for source in sources:
            bundles.setdefault(source if len(source.targets) > 1 else None, []).append(source)
        return list(bundles.values())

    def _breadth(self, slot: Slot) -> int:
        if slot.is_bend:
            return 1
        return width_of(self._labels[slot]) + 4 if self._down else 3

    def _first_line(self, size: int, lines: int) -> int:
        """Return how far into a box its first line in ends: centred, or level with the name."""
        if not self._down:
            return 1
        return max(1, (size - 1) // 2 - self._step * (max(lines, 1) - 1) // 2)

    # Along the flow: a layer is as deep as its widest box, a channel as its tracks need.

    def _depth(self, layer: list[Slot]) -> int:
        if self._down:
            return 3
        return max(width_of(self._labels[slot]) + 4 if not slot.is_bend else 1 for slot in layer)

    def _paint_layer(self, canvas: Canvas, layer: list[Slot], along: int, depth: int) -> None:
        for slot in layer:
            place = self._places[slot]
            if slot.is_bend:
                canvas.line(slot, (along, place.out), (along + depth - 1, place.out))
                continue
            canvas.box(
                (along, place.start),
                (along + depth - 1, place.end),
                self._labels[slot],
                rounded=not slot.sources,
                port=(along + depth - 1, place.out) if slot.targets else None,
            )

    def _paint_channel(self, canvas: Canvas, layer: list[Slot], border: int) -> int:
        """Draw the lines from `layer` to the next one; return where the next one starts."""
        nets = list(self._nets(layer))
        turns = tracks(nets)
        first, step = (1, 1) if self._down else (2, 2)
        used = max(turns.values(), default=-1) + 1
        end = border + (max(used, 1) + 2 if self._down else 2 * max(used, 1) + 3)
        for net in nets:
            turn = border + first + step * turns.get(net, 0)
            for out in net.outs:
                canvas.line(net, (border, out), (turn, out))
            canvas.line(net, (turn, net.low), (turn, net.high))
            for across, arrives in net.ins.items():
                canvas.line(net, (turn, across), (end, across))
                if arrives:
                    canvas.arrow((end - 1, across))
        return end

    def _nets(self, layer: list[Slot]) -> Iterator[Net]:
        """Yield the lines out of `layer`, of one slot to all its targets or of many to the same."""
        for slot in layer:
            if len(slot.targets) > 1:
                ends = {self._places[each].ins[slot]: not each.is_bend for each in slot.targets}
                yield Net((self._places[slot].out,), ends)
        solo: dict[Slot, list[Slot]] = {}
        for slot in layer:
            if len(slot.targets) == 1:
                solo.setdefault(slot.targets[0], []).append(slot)
        for target, sources in solo.items():
            outs = tuple(self._places[source].out for source in sources)
            yield Net(outs, {self._places[target].ins[sources[0]]: not target.is_bend})
