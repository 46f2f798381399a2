"""The part of a graph that dead letters go through."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.replay.parts import misfit, part_behind, reached, shape_of_letters
from pipelines.spec import GraphSpec

DIAMOND = {
    "nodes": {
        "source": {"func": "builtins:range"},
        "left": {"func": "builtins:int"},
        "right": {"func": "builtins:str"},
        "pair": {"func": "builtins:max"},
        "merge": {"func": "builtins:len", "properties": {"aggregate_inputs": False}},
        "gather": {"func": "builtins:sum"},
    },
    "graph": {
        "source": ["left", {"to": "right", "when_full": "drop_oldest"}],
        "left": ["pair"],
        "right": ["pair", "merge"],
        "pair": ["merge"],
        "merge": [{"to": "gather", "buffer_size": 3}],
    },
    "defaults": {"batch": {"size": 2}, "executor": "thread", "on_error": "dead_letter"},
    "runtime": {"max_failures": 1, "shutdown_timeout": "1s"},
}


def spec(document: Any = DIAMOND, **defaults: Any) -> GraphSpec:
    """Return the graph with other defaults."""
    return GraphSpec.from_dict({**document, "defaults": defaults})


def edges(part: GraphSpec) -> list[tuple[str, str]]:
    """Return the two ends of each edge."""
    return [(edge.source, edge.target) for edge in part.edges]


def test_the_nodes_behind_are_reached() -> None:
    """And the node itself."""
    assert reached(spec(), "right") == {"right", "pair", "merge", "gather"}
    assert reached(spec(), "gather") == {"gather"}


def test_one_feeder_stands_before_a_node() -> None:
    """What else leads there, or to what is behind it, is no part of it."""
    part = part_behind(spec(), "merge", feed := [1])
    assert list(part.nodes) == ["letters of merge", "merge", "gather"]
    assert edges(part) == [("merge", "gather"), ("letters of merge", "merge")]
    assert part.nodes["letters of merge"].func is feed
    assert part.edges[0].buffer_size == 3


def test_no_edge_from_the_feeder_drops_anything() -> None:
    """Whatever the graph says of the edge in whose place it stands."""
    part = part_behind(spec(), "right", [])
    assert [edge.when_full for edge in part.inbound("right")] == ["block"]


def test_a_row_is_taken_apart_for_a_join() -> None:
    """Its parts come over the edges that they came over, in that order."""
    part = part_behind(spec(), "pair", [(1, 2)])
    assert edges(part)[-4:] == [
        ("letters of pair", "left"),
        ("letters of pair", "right"),
        ("left", "pair"),
        ("right", "pair"),
    ]
    row = ("a", "b")
    assert [part.nodes[name].func(row) for name in ("left", "right")] == ["a", "b"]


def test_a_node_gets_whole_batches_and_those_behind_gather_their_own() -> None:
    """Wherever the graph says how large they are."""
    part = part_behind(GraphSpec.from_dict(DIAMOND), "merge", [])
    assert part.properties("letters of merge").batch is None
    assert part.properties("merge").batch is None
    gather = part.properties("gather").batch
    assert gather is not None
    assert gather.size == 2


def test_the_defaults_of_the_graph_are_not_meant_for_the_feeder() -> None:
    """But all else of it holds; only how much may fail has no limit."""
    part = part_behind(GraphSpec.from_dict(DIAMOND), "pair", [])
    own = part.properties("letters of pair")
    assert (own.executor, own.on_error) == ("inline", "fail")
    assert part.properties("pair").executor == "thread"
    assert part.runtime.max_failures is None
    assert part.runtime.shutdown_timeout == 1


def test_a_feeder_takes_no_name_that_is_taken() -> None:
    """A node may have any."""
    document = {"nodes": {"letters of a": {}, "a": {}, "b": {}}, "graph": {"b": ["a"]}}
    assert "letters of a'" in part_behind(spec(document), "a", []).nodes


@pytest.mark.parametrize(
    ("node", "defaults", "shape"),
    [
        ("left", {}, "item"),
        ("pair", {}, "row"),
        ("merge", {}, "item"),
        ("left", {"batch": {"size": 2}}, "batch"),
        ("pair", {"batch": {"size": 2}}, "batch of rows"),
        ("pair", {"aggregate_inputs": False}, "item"),
    ],
)
def test_what_letters_hold_depends_on_the_node(
    node: str, defaults: dict[str, Any], shape: str
) -> None:
    """An item, a row of them, or batches of either."""
    assert shape_of_letters(spec(**defaults), node) == shape


@pytest.mark.parametrize(
    ("item", "shape", "why"),
    [
        ([1, 2], "row", ""),
        ([[1, 2], [3, 4]], "batch of rows", ""),
        ([1, 2, 3], "batch", ""),
        (1, "row", "takes a row, but the item is int"),
        ({"a": 1}, "batch", "takes a batch, but the item is dict"),
        ([1, 2, 3], "row", "joins 2 inputs, but the item has not 2 parts"),
        ([[1, 2], [3]], "batch of rows", "joins 2 inputs, but the item has not 2 parts"),
    ],
)
def test_an_item_that_does_not_fit_is_told(item: Any, shape: str, why: str) -> None:
    """Before it comes to the step, which would only fail in some odd way."""
    said = misfit(spec(), "pair", item, shape)
    assert said == (why and f"node 'pair' {why}")
