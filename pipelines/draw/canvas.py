"""A grid of characters on which lines join by themselves."""

from __future__ import annotations

from functools import reduce
from operator import or_

from pipelines.draw.label import width_of

__all__ = ["Canvas"]

Point = tuple[int, int]

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
#: The character that joins a set of directions.
_GLYPHS = " │││─┘┐┤─└┌├─┴┬┼"
_PLAIN = str.maketrans("│─┘┐┤└┌├┴┬┼╭╮╰╯▶▼…", "|-" + "+" * 13 + ">v.")


class Canvas:
    """Characters by place; lines of one net join where they meet, those of two nets cross.

    Args:
        flip: points are given as (row, column); else as (column, row).
        origin: the least second coordinate of any point, which becomes 0.
    """

    def __init__(self, *, flip: bool = False, origin: int = 0) -> None:
        self._flip = flip
        self._origin = origin
        self._lines: dict[Point, dict[object, int]] = {}
        self._fixed: dict[Point, str] = {}

    def line(self, net: object, start: Point, end: Point) -> None:
        """Draw a straight line of `net` from `start` to `end`."""
        (x0, y0), (x1, y1) = sorted((self._xy(start), self._xy(end)))
        forward, back = (_RIGHT, _LEFT) if y0 == y1 else (_DOWN, _UP)
        length = max(x1 - x0, y1 - y0)
        for step in range(length + 1):
            point = (x0 + step, y0) if y0 == y1 else (x0, y0 + step)
            arms = (forward if step < length else 0) | (back if step else 0)
            nets = self._lines.setdefault(point, {})
            nets[net] = nets.get(net, 0) | arms

    def arrow(self, point: Point) -> None:
        """Put the head of an arrow that flows along."""
        self._fixed[self._xy(point)] = "▼" if self._flip else "▶"

    def box(
        self, start: Point, end: Point, label: str, *, rounded: bool, port: Point | None
    ) -> None:
        """Draw a box from corner to corner with its label, and the port that its line leaves."""
        (left, top), (right, bottom) = self._xy(start), self._xy(end)
        corners = "╭╮╰╯" if rounded else "┌┐└┘"
        for x in range(left + 1, right):
            self._fixed[x, top] = self._fixed[x, bottom] = "─"
        for y in range(top + 1, bottom):
            self._fixed[left, y] = self._fixed[right, y] = "│"
            for x in range(left + 1, right):
                self._fixed[x, y] = " "
        places = ((left, top), (right, top), (left, bottom), (right, bottom))
        self._fixed.update(zip(places, corners, strict=True))
        if port is not None:
            self._fixed[self._xy(port)] = "┬" if self._flip else "├"
        self._write(label, left + 1 + (right - left - 1 - width_of(label)) // 2, top + 1)

    def text(self, unicode: bool = True) -> str:
        """Return the lines drawn."""
        drawn = {point: self._glyph(nets) for point, nets in self._lines.items()} | self._fixed
        rows: dict[int, dict[int, str]] = {}
        for (x, y), character in drawn.items():
            rows.setdefault(y, {})[x] = character
        lines = []
        for y in range(max(rows, default=-1) + 1):
            row = rows.get(y, {})
            lines.append("".join(row.get(x, " ") for x in range(max(row, default=-1) + 1)).rstrip())
        return "".join(f"{line if unicode else line.translate(_PLAIN)}\n" for line in lines)

    def _xy(self, point: Point) -> Point:
        along, across = point[0], point[1] - self._origin
        return (across, along) if self._flip else (along, across)

    def _write(self, text: str, x: int, y: int) -> None:
        """Write `text` as one piece over the cells it takes: what combines stays together."""
        for cell in range(width_of(text)):
            self._fixed[x + cell, y] = ""
        self._fixed[x, y] = text

    @staticmethod
    def _glyph(nets: dict[object, int]) -> str:
        arms = list(nets.values())
        if _UP | _DOWN in arms and _LEFT | _RIGHT in arms:
            return "│"  # two nets cross: the upright one is drawn over the other
        return _GLYPHS[reduce(or_, arms)]  # one net, or two that follow each other
