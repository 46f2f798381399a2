"""Layers of a drawing: every edge points onward, and few lines cross."""

from __future__ import annotations

from pipelines.draw.layers import layered
from pipelines.spec import GraphSpec


def spec(edges: str, *alone: str) -> GraphSpec:
    """Return the graph of a text such as ``a>b b>c``, and of nodes without an edge."""
    pairs = [tuple(each.split(">")) for each in edges.split()]
    names = dict.fromkeys([*alone, *(name for pair in pairs for name in pair)])
    graph: dict[str, list[str]] = {}
    for source, target in pairs:
        graph.setdefault(source, []).append(target)
    return GraphSpec.from_dict({"nodes": {name: {"func": "len"} for name in names}, "graph": graph})


def names(edges: str, *alone: str) -> list[list[str]]:
    """Return the layers as names, a bend as its node's in brackets."""
    layers = layered(spec(edges, *alone))
    return [[f"({s.node})" if s.is_bend else s.node for s in layer] for layer in layers]


def test_a_line_has_one_node_in_each_layer() -> None:
    """A chain goes straight on."""
    assert names("a>b b>c") == [["a"], ["b"], ["c"]]


def test_no_node_makes_no_layer() -> None:
    """An empty graph has nothing to draw."""
    assert names("") == []


def test_long_edges_of_one_node_share_their_bends() -> None:
    """Two edges that pass the same layer do so as one line."""
    assert names("a>b b>c c>d a>d a>c") == [["a"], ["b", "(a)"], ["c", "(a)"], ["d"]]


def test_a_source_stands_just_before_its_use() -> None:
    """A second source that joins late does not start at the far left."""
    assert names("a>b b>c late>c") == [["a"], ["b", "late"], ["c"]]


def test_order_is_mended_where_lines_would_cross() -> None:
    """What is written crosswise is drawn straight."""
    assert names("a>x b>y", "a", "b", "y", "x") == [["a", "b"], ["x", "y"]]
