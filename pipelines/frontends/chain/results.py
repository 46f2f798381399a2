"""What the steps of a run give, gathered by a node behind each of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from pipelines.frontends.chain.calls import start
from pipelines.frontends.chain.nodes import free_name
from pipelines.plumber import Plumber
from pipelines.spec import EdgeSpec, GraphSpec, NodeSpec, Properties
from pipelines.step import SKIP
from pipelines.streams import topological_order

__all__ = ["Results", "single_nodes", "tapped"]


class Tap:
    """Tell of each result of a step, and of its end.

    It is a node of the graph, so it sees results in their order, wherever the step runs.

    Args:
        result: called with each result.
        ended: called when the step has ended well.
    """

    def __init__(self, result: Callable[[Any], None], ended: Callable[[], None]) -> None:
        self._result = result
        self._ended = ended

    def __enter__(self) -> Self:
        return self

    def __call__(self, value: Any) -> None:
        """Tell of a result."""
        self._result(value)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._ended()


def tapped(
    spec: GraphSpec, told: Mapping[str, tuple[Callable[[Any], None], Callable[[], None]]]
) -> GraphSpec:
    """Return a graph with a `Tap` behind some of its nodes.

    Args:
        spec: the graph.
        told: for the name of a node, the arguments of its tap.
    """
    nodes = dict(spec.nodes)
    taps: dict[str, NodeSpec] = {}
    edges: list[EdgeSpec] = []
    inner = {edge.source for edge in spec.edges}
    for name, (result, ended) in told.items():
        tap = free_name(f"{name} result", (*nodes, *taps))
        taps[tap] = NodeSpec(tap, func=Tap, args={"result": result, "ended": ended})
        edges.append(EdgeSpec(name, tap))
        if name not in inner and spec.properties(name).concurrency is None:
            # It still ends the chain, so it goes on making one call at a time.
            alone = Properties(concurrency=1).over(nodes[name].properties)
            nodes[name] = replace(nodes[name], properties=alone)
    # Taps and their edges go first, to tell of a result before the next step begins with it.
    return replace(spec, nodes={**taps, **nodes}, edges=(*edges, *spec.edges))


class Results:
    """What some steps of a run gave.

    Args:
        names: of their nodes.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._values: dict[str, list[Any]] = {name: [] for name in names}

    def add(self, name: str, value: Any) -> None:
        """Keep a result, if it is one to keep."""
        if name in self._values:
            self._values[name].append(value)

    def of(self, single: Collection[str]) -> list[Any]:
        """Return, in order, each step's only result or `SKIP`; of a stream the list of them."""
        return [
            (values[0] if values else SKIP) if name in single else values
            for name, values in self._values.items()
        ]


def single_nodes(plumber: Plumber) -> set[str]:
    """Return the nodes that give one result at most: for the one item that `start` makes."""
    single: set[str] = set()
    for name in topological_order(plumber.spec):
        node, before = plumber[name], [edge.source for edge in plumber.spec.inbound(name)]
        joins = len(before) < 2 or bool(node.properties.aggregate_inputs)
        if not before:
            one = node.processor_coro is start
        else:
            one = (
                joins
                and not (node.shape.yields or node.shape.streams)
                and single.issuperset(before)
            )
        if one:
            single.add(name)
    return single
