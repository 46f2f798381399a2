"""Text drawings show each edge of the graph, and no other."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.draw import to_text
from pipelines.draw.label import width_of
from pipelines.spec import GraphSpec

UP, DOWN, LEFT, RIGHT = (0, -1), (0, 1), (-1, 0), (1, 0)
ARMS = {
    "│": {UP, DOWN},
    "─": {LEFT, RIGHT},
    "┘": {UP, LEFT},
    "┐": {DOWN, LEFT},
    "┤": {UP, DOWN, LEFT},
    "└": {UP, RIGHT},
    "┌": {DOWN, RIGHT},
    "├": {UP, DOWN, RIGHT},
    "┴": {UP, LEFT, RIGHT},
    "┬": {DOWN, LEFT, RIGHT},
    "┼": {UP, DOWN, LEFT, RIGHT},
}


def graph(edges: list[tuple[str, str]], names: list[str]) -> GraphSpec:
    """Return a graph of these names and edges."""
    outgoing: dict[str, list[str]] = {}
    for source, target in edges:
        outgoing.setdefault(source, []).append(target)
    nodes = {name: {"func": "len"} for name in names}
    return GraphSpec.from_dict({"nodes": nodes, "graph": outgoing})


class Reader:
    """Reads a drawing back: follows each line with the eye."""

    def __init__(self, text: str, names: list[str], *, down: bool) -> None:
        self.rows = text.splitlines()
        self.down = down
        self.box: dict[tuple[int, int], str] = {}
        self.ports: list[tuple[str, int, int]] = []
        for name in names:
            self._find(name)

    def edges(self) -> set[tuple[str, str]]:
        """Return all pairs of boxes that a line leads between."""
        return {(name, end) for name, x, y in self.ports for end in self._follow(x, y)}

    def _find(self, name: str) -> None:
        y = next(y for y, row in enumerate(self.rows) if f" {name} " in f" {row} " and "│" in row)
        middle = self.rows[y].index(f" {name} ") + 1
        left = self.rows[y].rindex("│", 0, middle)
        right = next(x for x in range(middle, len(self.rows[y])) if self.rows[y][x] in "│├")
        top = y - 1
        bottom = next(b for b in range(y + 1, len(self.rows)) if self.rows[b][left] in "└╰")
        for x in range(left, right + 1):
            for row in range(top, bottom + 1):
                assert (x, row) not in self.box, "two boxes overlap"
                self.box[x, row] = name
        if self.down:
            self.ports += [
                (name, x, bottom) for x in range(left, right) if self.at(x, bottom) == "┬"
            ]
        else:
            self.ports += [
                (name, right, row) for row in range(top, bottom) if self.at(right, row) == "├"
            ]

    def at(self, x: int, y: int) -> str:
        """Return the character at a place."""
        return self.rows[y][x] if 0 <= y < len(self.rows) and 0 <= x < len(self.rows[y]) else " "

    def _follow(self, x: int, y: int) -> Iterator[str]:
        onward = DOWN if self.down else RIGHT
        queue, seen = [(x + onward[0], y + onward[1], onward)], set()
        while queue:
            x, y, going = queue.pop()
            if (x, y, going) in seen or (x, y) in self.box:
                continue  # a line that comes back to where another one starts ends there
            seen.add((x, y, going))
            mark = self.at(x, y)
            if mark in "▶▼":
                yield self.box[x + onward[0], y + onward[1]]
                continue
            assert mark in ARMS, f"the line breaks off at {x}, {y}: {mark!r}"
            crossed = mark == "│" and going in (LEFT, RIGHT)
            back = {(-going[0], -going[1]), (-onward[0], -onward[1])}  # lines flow onward only
            arms = {going} if crossed else ARMS[mark] - back
            queue += [(x + right, y + below, (right, below)) for right, below in arms]


NAMES = st.lists(
    st.from_regex(r"[a-z]{1,9}[0-9]", fullmatch=True), min_size=1, max_size=9, unique=True
)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[GraphSpec, list[str]]:
    """Draw any graph without a cycle."""
    names = draw(NAMES)
    pairs = list(combinations(names, 2))
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=14)) if pairs else []
    return graph(chosen, names), names


@pytest.mark.parametrize("down", [False, True], ids=["left-to-right", "top-to-bottom"])
@given(drawn=graphs())
def test_a_drawing_reads_back_as_its_graph(down: bool, drawn: tuple[GraphSpec, list[str]]) -> None:
    """Every line that can be followed is an edge, and every edge is a line that can be followed."""
    spec, names = drawn
    text = to_text(spec, width=1 if down else 10_000)
    upright = "▼" in text or not spec.edges
    reader = Reader(text, names, down=upright if down else False)
    assert reader.edges() == {(edge.source, edge.target) for edge in spec.edges}


def test_a_diamond_looks_like_one() -> None:
    """The whole drawing, as a person sees it."""
    edges = [("urls", "words"), ("urls", "lang"), ("words", "merge"), ("lang", "merge")]
    drawn = to_text(graph(edges, ["urls", "words", "lang", "merge"]))
    assert drawn == textwrap.dedent("""\
        ╭──────╮    ┌───────┐    ┌───────┐
        │ urls ├─┬─▶│ words ├─┬─▶│ merge │
        ╰──────╯ │  └───────┘ │  └───────┘
                 │            │
                 │  ┌───────┐ │
                 └─▶│ lang  ├─┘
                    └───────┘
        """)


def test_one_node_is_a_box() -> None:
    """A graph of one node needs no line."""
    assert to_text(graph([], ["a"])) == "╭───╮\n│ a │\n╰───╯\n"


def test_ascii_characters_alone_will_do() -> None:
    """A terminal that knows no box drawing gets plain characters."""
    drawn = to_text(graph([("a", "b")], ["a", "b"]), unicode=False)
    assert drawn == "+---+    +---+\n| a +--->| b |\n+---+    +---+\n"


def test_a_long_chain_goes_down_where_it_is_too_wide() -> None:
    """A chain that does not fit the width is drawn from top to bottom."""
    names = [f"node{index}" for index in range(30)]
    drawn = to_text(graph(list(pairwise(names)), names), width=80)
    assert "▼" in drawn
    assert max(map(len, drawn.splitlines())) <= 80


def test_wide_names_keep_their_boxes_straight() -> None:
    """A name of double-width characters and one with an accent of its own get a box that fits."""
    drawn = to_text(graph([("数据", "re\u0301sume\u0301")], ["数据", "re\u0301sume\u0301"]))
    assert len({width_of(line) for line in drawn.splitlines()}) == 1


def test_names_that_would_break_the_drawing_do_not() -> None:
    """A very long name is shortened, and a line break or an escape sequence is not drawn."""
    drawn = to_text(graph([("x" * 300, "a\n\x1b[31mb")], ["x" * 300, "a\n\x1b[31mb"]))
    assert len(drawn.splitlines()) == 3
    assert "\x1b" not in drawn
    assert "…" in drawn


def test_two_hundred_nodes_are_drawn() -> None:
    """A wide graph and a deep one keep all their boxes."""
    names = [f"w{index}" for index in range(198)]
    edges = [("s", name) for name in names] + [(name, "t") for name in names]
    drawn = to_text(graph(edges, ["s", *names, "t"]))
    assert all(f" {name} " in drawn for name in ["s", *names, "t"])
    assert max(map(len, drawn.splitlines())) < 60
