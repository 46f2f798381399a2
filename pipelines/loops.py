"""Which loop nodes get: fused as a line or a region, a pool, or what drives a source."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence

from pipelines.expansion import Expansion
from pipelines.fused import Piece, Split
from pipelines.inlet import Inlet, JoinInlet, MergeInlet, SourceInlet
from pipelines.inputprocessor import InputProcessor
from pipelines.line import Line
from pipelines.pool import Calls, Offload, Pool
from pipelines.processor import Processor
from pipelines.region import Region, most_at_once
from pipelines.schedule import clock
from pipelines.sources import drive
from pipelines.spread import SpreadInlet
from pipelines.streaming import Streaming

__all__ = ["Loop", "forms_region", "fuses", "loop_of", "resumed", "spreads"]

#: The ways in that a region can stand in for.
_KINDS = (type(None), Inlet, JoinInlet, MergeInlet)

#: Runs nodes until doomsday; is given what would divide them.
Loop = Callable[[Split], Awaitable[object]]


def loop_of(lines: Sequence[Sequence[Processor]]) -> Loop:
    """Return the loop of a unit.

    Args:
        lines: one node, neighbouring ones that `fuses` lets run as one, or several such lines that
            form a region.
    """
    nodes = lines[0]
    if nodes[0].own_loop is not None:
        return nodes[0].own_loop
    if len(lines) > 1:
        return _region(lines)
    if isinstance(nodes[0], InputProcessor):
        return _source(nodes[0], nodes)
    if spreads(nodes[0]):
        assert nodes[0].inlet is not None
        if not isinstance(nodes[0].inlet, SpreadInlet):
            nodes[0].inlet = SpreadInlet(nodes[0].inlet, nodes[0])
        return _line(nodes)
    if fuses(nodes[0]):
        return _line(nodes)
    nodes[0].leave_line(nodes[0].began)
    return _pooled(_pool(nodes[0]))


def _pooled(pool: Pool) -> Loop:
    """Return the loop of a pool."""

    def loop(split: Split) -> Awaitable[None]:
        return pool.run()

    return loop


def _pool(node: Processor) -> Pool:
    if node.shape.streams:
        return Streaming(node)
    if node.shape.yields:
        return Expansion(node)
    return Calls(node) if node.executor is None else Offload(node)


def fuses(node: Processor) -> bool:
    """Tell whether a node can run as one with its neighbours, until one of its calls waits."""
    return not node.shape.yields and _needs_no_pool(node)


def spreads(node: Processor) -> bool:
    """Tell whether a node's step is a generator function that those behind can be fed from."""
    shape = node.shape
    return shape.yields and not shape.streams and not shape.is_async and _needs_no_pool(node)


def _needs_no_pool(node: Processor) -> bool:
    properties = node.properties
    several = node.shape.is_async and node.concurrency > 1
    in_place = properties.ordered or properties.retry is None
    return (
        properties.executor == "inline"
        and properties.batch is None
        and properties.rate_limit is None
        and bool(several or in_place)
        and node.own_loop is None
        and not node.gated
    )


def forms_region(nodes: Sequence[Processor]) -> bool:
    """Tell whether nodes, all that hang together, can run as one until one of their calls waits."""
    edges = [edge for node in nodes for edge in node.outlet.edges]
    return (
        all(fuses(node) for node in nodes)
        and all(type(node.inlet) in _KINDS for node in nodes)
        and all(edge.when_full == "block" for edge in edges)
        and all(node.is_prompt for node in nodes if isinstance(node, InputProcessor))
        and most_at_once(nodes) > 0
    )


def resumed(piece: Piece) -> Loop:
    """Return the loop that goes on with a piece of a unit that was split."""
    return loop_of([piece.nodes]) if piece.pool is None else _pooled(piece.pool)


def _line(nodes: Sequence[Processor]) -> Loop:
    def loop(split: Split) -> Awaitable[bool]:
        return Line(nodes, split).run()

    return loop


def _region(lines: Sequence[Sequence[Processor]]) -> Loop:
    async def loop(split: Split) -> None:
        sources = [line[0] for line in lines if isinstance(line[0], InputProcessor)]
        for source in sources:
            await source.open()
        if all(isinstance(source.inlet, SourceInlet) for source in sources) and _is_closed(lines):
            await Region(lines, split).run()
        else:
            split([*(Piece(nodes) for nodes in lines), Piece([], stays=True)])

    return loop


def _is_closed(lines: Sequence[Sequence[Processor]]) -> bool:
    """Tell whether still no edge comes from elsewhere."""
    nodes = [node for line in lines for node in line]
    names = {node.name for node in nodes}
    return all(edge.source in names for node in nodes if node.inlet for edge in node.inlet.edges)


def _source(source: InputProcessor, nodes: Sequence[Processor]) -> Loop:
    """Return the loop of a source and the nodes in one line with it; it runs again where it may."""

    async def loop(split: Split) -> None:
        line = nodes
        while True:
            error = await _opened(source)
            if error is None and isinstance(source.inlet, SourceInlet):
                if not await Line(line, split).run():
                    return  # with what has become of the source by then
                error = source.inlet.error
            elif error is None:
                if len(line) > 1:
                    # A line can't pull from it: it feeds the rest over the edge between.
                    split([Piece(line[:1], stays=True), Piece(line[1:])])
                    line = line[:1]
                with _driven(source):
                    error = await drive(source)
            if error is None or not await source.start_over(error):
                return

    return loop


async def _opened(source: InputProcessor) -> BaseException | None:
    """Have a source make its items, if it has not; return what it raised."""
    if not source.is_seed:
        await source.open()
    return source.broken


@contextlib.contextmanager
def _driven(source: InputProcessor) -> Iterator[None]:
    """Have a source send its items by itself meanwhile."""
    source.leave_line(clock())
    source.depart()
    try:
        yield
    finally:
        source.arrive()
