"""What a run gives: the results of its last nodes, taken by nodes that nobody sees.

Each node that leads nowhere gets an edge to a hidden node of ours. So whoever takes the outputs is
a consumer like any other: where it waits, the graph waits. A step that returns nothing shows
nothing.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

from pipelines.check import Examination
from pipelines.errors import Problem
from pipelines.server.previews import preview
from pipelines.server.refusal import Refusal
from pipelines.spec import EdgeSpec, GraphSpec, NodeSpec, Properties
from pipelines.step import Shape, shape_of
from pipelines.streams import analyse

__all__ = [
    "HIDDEN",
    "PER_FRAME",
    "AllItems",
    "Forwarded",
    "Outputs",
    "SomeItems",
    "is_hidden",
    "with_outputs",
]

#: Previews in one frame.
PER_FRAME = 50

#: Ends the name of a hidden node; no other name may hold this character.
HIDDEN = "\u200b"

Preview = dict[str, str]


class Outputs(Protocol):
    """Takes what the nodes that lead nowhere give.

    Attributes:
        buffer_size: how many of their results may wait to be taken.
        waits: whether the graph may have to wait for whoever reads them.
        fault: why no more can be taken, so that the run has to end; `None` as long as all is well.
    """

    buffer_size: int
    waits: bool
    fault: Problem | None

    def tap(self, node: str) -> Callable[[Any], Any]:
        """Return the step that takes the results of one node, always the same one."""

    def take(self) -> tuple[list[Preview], int]:
        """Return previews of what has come since the last time, and how many are left out."""


class SomeItems:
    """Keeps the first results between two frames, and counts the rest; nobody waits."""

    buffer_size = 100
    waits = False
    fault: Problem | None = None

    def __init__(self) -> None:
        self._items: list[Preview] = []
        self._dropped = 0
        self.tap = functools.cache(lambda node: functools.partial(self._note, node))

    def _note(self, node: str, item: Any) -> None:
        if item is None:
            return
        if len(self._items) < PER_FRAME:
            self._items.append({"node": node, "text": preview(item)})
        else:
            self._dropped += 1

    def take(self) -> tuple[list[Preview], int]:
        """Return what was kept, and how many were not."""
        taken = self._items, self._dropped
        self._items, self._dropped = [], 0
        return taken


class AllItems:
    """Keeps every result until a frame takes it, and has the graph wait meanwhile."""

    buffer_size = 1
    waits = True
    fault: Problem | None = None

    def __init__(self) -> None:
        self._items: list[Preview] = []
        self._room = asyncio.Event()
        self.tap = functools.cache(lambda node: functools.partial(self._keep, node))

    async def _keep(self, node: str, item: Any) -> None:
        while len(self._items) >= PER_FRAME:
            self._room.clear()
            await self._room.wait()
        if item is not None:
            self._items.append({"node": node, "text": preview(item)})

    def take(self) -> tuple[list[Preview], int]:
        """Return what was kept: all that came."""
        taken, self._items = self._items, []
        self._room.set()
        return taken, 0


class Forwarded:
    """Sends every result on, one after the other, and has the graph wait for it.

    Args:
        send: sends one item, and waits where its reader is slow; a `Refusal` ends the run.
    """

    buffer_size = 16
    waits = True

    def __init__(self, send: Callable[[Any], Awaitable[None]]) -> None:
        self.fault: Problem | None = None
        self._send = send
        self.tap = functools.cache(lambda node: self._forward)

    async def _forward(self, item: Any) -> None:
        if item is None or self.fault is not None:
            return
        try:
            await self._send(item)
        except Refusal as refusal:
            # Not raised: the failure would quote the item, which may be what is too much.
            self.fault = refusal.problems[0]

    def take(self) -> tuple[list[Preview], int]:
        """Return nothing: all is sent already."""
        return [], 0


def is_hidden(name: str) -> bool:
    """Tell whether a node is one of ours."""
    return name.endswith(HIDDEN)


def with_outputs(graph: Examination, outputs: Outputs) -> Examination:
    """Return a graph in which `outputs` takes the results of each node that leads nowhere."""
    spec = graph.spec
    assert spec is not None
    leading = {edge.source for edge in spec.edges}
    fed = {edge.target for edge in spec.edges}
    last = [name for name in spec.nodes if name not in leading]
    hidden = {name: NodeSpec(f"output of {name}{HIDDEN}", func=outputs.tap(name)) for name in last}
    nodes = {name: _settled(spec, name, name in fed, graph.shapes.get(name)) for name in spec.nodes}
    nodes |= {node.name: replace(node, properties=_HIDDEN_NODE) for node in hidden.values()}
    edges = [EdgeSpec(name, hidden[name].name, outputs.buffer_size) for name in last]
    whole = replace(spec, nodes=nodes, edges=(*spec.edges, *edges), defaults=Properties())
    targets = {**graph.targets, **{node.name: node.func for node in hidden.values()}}
    shapes = {**graph.shapes, **{node.name: shape_of(node.func) for node in hidden.values()}}
    return replace(
        graph, spec=whole, targets=targets, shapes=shapes, streams=analyse(whole, shapes)
    )


_HIDDEN_NODE = Properties(concurrency=1)


def _settled(spec: GraphSpec, name: str, fed: bool, shape: Shape | None) -> NodeSpec:
    """Return a node that says all that the graph's defaults say, which are not for ours.

    A node that led nowhere keeps the concurrency that it has for that reason.
    """
    node = spec.nodes[name]
    defaults = spec.defaults if fed else replace(spec.defaults, on_error=None)
    properties = node.properties.over(defaults)
    leads = any(edge.source == name for edge in spec.edges)
    if fed and not leads and properties.concurrency is None and shape is not None:
        properties = replace(properties, concurrency=1)
    return replace(node, properties=properties)
