"""A graph as SVG that reads well on a light page and on a dark one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise

from pipelines.draw.label import fitted, width_of
from pipelines.draw.layers import Slot, layered
from pipelines.draw.spread import spread
from pipelines.spec import EdgeSpec, GraphSpec, NodeSpec

__all__ = ["to_svg"]

_NAME, _STEP = 8.0, 6.7  # pixels a monospace cell takes at the two sizes below
_HEIGHT, _CHANNEL, _MARGIN, _GAP, _BEND_GAP = 46.0, 64.0, 24.0, 22.0, 14.0
_LONGEST = 40
_PORT = 8.0

# Written out, not as CSS variables: several renderers of SVG files know none.
_STYLE = """
  .page{fill:#fff} .box{fill:#f6f8fa;stroke:#57606a} .source{fill:#ddf4ff;stroke:#0969da}
  .sink{fill:#dafbe1;stroke:#1a7f37} .edge{fill:none;stroke:#57606a;stroke-width:1.5}
  .drops{stroke-dasharray:5 4} .head{fill:#57606a}
  text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
  .name{font-size:13px;font-weight:600;fill:#1f2328} .step{font-size:11px;fill:#59636e}
  @media (prefers-color-scheme:dark){
    .page{fill:#0d1117} .box{fill:#161b22;stroke:#8b949e} .source{fill:#0c2d4d;stroke:#58a6ff}
    .sink{fill:#0f2a18;stroke:#3fb950} .edge{stroke:#8b949e} .head{fill:#8b949e}
    .name{fill:#e6edf3} .step{fill:#9198a1}
  }
"""
_HEAD = (
    '<marker id="head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" '
    'markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker>'
)


def to_svg(spec: GraphSpec) -> str:
    """Return the graph as an SVG document; edges that may drop items are dashed."""
    return _Picture(spec).document()


class _Picture:
    """One picture under way: each slot's column and height, then the marks."""

    def __init__(self, spec: GraphSpec) -> None:
        self._spec = spec
        self._layers = layered(spec)
        self._lines = {name: _lines(node) for name, node in spec.nodes.items()}
        middle = spread(self._layers, _room)
        top = min((y - _half(slot) for slot, y in middle.items()), default=0.0)
        self._y = {slot: y - top + _MARGIN for slot, y in middle.items()}
        bottom = max((y + _half(slot) for slot, y in self._y.items()), default=0.0)
        self._left: dict[Slot, float] = {}
        self._width: dict[Slot, float] = {}
        self._size = (self._set_columns() + _MARGIN, bottom + _MARGIN)
        self._node = {slot.node: slot for slot in self._y if not slot.is_bend}

    def document(self) -> str:
        """Return the whole document."""
        wide, high = self._size
        title = escape(self._spec.name or "pipeline")
        marks = [*map(self._edge, self._spec.edges), *map(self._box, self._spec.nodes.values())]
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{wide:.1f}" '
                f'height="{high:.1f}" viewBox="0 0 {wide:.1f} {high:.1f}">',
                f"<title>{title}</title>",
                f"<style>{_STYLE}</style>",
                f"<defs>{_HEAD}</defs>",
                '<rect class="page" width="100%" height="100%"/>',
                *marks,
                "</svg>\n",
            ]
        )

    def _set_columns(self) -> float:
        """Give each slot its left edge and its width; return where the last column ends."""
        x = end = _MARGIN
        for layer in self._layers:
            widest = max(self._text_width(slot) for slot in layer)
            self._left.update(dict.fromkeys(layer, x))
            self._width.update(dict.fromkeys(layer, widest))
            end = x + widest
            x = end + self._channel(layer)
        return end

    def _channel(self, layer: Sequence[Slot]) -> float:
        """Return the room to leave behind a layer: more where lines go far up and down."""
        steps = (abs(self._y[slot] - self._y[each]) for slot in layer for each in slot.targets)
        return min(max(_CHANNEL, max(steps, default=0.0) / 4), 3 * _CHANNEL)

    def _text_width(self, slot: Slot) -> float:
        if slot.is_bend:
            return 0.0
        name, step = self._lines[slot.node]
        return max(width_of(name) * _NAME, width_of(step) * _STEP) + 28

    def _box(self, node: NodeSpec) -> str:
        slot = self._node[node.name]
        name, step = self._lines[node.name]
        x, y, wide = self._left[slot], self._y[slot], self._width[slot]
        kind, radius = _kind(slot)
        # Baselines are set by hand: renderers differ in what dominant-baseline centres.
        lines = [(name, "name", -4.0), (step, "step", 13.0)] if step else [(name, "name", 4.5)]
        texts = "".join(
            f'<text class="{style}" x="{x + wide / 2:.1f}" y="{y + shift:.1f}" '
            f'text-anchor="middle">{escape(text)}</text>'
            for text, style, shift in lines
        )
        return (
            f'<g><title>{escape(node.name)}</title><rect class="{kind}" x="{x:.1f}" '
            f'y="{y - _HEIGHT / 2:.1f}" width="{wide:.1f}" height="{_HEIGHT:.1f}" rx="{radius:g}"/>'
            f"{texts}</g>"
        )

    def _edge(self, edge: EdgeSpec) -> str:
        slots = list(_way(self._node[edge.source], self._node[edge.target]))
        start = self._left[slots[0]] + self._width[slots[0]]
        path = f"M{start:.1f} {self._y[slots[0]]:.1f}"
        for one, other in pairwise(slots):
            here, there = self._left[one] + self._width[one], self._left[other]
            y = self._y[other] + (0.0 if other.is_bend else self._port(other, one))
            middle = (here + there) / 2
            path += f"C{middle:.1f} {self._y[one]:.1f} {middle:.1f} {y:.1f} {there:.1f} {y:.1f}"
            if other.is_bend:
                path += f"H{there + self._width[other]:.1f}"
        drops = "" if edge.when_full == "block" else " drops"
        return f'<path class="edge{drops}" marker-end="url(#head)" d="{path}"/>'

    def _port(self, slot: Slot, source: Slot) -> float:
        """Return how far from the middle of a box the line from `source` comes in."""
        order = sorted(slot.sources, key=self._y.__getitem__)
        between = min(_PORT, (_HEIGHT - 12) / max(len(order) - 1, 1))
        return (order.index(source) - (len(order) - 1) / 2) * between


def _way(source: Slot, target: Slot) -> Iterator[Slot]:
    """Yield the slots that the edge from `source` to `target` runs through, both ends included."""
    back = [target]
    # There is one edge at most between two nodes, so one line of this source's comes in.
    last = next(slot for slot in target.sources if slot.node == source.node)
    while last is not source:
        back.append(last)
        (last,) = last.sources
    yield source
    yield from reversed(back)


def _lines(node: NodeSpec) -> tuple[str, str]:
    """Return the two lines of text in a node's box: its name, and its step where that has one."""
    step = node.target if isinstance(node.target, str) else getattr(node.target, "__qualname__", "")
    return fitted(node.name, _LONGEST), fitted(step, _LONGEST)


def _kind(slot: Slot) -> tuple[str, float]:
    if not slot.sources:
        return "source", _HEIGHT / 2
    return ("box", 6.0) if slot.targets else ("sink", 6.0)


def _half(slot: Slot) -> float:
    return 0.0 if slot.is_bend else _HEIGHT / 2


def _room(above: Slot, below: Slot) -> float:
    """Return the least distance between the middles of two neighbours in a layer."""
    gap = _BEND_GAP if above.is_bend or below.is_bend else _GAP
    return _half(above) + _half(below) + gap
