"""Which edges carry the same stream, and where a missing item must leave a gap."""

from __future__ import annotations

from graphlib import CycleError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.spec import GraphSpec
from pipelines.step import Shape
from pipelines.streams import analyse, topological_order

YIELDS = {"b": Shape(yields=True)}


def spec(edges: dict[str, Any], **properties: Any) -> GraphSpec:
    """Return a graph of these edges; `properties` are given by node."""
    targets = [each if isinstance(each, str) else each["to"] for t in edges.values() for each in t]
    names = dict.fromkeys([*edges, *targets])
    nodes = {name: {"properties": properties.get(name, {})} for name in names}
    return GraphSpec.from_dict({"nodes": nodes, "graph": edges})


DIAMOND = {"s": ["a", "b"], "a": ["j"], "b": ["j"], "j": ["t"]}


def test_a_line_carries_one_stream() -> None:
    """Named after its source; no join, so no gap marks."""
    found = analyse(spec({"s": ["a"], "a": ["b"]}), {})
    assert found.of == {("s", "a"): "s", ("a", "b"): "s"}
    assert found.broken_by == {}
    assert found.gapped == frozenset()


def test_a_diamond_carries_one_stream() -> None:
    """Both branches line up, and what comes out of the join lines up with them."""
    found = analyse(spec(DIAMOND), {})
    assert set(found.of.values()) == {"s"}
    assert found.gapped == {("s", "a"), ("s", "b"), ("a", "j"), ("b", "j")}


@pytest.mark.parametrize(
    ("properties", "shapes", "why"),
    [
        ({}, YIELDS, "yields any number of values for one item"),
        ({"batch": {"size": 2}}, {}, "gathers items into batches"),
        ({"ordered": False}, {}, "gives results in the order they are ready (ordered: false)"),
    ],
)
def test_what_breaks_a_stream(properties: Any, shapes: Any, why: str) -> None:
    """A new one starts at the node; gap marks before it would be of no use."""
    found = analyse(spec(DIAMOND, b=properties), shapes)
    assert (found.of["a", "j"], found.of["b", "j"], found.of["j", "t"]) == ("s", "b", "j")
    assert found.broken_by == {"b": why}
    assert found.gapped == {("s", "a"), ("a", "j"), ("b", "j")}


def test_a_merge_starts_a_stream() -> None:
    """Its items come as they come, so it needs no gaps either."""
    found = analyse(spec(DIAMOND, j={"aggregate_inputs": False}), {})
    assert found.of["j", "t"] == "j"
    assert found.broken_by == {"j": "merges its inputs as they come (aggregate_inputs: false)"}
    assert found.gapped == frozenset()


def test_a_merge_of_one_edge_is_none() -> None:
    """With a single input there is nothing to merge."""
    found = analyse(spec({"s": ["a"], "a": ["b"]}, a={"aggregate_inputs": False}), {})
    assert found.of["a", "b"] == "s"


def test_an_edge_that_drops() -> None:
    """It starts a stream of its own, and can hold no gap marks."""
    edges = {"s": ["a", {"to": "j", "when_full": "drop_newest"}], "a": ["j"], "j": ["t"]}
    found = analyse(spec(edges), {})
    assert found.of["s", "j"] == "s -> j"
    assert found.broken_by == {"s -> j": "drops items when it is full (drop_newest)"}
    assert found.gapped == {("s", "a"), ("a", "j")}


def test_an_input_node_starts_a_stream_whatever_it_is() -> None:
    """Nothing is broken by it."""
    found = analyse(spec({"b": ["c"]}, b={"ordered": False}), YIELDS)
    assert (found.of["b", "c"], found.broken_by) == ("b", {})


def test_two_sources() -> None:
    """Each has its own stream; so has their join."""
    found = analyse(spec({"a": ["j"], "b": ["j"], "j": ["t"]}), {})
    assert found.of == {("a", "j"): "a", ("b", "j"): "b", ("j", "t"): "j"}
    assert found.broken_by == {}


def test_nested_diamonds() -> None:
    """The inner one keeps the positions of the outer one."""
    edges = {
        "s": ["a", "z"],
        "a": ["b", "c"],
        "b": ["i"],
        "c": ["i"],
        "i": ["o"],
        "z": ["o"],
    }
    found = analyse(spec(edges), {})
    assert set(found.of.values()) == {"s"}
    assert found.gapped == set(found.of)


@given(st.sets(st.tuples(st.integers(0, 8), st.integers(0, 8)).filter(lambda e: e[0] < e[1])))
def test_every_order_puts_sources_first(edges: set[tuple[int, int]]) -> None:
    """A node comes after all that lead to it, and only joins and what feeds them need gaps."""
    graph = spec({str(i): [str(b) for a, b in sorted(edges) if a == i] for i in range(9)})
    order = topological_order(graph)
    assert sorted(order) == sorted(graph.nodes)
    assert all(order.index(e.source) < order.index(e.target) for e in graph.edges)
    found = analyse(graph, {})
    joins = {name for name in graph.nodes if len(graph.inbound(name)) > 1}
    for link in found.of:
        behind = {link[1]}
        for name in order:
            if name in behind:
                behind |= {edge.target for edge in graph.outbound(name)}
        assert (link in found.gapped) is bool(behind & joins)


def test_a_circle_has_no_order() -> None:
    """`check` finds it before."""
    with pytest.raises(CycleError):
        topological_order(spec({"a": ["b"], "b": ["a"]}))


def test_a_chain_of_ten_thousand_nodes() -> None:
    """Nothing recurses."""
    graph = spec({f"n{i}": [f"n{i + 1}"] for i in range(10_000)})
    assert set(analyse(graph, {}).of.values()) == {"n0"}
